-- compatible with: 1
-- The processes that work on this database, and which of them keeps house. Nothing here outlives its process, and
-- nothing here is worth a copy.

CREATE TABLE member (
  id            TEXT PRIMARY KEY,
  host          TEXT NOT NULL,
  pid           INTEGER NOT NULL,
  process_start TEXT NOT NULL,
  version       TEXT NOT NULL,
  roles         TEXT NOT NULL,
  labels        TEXT NOT NULL,
  slots         INTEGER NOT NULL,
  held          INTEGER NOT NULL,
  draining      INTEGER NOT NULL,
  joined_at     INTEGER NOT NULL,
  seen_at       INTEGER NOT NULL,
  -- What others want of it: each number changes with each wish.
  slots_wish_no INTEGER NOT NULL DEFAULT 0,
  slots_wish    INTEGER,
  reload_no     INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- One row a duty, kept for ever: its term only grows.
CREATE TABLE leader (
  duty          TEXT PRIMARY KEY,
  term          INTEGER NOT NULL,
  member        TEXT NOT NULL,
  host          TEXT NOT NULL,
  pid           INTEGER NOT NULL,
  process_start TEXT NOT NULL,
  until         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER leader_term_grows BEFORE UPDATE ON leader
WHEN NEW.term < OLD.term OR (NEW.term = OLD.term AND NEW.member <> OLD.member)
BEGIN SELECT RAISE(ABORT, 'a new leader has a new term, and terms only grow'); END;

CREATE TRIGGER leader_is_kept BEFORE DELETE ON leader
BEGIN SELECT RAISE(ABORT, 'the term of a duty is kept for ever'); END;
