-- Runs that start by the clock: what is to start when, each moment that came, and who changed what.
-- compatible with: 1

-- `cursor_at` is the last due time that was decided, and only grows: a clock that goes back starts nothing twice.
-- `next_at` is when to look again; NULL when no due time will come any more.
CREATE TABLE schedule (
  id         TEXT PRIMARY KEY,
  workflow   TEXT NOT NULL,
  origin     TEXT NOT NULL CHECK (origin IN ('workflow', 'api')),
  spec       TEXT NOT NULL,
  status     TEXT NOT NULL CHECK (status IN ('active', 'paused', 'removed')),
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  cursor_at  INTEGER NOT NULL,
  next_at    INTEGER
) STRICT;

CREATE INDEX schedule_by_time ON schedule (next_at, id) WHERE status = 'active' AND next_at IS NOT NULL;
CREATE INDEX schedule_by_workflow ON schedule (workflow, id);

-- One row a due time: whoever writes it first has fired it. `run` is chosen before the run is admitted, so that a
-- process that dies in between leaves what the next one needs to admit the same run, once.
CREATE TABLE firing (
  schedule TEXT NOT NULL REFERENCES schedule (id),
  due_at   INTEGER NOT NULL,
  state    TEXT NOT NULL CHECK (state IN ('due', 'starting', 'started', 'skipped', 'refused')),
  run      TEXT,
  detail   TEXT,
  at       INTEGER NOT NULL,
  PRIMARY KEY (schedule, due_at),
  CHECK ((run IS NOT NULL) = (state IN ('starting', 'started', 'refused')))
) STRICT;

CREATE INDEX firing_open ON firing (due_at, schedule) WHERE state IN ('due', 'starting');

CREATE TABLE schedule_event (
  schedule TEXT NOT NULL REFERENCES schedule (id),
  seq      INTEGER NOT NULL CHECK (seq >= 1),
  at       INTEGER NOT NULL,
  kind     TEXT NOT NULL CHECK (kind IN ('created', 'paused', 'resumed', 'removed', 'missed')),
  by       TEXT NOT NULL,
  detail   TEXT,
  PRIMARY KEY (schedule, seq)
) STRICT;

CREATE TRIGGER schedule_cursor_only_grows BEFORE UPDATE ON schedule
WHEN NEW.cursor_at < OLD.cursor_at OR NEW.id <> OLD.id OR NEW.spec <> OLD.spec OR NEW.workflow <> OLD.workflow
BEGIN SELECT RAISE(ABORT, 'a schedule keeps what it is, and its cursor only grows'); END;

CREATE TRIGGER firing_moves_forward BEFORE UPDATE ON firing
WHEN OLD.state IN ('started', 'skipped', 'refused') OR NEW.state = 'due'
  OR (OLD.run IS NOT NULL AND NEW.run IS NOT OLD.run)
BEGIN SELECT RAISE(ABORT, 'a firing moves forward only, and keeps its run'); END;

CREATE TRIGGER schedule_event_is_never_changed BEFORE UPDATE ON schedule_event
BEGIN SELECT RAISE(ABORT, 'what happened to a schedule is never changed'); END;
