-- compatible with: 1
-- Live events on their way to readers in other processes: worth seeing now, not worth keeping.

CREATE TABLE live_watch (
  listener TEXT NOT NULL,
  run      TEXT NOT NULL,
  until    INTEGER NOT NULL,
  PRIMARY KEY (run, listener)
) STRICT, WITHOUT ROWID;

CREATE TABLE live_event (
  ord    INTEGER PRIMARY KEY AUTOINCREMENT,
  run    TEXT NOT NULL,
  sender TEXT NOT NULL,
  at     INTEGER NOT NULL,
  body   TEXT NOT NULL
) STRICT;

CREATE INDEX live_watch_by_time ON live_watch (until);
CREATE INDEX live_event_by_run ON live_event (run, ord);
CREATE INDEX live_event_by_time ON live_event (at);
