/** ms since the epoch by the database's clock: the one that all processes share. */
const NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/** A parameter where tests have a clock of their own; otherwise (`null`) the database's. */
export const at = (parameter: string) => `coalesce(${parameter}::bigint, ${NOW})`;
