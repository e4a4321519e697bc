-- Runs, their journals, their place in the queue, and who holds them: the same laws as in the SQLite schema.
--
-- Hot tables are keyed by `no`, a small integer; `id` is the public name. A run that has not ended is in exactly
-- one place: `ready` (waits for a worker), `lease` (a worker drives it) or `rest` (waits for a message or a time).
-- Whoever changes a run's place or its inbox holds the lock on its row in `run`; only a claim does not, which takes
-- a row of `ready` and gives it to `lease`. What is inserted is judged a statement at a time, which costs a batch
-- what it would cost one row.

-- Strictly increasing, never given back: fence tokens, run numbers, the order in which messages came.
CREATE SEQUENCE fence;
CREATE SEQUENCE run_no;
CREATE SEQUENCE arrival;

-- Numbers for every screen, counted as they change. Many rows, so that processes do not wait for one another; a single
-- row may be negative, the sum never is.
CREATE TABLE counter (
  shard     integer PRIMARY KEY,
  ready     bigint NOT NULL DEFAULT 0,
  queued    bigint NOT NULL DEFAULT 0,
  running   bigint NOT NULL DEFAULT 0,
  completed bigint NOT NULL DEFAULT 0,
  failed    bigint NOT NULL DEFAULT 0,
  canceled  bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);

INSERT INTO counter (shard) SELECT generate_series(0, 63);

