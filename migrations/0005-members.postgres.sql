-- compatible with: 1
-- The processes that work on this database, and which of them keeps house. Nothing here outlives its process, and
-- nothing here is worth a copy.

CREATE TABLE member (
  id            text COLLATE "C" PRIMARY KEY,
  host          text NOT NULL,
  pid           integer NOT NULL,
  process_start text NOT NULL,
  version       text NOT NULL,
  roles         text NOT NULL,
  labels        text NOT NULL,
  slots         integer NOT NULL,
  held          integer NOT NULL,
  draining      boolean NOT NULL,
  joined_at     bigint NOT NULL,
  seen_at       bigint NOT NULL,
  -- What others want of it: each number changes with each wish.
  slots_wish_no integer NOT NULL DEFAULT 0,
  slots_wish    integer,
  reload_no     integer NOT NULL DEFAULT 0
) WITH (fillfactor = 30);

-- One row a duty, kept for ever: its term only grows.
CREATE TABLE leader (
  duty          text COLLATE "C" PRIMARY KEY,
  term          bigint NOT NULL,
  member        text COLLATE "C" NOT NULL,
  host          text NOT NULL,
  pid           integer NOT NULL,
  process_start text NOT NULL,
  until         bigint NOT NULL
) WITH (fillfactor = 30);

CREATE TRIGGER leader_term_grows BEFORE UPDATE ON leader FOR EACH ROW
  WHEN (NEW.term < OLD.term OR (NEW.term = OLD.term AND NEW.member <> OLD.member))
  EXECUTE FUNCTION refuse('a new leader has a new term, and terms only grow');
CREATE TRIGGER leader_is_kept BEFORE DELETE ON leader FOR EACH ROW
  EXECUTE FUNCTION refuse('the term of a duty is kept for ever');
