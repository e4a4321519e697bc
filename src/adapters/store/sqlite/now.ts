/**
 * ms since the epoch by SQLite's own clock, which is the machine's: the same for all processes of a file, whatever
 * they make of the time. The parameter is `null`, except where tests have a clock of their own.
 */
export const sqlNow = (parameter: string) =>
  `coalesce(${parameter}, CAST(unixepoch('subsec') * 1000 AS INTEGER))`;
