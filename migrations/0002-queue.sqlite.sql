-- compatible with: 2
-- not compatible: an older program would claim past labels, slots and caps, and knows only three places of a run.
--
-- The queue's promises: fair share, labels, slots, caps.
--
-- A run that has not ended is in one of four places now: `ready`, `lease`, `rest`, or `parked`, where it waits for a
-- slot that is full, out of everybody's way.

ALTER TABLE worker ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';

INSERT INTO counter (name, value) VALUES
  ('parked', 0), ('dropped', 0), ('refused_queue', 0), ('refused_tenant', 0), ('refused_conflict', 0);

-- One row for each set of labels that a run ever needed: a worker claims from the lanes it has all labels of. Lane 0
-- is that of runs which need none, and has no row.
CREATE TABLE lane (
  id     INTEGER PRIMARY KEY CHECK (id > 0),
  labels TEXT NOT NULL UNIQUE
) STRICT;

-- Each tenant's clock in each class (see domain/fair-share.ts), and how many of its runs have not begun.
CREATE TABLE share (
  tenant   TEXT NOT NULL,
  priority INTEGER NOT NULL,
  vt       INTEGER NOT NULL DEFAULT 0,
  waiting  INTEGER NOT NULL DEFAULT 0 CHECK (waiting >= 0),
  PRIMARY KEY (tenant, priority)
) STRICT, WITHOUT ROWID;

INSERT INTO share (tenant, priority, vt, waiting)
SELECT tenant, priority, 0, count(*) FROM run WHERE status = 'queued' GROUP BY tenant, priority;

-- The highest virtual time that was ever claimed in a class. What waits from before this migration keeps its order.
CREATE TABLE floor (
  priority INTEGER PRIMARY KEY,
  vt       INTEGER NOT NULL
) STRICT;

INSERT INTO floor (priority, vt)
SELECT priority, max(vt) FROM run WHERE status IN ('queued', 'running') GROUP BY priority;

CREATE TRIGGER floor_only_rises BEFORE UPDATE ON floor WHEN NEW.vt < OLD.vt
BEGIN SELECT RAISE(ABORT, 'a floor only rises'); END;

-- Runs that ended, and for how long runs were held, both fading by half every minute.
CREATE TABLE served (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  runs REAL NOT NULL,
  ms   REAL NOT NULL,
  at   INTEGER NOT NULL
) STRICT;

INSERT INTO served (id, runs, ms, at) VALUES (1, 0, 0, 0);

ALTER TABLE run ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;
-- 1 when the run names slots: then a claim looks whether they are free.
ALTER TABLE run ADD COLUMN gated INTEGER NOT NULL DEFAULT 0 CHECK (gated IN (0, 1));

-- Runs that have not begun: the newest of the least urgent class is the first to give way in a full queue.
CREATE INDEX run_waiting ON run (priority, no) WHERE status = 'queued';

ALTER TABLE lease ADD COLUMN at INTEGER NOT NULL DEFAULT 0;

CREATE TABLE ready_before (priority INTEGER, vt INTEGER, run_no INTEGER) STRICT;
INSERT INTO ready_before SELECT priority, vt, run_no FROM ready;
DROP TABLE ready;

CREATE TABLE ready (
  lane     INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  vt       INTEGER NOT NULL,
  run_no   INTEGER NOT NULL UNIQUE,
  gated    INTEGER NOT NULL,
  PRIMARY KEY (lane, priority, vt, run_no)
) STRICT, WITHOUT ROWID;

INSERT INTO ready (lane, priority, vt, run_no, gated) SELECT 0, priority, vt, run_no, 0 FROM ready_before;
DROP TABLE ready_before;

-- What few runs may hold at a time. `held` is counted by the triggers below and by nobody else.
CREATE TABLE slot (
  key  TEXT PRIMARY KEY,
  cap  INTEGER NOT NULL CHECK (cap >= 1),
  held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0)
) STRICT, WITHOUT ROWID;

