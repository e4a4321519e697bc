-- What was promised of a run when it was accepted, as JSON; none where nothing was. Rates are kept in the process
-- here: one server works on one file.
ALTER TABLE run ADD COLUMN sla TEXT;
