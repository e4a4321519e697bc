-- compatible with: 1
-- Live events on their way to readers in other processes: worth seeing now, not worth keeping. Nothing here survives a
-- crash of the server, and nothing needs to.

CREATE UNLOGGED TABLE live_watch (
  listener text COLLATE "C" NOT NULL,
  run      text COLLATE "C" NOT NULL,
  until    bigint NOT NULL,
  PRIMARY KEY (run, listener)
);

CREATE UNLOGGED TABLE live_event (
  ord    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run    text COLLATE "C" NOT NULL,
  sender text COLLATE "C" NOT NULL,
  at     bigint NOT NULL,
  body   text NOT NULL
);

CREATE INDEX live_watch_by_time ON live_watch (until);
CREATE INDEX live_event_by_run ON live_event (run, ord);
CREATE INDEX live_event_by_time ON live_event (at);
