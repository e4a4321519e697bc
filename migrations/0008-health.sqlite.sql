-- What the processes of this file know of models, where they share it (AGENT_RUNNER_SHARED_HEALTH): a row a model and
-- account. Worth nothing after a while.
-- compatible with: 7
CREATE TABLE model_health (
  account       TEXT NOT NULL,
  model         TEXT NOT NULL,
  version       INTEGER NOT NULL,
  phase          INTEGER NOT NULL,
  -- NULL while the breaker is closed.
  open_until    INTEGER,
  openings      INTEGER NOT NULL,
  quarantined   INTEGER NOT NULL CHECK (quarantined IN (0, 1)),
  probe_by      TEXT,
  probe_until   INTEGER NOT NULL,
  limited_until INTEGER NOT NULL,
  ttft_ms       INTEGER,
  ttft_at       INTEGER NOT NULL,
  by            TEXT NOT NULL,
  at            INTEGER NOT NULL,
  PRIMARY KEY (account, model)
) STRICT, WITHOUT ROWID;

CREATE INDEX model_health_by_time ON model_health (at);
