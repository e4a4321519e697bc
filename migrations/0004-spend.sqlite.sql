-- compatible with: 4
-- not compatible: it only adds, but what an older program spends would be in no account, and no cap would hold it.
--
-- What calls to models reserve and cost, in micro-dollars. `spend_account` counts one budget in one window;
-- `spend` has one row an attempt at a model: held, then settled, or expired when nobody came back.

CREATE TABLE spend_account (
  key       TEXT PRIMARY KEY,
  committed INTEGER NOT NULL DEFAULT 0 CHECK (committed >= 0),
  held      INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
  presumed  INTEGER NOT NULL DEFAULT 0 CHECK (presumed >= 0),
  risk      INTEGER NOT NULL DEFAULT 0 CHECK (risk >= 0),
  warned    INTEGER NOT NULL DEFAULT 0 CHECK (warned IN (0, 1)),
  changed_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TRIGGER spend_is_never_taken_back BEFORE UPDATE ON spend_account
WHEN NEW.committed < OLD.committed OR NEW.warned < OLD.warned
BEGIN SELECT RAISE(ABORT, 'what is committed never shrinks'); END;

CREATE TABLE spend (
  id         TEXT PRIMARY KEY,
  tenant     TEXT NOT NULL,
  principal  TEXT NOT NULL,
  path       TEXT NOT NULL,
  model      TEXT NOT NULL,
  stage      TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('held', 'settled', 'expired')),
  accounts   TEXT NOT NULL,
  reserved   INTEGER NOT NULL CHECK (reserved >= 0),
  ceiling    INTEGER NOT NULL CHECK (ceiling >= reserved),
  accrued    INTEGER NOT NULL CHECK (accrued >= 0),
  charged    INTEGER NOT NULL CHECK (charged >= 0),
  estimated  INTEGER NOT NULL CHECK (estimated IN (0, 1)),
  late       INTEGER NOT NULL CHECK (late IN (0, 1)),
  unpriced   INTEGER NOT NULL CHECK (unpriced IN (0, 1)),
  input      INTEGER NOT NULL CHECK (input >= 0),
  output     INTEGER NOT NULL CHECK (output >= 0),
  at         INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  ended_at   INTEGER,
  CHECK ((ended_at IS NULL) = (state <> 'settled')),
  CHECK (charged = 0 OR state = 'settled')
) STRICT, WITHOUT ROWID;

CREATE INDEX spend_by_expiry ON spend (expires_at, id) WHERE state = 'held';
CREATE INDEX spend_by_death ON spend (expires_at, id) WHERE state = 'expired';
CREATE INDEX spend_by_time ON spend (at);
CREATE INDEX spend_by_tenant ON spend (tenant, at);
CREATE INDEX spend_by_path ON spend (path) WHERE path <> '';
CREATE INDEX spend_by_model ON spend (model, stage, ended_at) WHERE state = 'settled';
CREATE INDEX spend_by_end ON spend (ended_at) WHERE ended_at IS NOT NULL;

CREATE TRIGGER spend_moves_forward BEFORE UPDATE ON spend WHEN OLD.state = 'settled'
BEGIN SELECT RAISE(ABORT, 'what is settled never changes'); END;
