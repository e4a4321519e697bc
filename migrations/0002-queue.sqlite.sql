-- The queue's promises: fair share, slots, labels, caps.

ALTER TABLE worker ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';

-- Runs that have not begun: the newest of the least urgent class is the first to give way in a full queue.
CREATE INDEX run_waiting ON run (priority, no) WHERE status = 'queued';
