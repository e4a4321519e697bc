-- What the processes of this database know of models, where they share it (AGENT_RUNNER_SHARED_HEALTH): a row a model and
-- account. Unlogged and never waited for: worth nothing after a while.
-- compatible with: 7
CREATE UNLOGGED TABLE model_health (
  account       text COLLATE "C" NOT NULL,
  model         text COLLATE "C" NOT NULL,
  version       bigint NOT NULL,
  phase          bigint NOT NULL,
  -- NULL while the breaker is closed.
  open_until    bigint,
  openings      integer NOT NULL,
  quarantined   boolean NOT NULL,
  probe_by      text COLLATE "C",
  probe_until   bigint NOT NULL,
  limited_until bigint NOT NULL,
  ttft_ms       bigint,
  ttft_at       bigint NOT NULL,
  by            text COLLATE "C" NOT NULL,
  at            bigint NOT NULL,
  PRIMARY KEY (account, model)
) WITH (fillfactor = 70);

CREATE INDEX model_health_by_time ON model_health (at);
