-- compatible with: 1
-- Runs that were promised to begin or to end by some moment and have not: found by that moment, however many others
-- wait. Only indexes: programs that know nothing of them keep them true. A run without a promise is in none of them,
-- which costs its admission the look at `sla` and nothing else.

CREATE INDEX run_by_deadline ON run (deadline_at, no) WHERE deadline_at IS NOT NULL AND ended_at IS NULL;

CREATE INDEX run_by_start_by ON run (((sla::jsonb ->> 'startBy')::bigint), no)
  WHERE status = 'queued' AND sla IS NOT NULL AND strpos(sla, '"startBy":null') = 0;