-- The slots of open runs.
CREATE TABLE run_slot (
  run_no INTEGER NOT NULL,
  key    TEXT NOT NULL,
  cap    INTEGER NOT NULL CHECK (cap >= 1),
  hold   TEXT NOT NULL CHECK (hold IN ('lease', 'run')),
  held   INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
  PRIMARY KEY (run_no, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX run_slot_by_key ON run_slot (key, run_no);

CREATE TABLE parked (
  key      TEXT NOT NULL,
  lane     INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  vt       INTEGER NOT NULL,
  run_no   INTEGER NOT NULL UNIQUE,
  PRIMARY KEY (key, lane, priority, vt, run_no)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER slot_is_never_overfilled BEFORE UPDATE ON slot WHEN NEW.held > OLD.held AND NEW.held > NEW.cap
BEGIN SELECT RAISE(ABORT, 'a slot is never held by more runs than it has room for'); END;

CREATE TRIGGER slot_is_counted_down BEFORE DELETE ON slot WHEN OLD.held > 0
BEGIN SELECT RAISE(ABORT, 'a slot that is held is not forgotten'); END;

CREATE TRIGGER run_slot_begins_free BEFORE INSERT ON run_slot WHEN NEW.held <> 0
  OR NOT EXISTS (SELECT 1 FROM run WHERE no = NEW.run_no AND status IN ('queued', 'running'))
BEGIN SELECT RAISE(ABORT, 'a slot is named by an open run and taken by a claim'); END;

CREATE TRIGGER run_slot_is_counted AFTER UPDATE ON run_slot WHEN NEW.held <> OLD.held
BEGIN UPDATE slot SET held = held + NEW.held - OLD.held WHERE key = NEW.key; END;

CREATE TRIGGER run_slot_is_uncounted AFTER DELETE ON run_slot WHEN OLD.held = 1
BEGIN UPDATE slot SET held = held - 1 WHERE key = OLD.key; END;

CREATE TRIGGER run_slot_keeps_its_name BEFORE UPDATE ON run_slot
WHEN NEW.run_no <> OLD.run_no OR NEW.key <> OLD.key OR NEW.hold <> OLD.hold
  OR (NEW.held = 1 AND NOT EXISTS (SELECT 1 FROM slot WHERE key = NEW.key))
  OR (NEW.held = 1 AND NOT EXISTS (SELECT 1 FROM lease WHERE run_no = NEW.run_no))
BEGIN SELECT RAISE(ABORT, 'a slot is taken by a run that is held by a worker'); END;

CREATE TRIGGER lease_gives_its_slots_back BEFORE DELETE ON lease
WHEN EXISTS (SELECT 1 FROM run_slot WHERE run_no = OLD.run_no AND hold = 'lease' AND held = 1)
BEGIN SELECT RAISE(ABORT, 'a run that is not held by a worker holds no slot of a lease'); END;

CREATE TRIGGER parked_is_never_changed BEFORE UPDATE ON parked
BEGIN SELECT RAISE(ABORT, 'a place in the queue is given and taken, never changed'); END;

CREATE TRIGGER ready_is_never_changed BEFORE UPDATE ON ready
BEGIN SELECT RAISE(ABORT, 'a place in the queue is given and taken, never changed'); END;

-- One place at a time: four of them now.

DROP TRIGGER run_ends_empty_handed;
CREATE TRIGGER run_ends_empty_handed BEFORE UPDATE OF status ON run
WHEN NEW.status IN ('completed', 'failed', 'canceled') AND (
  EXISTS (SELECT 1 FROM lease WHERE run_no = NEW.no) OR EXISTS (SELECT 1 FROM ready WHERE run_no = NEW.no)
  OR EXISTS (SELECT 1 FROM rest WHERE run_no = NEW.no) OR EXISTS (SELECT 1 FROM parked WHERE run_no = NEW.no)
  OR EXISTS (SELECT 1 FROM run_slot WHERE run_no = NEW.no) OR EXISTS (SELECT 1 FROM inbox WHERE run_no = NEW.no)
  OR EXISTS (SELECT 1 FROM approval WHERE run_no = NEW.no AND status = 'pending'))
BEGIN SELECT RAISE(ABORT, 'an ended run holds no lease, no slot, no place in a queue, no inbox and no open question'); END;

CREATE TRIGGER ready_is_the_only_place BEFORE INSERT ON ready
WHEN NOT EXISTS (SELECT 1 FROM run WHERE no = NEW.run_no AND status IN ('queued', 'running'))
  OR EXISTS (SELECT 1 FROM lease WHERE run_no = NEW.run_no) OR EXISTS (SELECT 1 FROM rest WHERE run_no = NEW.run_no)
  OR EXISTS (SELECT 1 FROM parked WHERE run_no = NEW.run_no)
BEGIN SELECT RAISE(ABORT, 'a run is ready only when it is open, not held, not parked and not at rest'); END;

DROP TRIGGER lease_is_the_only_place;
CREATE TRIGGER lease_is_the_only_place BEFORE INSERT ON lease
WHEN NOT EXISTS (SELECT 1 FROM run WHERE no = NEW.run_no AND status IN ('queued', 'running'))
  OR NOT EXISTS (SELECT 1 FROM worker WHERE id = NEW.worker)
  OR EXISTS (SELECT 1 FROM ready WHERE run_no = NEW.run_no) OR EXISTS (SELECT 1 FROM rest WHERE run_no = NEW.run_no)
  OR EXISTS (SELECT 1 FROM parked WHERE run_no = NEW.run_no)
BEGIN SELECT RAISE(ABORT, 'a run is held only by a known worker, when it is open, not ready, not parked and not at rest'); END;

DROP TRIGGER rest_is_the_only_place;
CREATE TRIGGER rest_is_the_only_place BEFORE INSERT ON rest
WHEN NOT EXISTS (SELECT 1 FROM run WHERE no = NEW.run_no AND status IN ('queued', 'running'))
  OR EXISTS (SELECT 1 FROM lease WHERE run_no = NEW.run_no) OR EXISTS (SELECT 1 FROM ready WHERE run_no = NEW.run_no)
  OR EXISTS (SELECT 1 FROM parked WHERE run_no = NEW.run_no)
BEGIN SELECT RAISE(ABORT, 'a run rests only when it is open, not held, not parked and not ready'); END;

CREATE TRIGGER parked_is_the_only_place BEFORE INSERT ON parked
WHEN NOT EXISTS (SELECT 1 FROM run_slot WHERE run_no = NEW.run_no AND key = NEW.key AND held = 0)
  OR EXISTS (SELECT 1 FROM lease WHERE run_no = NEW.run_no) OR EXISTS (SELECT 1 FROM ready WHERE run_no = NEW.run_no)
  OR EXISTS (SELECT 1 FROM rest WHERE run_no = NEW.run_no)
BEGIN SELECT RAISE(ABORT, 'a run is parked only for a slot of its own, when it is not held, not ready and not at rest'); END;
