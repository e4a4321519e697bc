-- compatible with: 4
-- not compatible: it only adds, but what an older program spends would be in no account, and no cap would hold it.
--
-- What calls to models reserve and cost, in micro-dollars. `spend_account` counts one budget in one window;
-- `spend` has one row an attempt at a model: held, then settled, or expired when nobody came back.

-- Narrow, and nothing but the key is indexed: a busy budget's row is updated in its own page again and again.
CREATE TABLE spend_account (
  key       text COLLATE "C" PRIMARY KEY,
  committed bigint NOT NULL DEFAULT 0 CHECK (committed >= 0),
  held      bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
  presumed  bigint NOT NULL DEFAULT 0 CHECK (presumed >= 0),
  risk      bigint NOT NULL DEFAULT 0 CHECK (risk >= 0),
  warned    boolean NOT NULL DEFAULT false,
  changed_at bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TRIGGER spend_is_never_taken_back BEFORE UPDATE ON spend_account FOR EACH ROW
  WHEN (NEW.committed < OLD.committed OR NEW.warned < OLD.warned)
  EXECUTE FUNCTION refuse('what is committed never shrinks');

CREATE TABLE spend (
  id         text COLLATE "C" PRIMARY KEY,
  tenant     text NOT NULL,
  principal  text NOT NULL,
  path       text COLLATE "C" NOT NULL,
  model      text COLLATE "C" NOT NULL,
  stage      text COLLATE "C" NOT NULL,
  state      text NOT NULL CHECK (state IN ('held', 'settled', 'expired')),
  accounts   text NOT NULL,
  reserved   bigint NOT NULL CHECK (reserved >= 0),
  ceiling    bigint NOT NULL CHECK (ceiling >= reserved),
  accrued    bigint NOT NULL CHECK (accrued >= 0),
  charged    bigint NOT NULL CHECK (charged >= 0),
  estimated  boolean NOT NULL,
  late       boolean NOT NULL,
  unpriced   boolean NOT NULL,
  input      bigint NOT NULL CHECK (input >= 0),
  output     bigint NOT NULL CHECK (output >= 0),
  at         bigint NOT NULL,
  expires_at bigint NOT NULL,
  ended_at   bigint,
  CHECK ((ended_at IS NULL) = (state <> 'settled')),
  CHECK (charged = 0 OR state = 'settled')
);

CREATE INDEX spend_by_expiry ON spend (expires_at, id) WHERE state = 'held';
CREATE INDEX spend_by_death ON spend (expires_at, id) WHERE state = 'expired';
CREATE INDEX spend_by_time ON spend (at);
CREATE INDEX spend_by_tenant ON spend (tenant, at);
CREATE INDEX spend_by_path ON spend (path) WHERE path <> '';
CREATE INDEX spend_by_model ON spend (model, stage, ended_at) WHERE state = 'settled';
CREATE INDEX spend_by_end ON spend (ended_at) WHERE ended_at IS NOT NULL;

CREATE TRIGGER spend_moves_forward BEFORE UPDATE ON spend FOR EACH ROW WHEN (OLD.state = 'settled')
  EXECUTE FUNCTION refuse('what is settled never changes');
