-- Runs that start by the clock: what is to start when, each moment that came, and who changed what.
-- compatible with: 1

-- `cursor_at` is the last due time that was decided, and only grows: a clock that goes back starts nothing twice.
-- `next_at` is when to look again; NULL when no due time will come any more.
CREATE TABLE schedule (
  id         text COLLATE "C" PRIMARY KEY,
  workflow   text COLLATE "C" NOT NULL,
  origin     text NOT NULL CHECK (origin IN ('workflow', 'api')),
  spec       text NOT NULL,
  status     text NOT NULL CHECK (status IN ('active', 'paused', 'removed')),
  created_at bigint NOT NULL,
  created_by text NOT NULL,
  cursor_at  bigint NOT NULL,
  next_at    bigint
) WITH (fillfactor = 70);

CREATE INDEX schedule_by_time ON schedule (next_at, id) WHERE status = 'active' AND next_at IS NOT NULL;
CREATE INDEX schedule_by_workflow ON schedule (workflow, id);

-- One row a due time: whoever writes it first has fired it. `run` is chosen before the run is admitted, so that a
-- process that dies in between leaves what the next one needs to admit the same run, once.
CREATE TABLE firing (
  schedule text COLLATE "C" NOT NULL REFERENCES schedule (id),
  due_at   bigint NOT NULL,
  state    text NOT NULL CHECK (state IN ('due', 'starting', 'started', 'skipped', 'refused')),
  run      text COLLATE "C",
  detail   text,
  at       bigint NOT NULL,
  PRIMARY KEY (schedule, due_at),
  CHECK ((run IS NOT NULL) = (state IN ('starting', 'started', 'refused')))
);

CREATE INDEX firing_open ON firing (due_at, schedule) WHERE state IN ('due', 'starting');

CREATE TABLE schedule_event (
  schedule text COLLATE "C" NOT NULL REFERENCES schedule (id),
  seq      integer NOT NULL CHECK (seq >= 1),
  at       bigint NOT NULL,
  kind     text NOT NULL CHECK (kind IN ('created', 'paused', 'resumed', 'removed', 'missed')),
  by       text NOT NULL,
  detail   text,
  PRIMARY KEY (schedule, seq)
);

CREATE TRIGGER schedule_cursor_only_grows BEFORE UPDATE ON schedule FOR EACH ROW
  WHEN (NEW.cursor_at < OLD.cursor_at OR NEW.id <> OLD.id OR NEW.spec <> OLD.spec OR NEW.workflow <> OLD.workflow)
  EXECUTE FUNCTION refuse('a schedule keeps what it is, and its cursor only grows');

CREATE TRIGGER firing_moves_forward BEFORE UPDATE ON firing FOR EACH ROW
  WHEN (OLD.state IN ('started', 'skipped', 'refused') OR NEW.state = 'due'
    OR (OLD.run IS NOT NULL AND NEW.run IS DISTINCT FROM OLD.run))
  EXECUTE FUNCTION refuse('a firing moves forward only, and keeps its run');

CREATE TRIGGER schedule_event_is_never_changed BEFORE UPDATE ON schedule_event FOR EACH ROW
  EXECUTE FUNCTION refuse('what happened to a schedule is never changed');
