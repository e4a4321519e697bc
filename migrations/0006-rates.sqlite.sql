-- compatible with: 6
-- not compatible: it only adds, but an older worker would begin runs whose time is over, and does not know the facts of
-- promises that are in journals from here on.
--
-- What was promised of a run when it was accepted, as JSON; none where nothing was. Rates are kept in the process
-- here: one server works on one file.
ALTER TABLE run ADD COLUMN sla TEXT;
