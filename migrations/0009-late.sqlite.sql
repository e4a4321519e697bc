-- compatible with: 1
-- Runs that were promised to begin or to end by some moment and have not: found by that moment, however many others
-- wait. Only indexes: programs that know nothing of them keep them true.

CREATE INDEX run_by_deadline ON run (deadline_at)
  WHERE deadline_at IS NOT NULL AND status IN ('queued', 'running');

CREATE INDEX run_by_start_by ON run (json_extract(sla, '$.startBy'))
  WHERE status = 'queued' AND sla IS NOT NULL AND instr(sla, '"startBy":null') = 0;
