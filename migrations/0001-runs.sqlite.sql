-- Runs, their journals, their place in the queue, and who holds them.
--
-- Hot tables are keyed by `no`, a small integer; `id` is the public name. A run that has not ended is in exactly
-- one place: `ready` (waits for a worker), `lease` (a worker drives it) or `rest` (waits for a message or a time).
-- The triggers keep that, and the laws of the journal, whatever the code above does.

CREATE TABLE counter (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL CHECK (value >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO counter (name, value) VALUES
  ('fence', 0), ('vt', 0), ('arrival', 0),
  ('ready', 0), ('queued', 0), ('running', 0), ('completed', 0), ('failed', 0), ('canceled', 0);

CREATE TRIGGER fence_only_grows BEFORE UPDATE ON counter
WHEN NEW.name IN ('fence', 'vt', 'arrival') AND NEW.value < OLD.value
BEGIN SELECT RAISE(ABORT, 'a sequence only grows'); END;

CREATE TABLE run (
  no               INTEGER PRIMARY KEY,
  id               TEXT NOT NULL UNIQUE,
  tenant           TEXT NOT NULL,
  queue            TEXT NOT NULL,
  priority         INTEGER NOT NULL CHECK (priority >= 0),
  vt               INTEGER NOT NULL,
  workflow         TEXT NOT NULL,
  workflow_version TEXT NOT NULL,
  workflow_hash    TEXT NOT NULL,
  title            TEXT NOT NULL,
  parent_no        INTEGER,
  parent_id        TEXT,
  parent_step      TEXT,
  idem_key         TEXT,
  idem_hash        TEXT,
  status           TEXT NOT NULL DEFAULT 'queued'
                   CHECK (status IN ('queued', 'running', 'completed', 'failed', 'canceled')),
  paused           INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
  created_at       INTEGER NOT NULL,
  started_at       INTEGER,
  ended_at         INTEGER,
  deadline_at      INTEGER,
  result           TEXT,
  result_blob      BLOB,
  CHECK ((parent_no IS NULL) = (parent_id IS NULL) AND (parent_no IS NULL) = (parent_step IS NULL)),
  CHECK ((idem_key IS NULL) = (idem_hash IS NULL)),
  CHECK ((ended_at IS NULL) = (status IN ('queued', 'running'))),
  CHECK (result IS NULL OR result_blob IS NULL)
) STRICT;

CREATE UNIQUE INDEX run_idempotency ON run (tenant, idem_key) WHERE idem_key IS NOT NULL;
CREATE INDEX run_by_status ON run (status, no);
CREATE INDEX run_by_workflow ON run (workflow, no);
CREATE INDEX run_by_tenant ON run (tenant, no);
CREATE INDEX run_by_parent ON run (parent_id, no) WHERE parent_id IS NOT NULL;
CREATE INDEX run_open_children ON run (parent_no) WHERE parent_no IS NOT NULL AND status IN ('queued', 'running');
CREATE INDEX run_by_end ON run (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX run_blob ON run (result_blob) WHERE result_blob IS NOT NULL;

-- Insert and delete only, in claim order, so that its size never slows a claim. `vt` is a virtual time given at
-- admission: a run keeps it, so a run that comes back does not queue behind all that came after it.
CREATE TABLE ready (
  priority INTEGER NOT NULL,
  vt       INTEGER NOT NULL,
  run_no   INTEGER NOT NULL UNIQUE,
  PRIMARY KEY (priority, vt, run_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
  run_no INTEGER PRIMARY KEY,
  token  INTEGER NOT NULL,
  worker TEXT NOT NULL
) STRICT;

CREATE INDEX lease_by_worker ON lease (worker);

CREATE TABLE rest (
  run_no      INTEGER PRIMARY KEY,
  wake_at     INTEGER,
  waiting_for TEXT NOT NULL
) STRICT;

CREATE INDEX rest_by_time ON rest (wake_at, run_no) WHERE wake_at IS NOT NULL;

CREATE TABLE worker (
  id            TEXT PRIMARY KEY,
  host          TEXT NOT NULL,
  pid           INTEGER NOT NULL,
  process_start TEXT NOT NULL,
  slots         INTEGER NOT NULL,
  joined_at     INTEGER NOT NULL,
  beat_at       INTEGER NOT NULL,
  stalled_at    INTEGER
) STRICT, WITHOUT ROWID;

-- A rowid table on purpose: appends of many runs land on the same last pages, where a table clustered by run would
-- dirty a page a run; and its `id` is the order of all facts of the store.
CREATE TABLE journal (
  id      INTEGER PRIMARY KEY,
  run_no  INTEGER NOT NULL,
  seq     INTEGER NOT NULL CHECK (seq >= 1),
  at      INTEGER NOT NULL,
  kind    TEXT NOT NULL,
  step    TEXT,
  attempt INTEGER,
  token   INTEGER NOT NULL,
  body    TEXT,
  blob    BLOB,
  UNIQUE (run_no, seq),
  CHECK ((seq = 1) = (kind = 'run_queued')),
  CHECK ((body IS NULL) <> (blob IS NULL)),
  CHECK (step IS NOT NULL OR kind NOT IN ('step_succeeded', 'step_failed', 'step_skipped', 'step_canceled'))
) STRICT;

CREATE UNIQUE INDEX journal_step_end ON journal (run_no, step)
  WHERE kind IN ('step_succeeded', 'step_failed', 'step_skipped', 'step_canceled');
CREATE INDEX journal_blob ON journal (blob) WHERE blob IS NOT NULL;

CREATE TABLE inbox (
  ord      INTEGER PRIMARY KEY,
  run_no   INTEGER NOT NULL,
  id       TEXT NOT NULL,
  kind     TEXT NOT NULL
           CHECK (kind IN ('cancel', 'pause', 'resume', 'signal', 'message', 'approval', 'child', 'reply')),
  name     TEXT NOT NULL,
  body     TEXT NOT NULL,
  sender   TEXT NOT NULL,
  at       INTEGER NOT NULL,
  consumed INTEGER NOT NULL DEFAULT 0 CHECK (consumed IN (0, 1)),
  UNIQUE (run_no, id)
) STRICT;

CREATE INDEX inbox_open ON inbox (run_no, ord) WHERE consumed = 0;

CREATE TABLE approval (
  ord          INTEGER PRIMARY KEY,
  id           TEXT NOT NULL UNIQUE,
  run_no       INTEGER NOT NULL,
  step         TEXT NOT NULL,
  title        TEXT NOT NULL,
  details      TEXT NOT NULL,
  risk         TEXT NOT NULL CHECK (risk IN ('low', 'medium', 'high')),
  expires_at   INTEGER,
  status       TEXT NOT NULL DEFAULT 'pending'
               CHECK (status IN ('pending', 'approved', 'denied', 'expired', 'withdrawn')),
  requested_at INTEGER NOT NULL,
  answered_at  INTEGER,
  answered_by  TEXT,
  comment      TEXT
) STRICT;

CREATE INDEX approval_by_run ON approval (run_no, ord);
CREATE INDEX approval_by_status ON approval (status, ord);
CREATE INDEX approval_pending ON approval (run_no) WHERE status = 'pending';

CREATE TABLE blob (
  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  enc  TEXT NOT NULL CHECK (enc IN ('plain', 'zstd')),
  size INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;

-- The runs whose history is being deleted: only inside the transaction of a prune.
CREATE TABLE pruning (
  run_no INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE workflow (
  ord      INTEGER PRIMARY KEY,
  hash     TEXT NOT NULL UNIQUE,
  name     TEXT NOT NULL,
  body     TEXT NOT NULL,
  source   TEXT NOT NULL,
  origin   TEXT NOT NULL CHECK (origin IN ('built-in', 'uploaded', 'project')),
  saved_at INTEGER NOT NULL
) STRICT;

CREATE TABLE workflow_latest (
  name TEXT PRIMARY KEY,
  hash TEXT NOT NULL REFERENCES workflow (hash)
) STRICT, WITHOUT ROWID;

-- A run moves forward only, and an ended one never changes again.

CREATE TRIGGER run_begins_queued BEFORE INSERT ON run WHEN NEW.status <> 'queued'
BEGIN SELECT RAISE(ABORT, 'a run begins queued'); END;

CREATE TRIGGER run_moves_forward BEFORE UPDATE ON run
WHEN OLD.status IN ('completed', 'failed', 'canceled')
  OR (OLD.status = 'running' AND NEW.status = 'queued')
  OR NEW.no <> OLD.no OR NEW.id <> OLD.id
BEGIN SELECT RAISE(ABORT, 'a run moves forward only, and an ended run never changes'); END;

CREATE TRIGGER run_ends_empty_handed BEFORE UPDATE OF status ON run
WHEN NEW.status IN ('completed', 'failed', 'canceled') AND (
  EXISTS (SELECT 1 FROM lease WHERE run_no = NEW.no) OR EXISTS (SELECT 1 FROM ready WHERE run_no = NEW.no)
  OR EXISTS (SELECT 1 FROM rest WHERE run_no = NEW.no) OR EXISTS (SELECT 1 FROM inbox WHERE run_no = NEW.no)
  OR EXISTS (SELECT 1 FROM approval WHERE run_no = NEW.no AND status = 'pending'))
BEGIN SELECT RAISE(ABORT, 'an ended run holds no lease, no place in a queue, no inbox and no open question'); END;

CREATE TRIGGER run_is_kept BEFORE DELETE ON run
WHEN NOT EXISTS (SELECT 1 FROM pruning WHERE run_no = OLD.no)
BEGIN SELECT RAISE(ABORT, 'a run is deleted by a prune only'); END;

CREATE TRIGGER pruning_takes_ended_runs BEFORE INSERT ON pruning
WHEN NOT EXISTS (SELECT 1 FROM run WHERE no = NEW.run_no AND status IN ('completed', 'failed', 'canceled'))
BEGIN SELECT RAISE(ABORT, 'only an ended run can be pruned'); END;

-- One place at a time.

CREATE TRIGGER ready_is_the_only_place BEFORE INSERT ON ready
WHEN NOT EXISTS (SELECT 1 FROM run WHERE no = NEW.run_no AND status IN ('queued', 'running'))
  OR EXISTS (SELECT 1 FROM lease WHERE run_no = NEW.run_no) OR EXISTS (SELECT 1 FROM rest WHERE run_no = NEW.run_no)
BEGIN SELECT RAISE(ABORT, 'a run is ready only when it is open, not held and not at rest'); END;

CREATE TRIGGER lease_is_the_only_place BEFORE INSERT ON lease
WHEN NOT EXISTS (SELECT 1 FROM run WHERE no = NEW.run_no AND status IN ('queued', 'running'))
  OR NOT EXISTS (SELECT 1 FROM worker WHERE id = NEW.worker)
  OR EXISTS (SELECT 1 FROM ready WHERE run_no = NEW.run_no) OR EXISTS (SELECT 1 FROM rest WHERE run_no = NEW.run_no)
BEGIN SELECT RAISE(ABORT, 'a run is held only by a known worker, when it is open, not ready and not at rest'); END;

CREATE TRIGGER rest_is_the_only_place BEFORE INSERT ON rest
WHEN NOT EXISTS (SELECT 1 FROM run WHERE no = NEW.run_no AND status IN ('queued', 'running'))
  OR EXISTS (SELECT 1 FROM lease WHERE run_no = NEW.run_no) OR EXISTS (SELECT 1 FROM ready WHERE run_no = NEW.run_no)
BEGIN SELECT RAISE(ABORT, 'a run rests only when it is open, not held and not ready'); END;

CREATE TRIGGER ready_is_never_changed BEFORE UPDATE ON ready
BEGIN SELECT RAISE(ABORT, 'a place in the queue is given and taken, never changed'); END;

CREATE TRIGGER lease_is_never_changed BEFORE UPDATE ON lease
BEGIN SELECT RAISE(ABORT, 'a lease is given and taken, never changed'); END;

-- The journal: dense, append-only, fenced, and silent after its end.

CREATE TRIGGER journal_begins_with_its_run BEFORE INSERT ON journal
WHEN NEW.seq = 1 AND NOT EXISTS (SELECT 1 FROM run WHERE no = NEW.run_no)
BEGIN SELECT RAISE(ABORT, 'a journal begins with its run'); END;

CREATE TRIGGER journal_is_dense BEFORE INSERT ON journal
WHEN NEW.seq > 1 AND NOT EXISTS (
  SELECT 1 FROM journal WHERE run_no = NEW.run_no AND seq = NEW.seq - 1 AND token <= NEW.token
    AND kind NOT IN ('run_completed', 'run_failed', 'run_canceled'))
BEGIN SELECT RAISE(ABORT, 'a fact follows the one before it, under no older token, and never after the end'); END;

CREATE TRIGGER journal_step_has_ended BEFORE INSERT ON journal
WHEN NEW.kind IN ('step_started', 'step_expanded', 'step_waiting', 'step_woken', 'step_retrying') AND EXISTS (
  SELECT 1 FROM journal WHERE run_no = NEW.run_no AND step = NEW.step
    AND kind IN ('step_succeeded', 'step_failed', 'step_skipped', 'step_canceled'))
BEGIN SELECT RAISE(ABORT, 'a step that has ended does not move again'); END;

CREATE TRIGGER journal_is_never_changed BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER journal_is_kept BEFORE DELETE ON journal
WHEN NOT EXISTS (SELECT 1 FROM pruning WHERE run_no = OLD.run_no)
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER approval_is_answered_once BEFORE UPDATE ON approval WHEN OLD.status <> 'pending'
BEGIN SELECT RAISE(ABORT, 'an approval is answered once'); END;

CREATE TRIGGER inbox_is_for_open_runs BEFORE INSERT ON inbox
WHEN NOT EXISTS (SELECT 1 FROM run WHERE no = NEW.run_no AND status IN ('queued', 'running'))
BEGIN SELECT RAISE(ABORT, 'a message is for an open run'); END;

CREATE TRIGGER blob_is_never_changed BEFORE UPDATE ON blob
BEGIN SELECT RAISE(ABORT, 'a blob is its hash'); END;

CREATE TRIGGER workflow_is_never_changed BEFORE UPDATE ON workflow
BEGIN SELECT RAISE(ABORT, 'a saved workflow is its hash'); END;

CREATE TRIGGER workflow_is_kept BEFORE DELETE ON workflow
BEGIN SELECT RAISE(ABORT, 'a saved workflow is never lost'); END;