CREATE TABLE run (
  no               bigint PRIMARY KEY,
  id               text COLLATE "C" NOT NULL UNIQUE,
  tenant           text COLLATE "C" NOT NULL,
  queue            text COLLATE "C" NOT NULL,
  priority         integer NOT NULL CHECK (priority >= 0),
  vt               bigint NOT NULL,
  workflow         text COLLATE "C" NOT NULL,
  workflow_version text NOT NULL,
  workflow_hash    text NOT NULL,
  title            text NOT NULL,
  parent_no        bigint,
  parent_id        text COLLATE "C",
  parent_step      text,
  idem_key         text COLLATE "C",
  idem_hash        text,
  status           text NOT NULL DEFAULT 'queued'
                   CHECK (status IN ('queued', 'running', 'completed', 'failed', 'canceled')),
  paused           boolean NOT NULL DEFAULT false,
  created_at       bigint NOT NULL,
  started_at       bigint,
  ended_at         bigint,
  deadline_at      bigint,
  result           text,
  result_blob      bytea,
  CHECK ((parent_no IS NULL) = (parent_id IS NULL) AND (parent_no IS NULL) = (parent_step IS NULL)),
  CHECK ((idem_key IS NULL) = (idem_hash IS NULL)),
  CHECK ((ended_at IS NULL) = (status IN ('queued', 'running'))),
  CHECK (result IS NULL OR result_blob IS NULL)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

CREATE UNIQUE INDEX run_idempotency ON run (tenant, idem_key) WHERE idem_key IS NOT NULL;
CREATE INDEX run_by_status ON run (status, no);
CREATE INDEX run_by_workflow ON run (workflow, no);
CREATE INDEX run_by_tenant ON run (tenant, no);
CREATE INDEX run_by_parent ON run (parent_id, no) WHERE parent_id IS NOT NULL;
CREATE INDEX run_open_children ON run (parent_no) WHERE parent_no IS NOT NULL AND ended_at IS NULL;
CREATE INDEX run_by_end ON run (ended_at, no) WHERE ended_at IS NOT NULL;
CREATE INDEX run_blob ON run (result_blob) WHERE result_blob IS NOT NULL;

-- Insert and delete only, in claim order, so that its size never slows a claim. `vt` is a virtual time given at
-- admission: a run keeps it, so a run that comes back does not queue behind all that came after it.
CREATE TABLE ready (
  priority integer NOT NULL,
  vt       bigint NOT NULL,
  run_no   bigint NOT NULL UNIQUE,
  PRIMARY KEY (priority, vt, run_no)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE lease (
  run_no bigint PRIMARY KEY,
  token  bigint NOT NULL,
  worker text COLLATE "C" NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX lease_by_worker ON lease (worker);

CREATE TABLE rest (
  run_no      bigint PRIMARY KEY,
  wake_at     bigint,
  waiting_for text NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX rest_by_time ON rest (wake_at, run_no) WHERE wake_at IS NOT NULL;

CREATE TABLE worker (
  id            text COLLATE "C" PRIMARY KEY,
  host          text NOT NULL,
  pid           integer NOT NULL,
  process_start text NOT NULL,
  slots         integer NOT NULL,
  joined_at     bigint NOT NULL,
  beat_at       bigint NOT NULL,
  stalled_at    bigint
) WITH (fillfactor = 50);

-- The last transaction of each writing connection, written in it: what a program asks after when the answer to its
-- COMMIT was lost. (A transaction's own number will not do: after a crash it may be given to another.)
CREATE TABLE receipt (
  session text COLLATE "C" PRIMARY KEY,
  number  bigint NOT NULL,
  at      timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 20);

CREATE TABLE journal (
  run_no  bigint NOT NULL,
  seq     integer NOT NULL CHECK (seq >= 1),
  at      bigint NOT NULL,
  kind    text NOT NULL,
  step    text COLLATE "C",
  attempt integer,
  token   bigint NOT NULL,
  body    text,
  blob    bytea,
  PRIMARY KEY (run_no, seq),
  CHECK ((seq = 1) = (kind = 'run_queued')),
  CHECK ((body IS NULL) <> (blob IS NULL)),
  CHECK (step IS NOT NULL OR kind NOT IN ('step_succeeded', 'step_failed', 'step_skipped', 'step_canceled'))
);

CREATE UNIQUE INDEX journal_step_end ON journal (run_no, step)
  WHERE kind IN ('step_succeeded', 'step_failed', 'step_skipped', 'step_canceled');
CREATE INDEX journal_blob ON journal (blob) WHERE blob IS NOT NULL;

CREATE TABLE inbox (
  ord      bigint PRIMARY KEY DEFAULT nextval('arrival'),
  run_no   bigint NOT NULL,
  id       text COLLATE "C" NOT NULL,
  kind     text NOT NULL
           CHECK (kind IN ('cancel', 'pause', 'resume', 'signal', 'message', 'approval', 'child', 'reply')),
  name     text NOT NULL,
  body     text NOT NULL,
  sender   text NOT NULL,
  at       bigint NOT NULL,
  consumed boolean NOT NULL DEFAULT false,
  UNIQUE (run_no, id)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX inbox_open ON inbox (run_no, ord) WHERE NOT consumed;

CREATE TABLE approval (
  ord          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  id           text COLLATE "C" NOT NULL UNIQUE,
  run_no       bigint NOT NULL,
  step         text NOT NULL,
  title        text NOT NULL,
  details      text NOT NULL,
  risk         text NOT NULL CHECK (risk IN ('low', 'medium', 'high')),
  expires_at   bigint,
  status       text NOT NULL DEFAULT 'pending'
               CHECK (status IN ('pending', 'approved', 'denied', 'expired', 'withdrawn')),
  requested_at bigint NOT NULL,
  answered_at  bigint,
  answered_by  text,
  comment      text
);

CREATE INDEX approval_by_run ON approval (run_no, ord);
CREATE INDEX approval_by_status ON approval (status, ord);
CREATE INDEX approval_pending ON approval (run_no) WHERE status = 'pending';

CREATE TABLE blob (
  hash bytea PRIMARY KEY CHECK (length(hash) = 32),
  enc  text NOT NULL CHECK (enc IN ('plain', 'zstd')),
  size integer NOT NULL,
  data bytea NOT NULL
);
ALTER TABLE blob ALTER COLUMN data SET STORAGE EXTERNAL;

-- The runs whose history is being deleted: only inside the transaction of a prune.
CREATE TABLE pruning (
  run_no bigint PRIMARY KEY
);

CREATE TABLE workflow (
  hash     text COLLATE "C" PRIMARY KEY,
  name     text COLLATE "C" NOT NULL,
  body     text NOT NULL,
  source   text NOT NULL,
  origin   text NOT NULL CHECK (origin IN ('built-in', 'uploaded', 'project')),
  saved_at bigint NOT NULL
);

CREATE TABLE workflow_latest (
  name text COLLATE "C" PRIMARY KEY,
  hash text COLLATE "C" NOT NULL REFERENCES workflow (hash)
);

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION breach(law text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', law USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- A run moves forward only, and an ended one never changes again.

CREATE TRIGGER run_begins_queued BEFORE INSERT ON run FOR EACH ROW WHEN (NEW.status <> 'queued')
  EXECUTE FUNCTION refuse('a run begins queued');

CREATE TRIGGER run_moves_forward BEFORE UPDATE ON run FOR EACH ROW
  WHEN (OLD.status IN ('completed', 'failed', 'canceled')
    OR (OLD.status = 'running' AND NEW.status = 'queued')
    OR NEW.no <> OLD.no OR NEW.id <> OLD.id)
  EXECUTE FUNCTION refuse('a run moves forward only, and an ended run never changes');

CREATE FUNCTION run_ends_empty_handed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM lease WHERE run_no = NEW.no) OR EXISTS (SELECT 1 FROM ready WHERE run_no = NEW.no)
    OR EXISTS (SELECT 1 FROM rest WHERE run_no = NEW.no) OR EXISTS (SELECT 1 FROM inbox WHERE run_no = NEW.no)
    OR EXISTS (SELECT 1 FROM approval WHERE run_no = NEW.no AND status = 'pending') THEN
    PERFORM breach('an ended run holds no lease, no place in a queue, no inbox and no open question');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER run_ends_empty_handed AFTER UPDATE ON run FOR EACH ROW
  WHEN (NEW.ended_at IS NOT NULL) EXECUTE FUNCTION run_ends_empty_handed();

CREATE FUNCTION is_being_pruned() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE no bigint := (to_jsonb(OLD) ->> TG_ARGV[0])::bigint;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pruning WHERE run_no = no) THEN PERFORM breach(TG_ARGV[1]); END IF;
  RETURN OLD;
END $$;
CREATE TRIGGER run_is_kept BEFORE DELETE ON run FOR EACH ROW
  EXECUTE FUNCTION is_being_pruned('no', 'a run is deleted by a prune only');
CREATE TRIGGER journal_is_kept BEFORE DELETE ON journal FOR EACH ROW
  EXECUTE FUNCTION is_being_pruned('run_no', 'the journal is append-only');
CREATE TRIGGER run_is_kept_whole BEFORE TRUNCATE ON run
  EXECUTE FUNCTION refuse('a run is deleted by a prune only');
CREATE TRIGGER journal_is_kept_whole BEFORE TRUNCATE ON journal
  EXECUTE FUNCTION refuse('the journal is append-only');

CREATE FUNCTION pruning_takes_ended_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM added WHERE (SELECT ended_at FROM run WHERE no = added.run_no) IS NULL) THEN
    PERFORM breach('only an ended run can be pruned');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER pruning_takes_ended_runs AFTER INSERT ON pruning REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION pruning_takes_ended_runs();

-- One place at a time. (A subquery that is a value is looked up a row at a time, by its key, whatever the planner
-- may think of tables it has no statistics of yet.)

CREATE FUNCTION ready_is_the_only_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM added WHERE
      (SELECT true FROM run WHERE no = added.run_no AND ended_at IS NULL) IS NULL
      OR (SELECT true FROM lease WHERE run_no = added.run_no)
      OR (SELECT true FROM rest WHERE run_no = added.run_no)) THEN
    PERFORM breach('a run is ready only when it is open, not held and not at rest');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER ready_is_the_only_place AFTER INSERT ON ready REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION ready_is_the_only_place();

CREATE FUNCTION lease_is_the_only_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM added WHERE
      (SELECT true FROM run WHERE no = added.run_no AND ended_at IS NULL) IS NULL
      OR (SELECT true FROM worker WHERE id = added.worker) IS NULL
      OR (SELECT true FROM ready WHERE run_no = added.run_no)
      OR (SELECT true FROM rest WHERE run_no = added.run_no)) THEN
    PERFORM breach('a run is held only by a known worker, when it is open, not ready and not at rest');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER lease_is_the_only_place AFTER INSERT ON lease REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION lease_is_the_only_place();

CREATE FUNCTION rest_is_the_only_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM added WHERE
      (SELECT true FROM run WHERE no = added.run_no AND ended_at IS NULL) IS NULL
      OR (SELECT true FROM lease WHERE run_no = added.run_no)
      OR (SELECT true FROM ready WHERE run_no = added.run_no)) THEN
    PERFORM breach('a run rests only when it is open, not held and not ready');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER rest_is_the_only_place AFTER INSERT ON rest REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION rest_is_the_only_place();

CREATE TRIGGER ready_is_never_changed BEFORE UPDATE ON ready FOR EACH ROW
  EXECUTE FUNCTION refuse('a place in the queue is given and taken, never changed');
CREATE TRIGGER lease_is_never_changed BEFORE UPDATE ON lease FOR EACH ROW
  EXECUTE FUNCTION refuse('a lease is given and taken, never changed');

-- The journal: dense, append-only, fenced, and silent after its end.

CREATE FUNCTION journal_laws() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM added WHERE seq = 1 AND (SELECT true FROM run WHERE no = added.run_no) IS NULL) THEN
    PERFORM breach('a journal begins with its run');
  END IF;
  IF EXISTS (SELECT 1 FROM added WHERE seq > 1 AND (
      SELECT true FROM journal AS before
      WHERE before.run_no = added.run_no AND before.seq = added.seq - 1 AND before.token <= added.token
        AND before.kind NOT IN ('run_completed', 'run_failed', 'run_canceled')) IS NULL) THEN
    PERFORM breach('a fact follows the one before it, under no older token, and never after the end');
  END IF;
  IF EXISTS (SELECT 1 FROM added
      WHERE kind IN ('step_started', 'step_expanded', 'step_waiting', 'step_woken', 'step_retrying') AND (
        SELECT true FROM journal AS ended
        WHERE ended.run_no = added.run_no AND ended.step = added.step AND ended.seq < added.seq
          AND ended.kind IN ('step_succeeded', 'step_failed', 'step_skipped', 'step_canceled'))) THEN
    PERFORM breach('a step that has ended does not move again');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER journal_laws AFTER INSERT ON journal REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION journal_laws();

CREATE TRIGGER journal_is_never_changed BEFORE UPDATE ON journal FOR EACH ROW
  EXECUTE FUNCTION refuse('the journal is append-only');

CREATE TRIGGER approval_is_answered_once BEFORE UPDATE ON approval FOR EACH ROW WHEN (OLD.status <> 'pending')
  EXECUTE FUNCTION refuse('an approval is answered once');

CREATE FUNCTION inbox_is_for_open_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM added WHERE (SELECT true FROM run WHERE no = added.run_no AND ended_at IS NULL) IS NULL) THEN
    PERFORM breach('a message is for an open run');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER inbox_is_for_open_runs AFTER INSERT ON inbox REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION inbox_is_for_open_runs();

CREATE TRIGGER blob_is_never_changed BEFORE UPDATE ON blob FOR EACH ROW
  EXECUTE FUNCTION refuse('a blob is its hash');
CREATE TRIGGER workflow_is_never_changed BEFORE UPDATE ON workflow FOR EACH ROW
  EXECUTE FUNCTION refuse('a saved workflow is its hash');
CREATE TRIGGER workflow_is_kept BEFORE DELETE ON workflow FOR EACH ROW
  EXECUTE FUNCTION refuse('a saved workflow is never lost');
