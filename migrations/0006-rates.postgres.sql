-- compatible with: 6
-- not compatible: it only adds, but an older worker would begin runs whose time is over, and does not know the facts of
-- promises that are in journals from here on.
--
-- What was promised of a run when it was accepted, as JSON; none where nothing was.
ALTER TABLE run ADD COLUMN sla text;

-- Rates of starting runs, shared by all processes: one number a key (GCRA), by the clock of the database.
-- Unlogged and never waited for: what is lost with the machine is at most a burst.
CREATE UNLOGGED TABLE rate (
  key text PRIMARY KEY,
  -- The theoretical arrival time, in microseconds since the epoch.
  tat bigint NOT NULL
) WITH (fillfactor = 70);

-- Takes one request of every key, or of none: then `refused` is the key that lets it wait longest. Keys come sorted.
CREATE FUNCTION take_rates(keys text[], intervals bigint[], tolerances bigint[],
  OUT refused text, OUT retry_after_ms bigint) LANGUAGE plpgsql AS $$
DECLARE
  now_us bigint;
  tats bigint[] := '{}';
  kept bigint;
  ahead bigint;
  wait_ms bigint;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  INSERT INTO rate (key, tat) SELECT one, 0 FROM unnest(keys) AS one ORDER BY one ON CONFLICT DO NOTHING;
  FOR i IN 1 .. cardinality(keys) LOOP
    LOOP
      SELECT tat INTO kept FROM rate WHERE key = keys[i] FOR UPDATE;
      EXIT WHEN FOUND;
      -- Cleared away between the two statements.
      INSERT INTO rate (key, tat) VALUES (keys[i], 0) ON CONFLICT DO NOTHING;
    END LOOP;
    -- After the lock: others may have waited for it as long as we did.
    now_us := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    kept := greatest(kept, now_us);
    ahead := kept - now_us - tolerances[i];
    IF ahead > 0 THEN
      wait_ms := (ahead + 999) / 1000;
      IF refused IS NULL OR wait_ms > retry_after_ms THEN
        refused := keys[i];
        retry_after_ms := wait_ms;
      END IF;
    END IF;
    tats := tats || (kept + intervals[i]);
  END LOOP;
  IF refused IS NULL THEN
    FOR i IN 1 .. cardinality(keys) LOOP
      UPDATE rate SET tat = tats[i] WHERE key = keys[i];
    END LOOP;
  END IF;
  -- Now and then, keys that have nothing to say any more are cleared away; those in use are passed over.
  IF random() < 0.001 THEN
    DELETE FROM rate WHERE key IN
      (SELECT one.key FROM rate AS one WHERE one.tat < now_us LIMIT 1000 FOR UPDATE SKIP LOCKED);
  END IF;
END $$;
