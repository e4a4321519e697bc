import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../contracts/log.ts";
import type { RunStore } from "../../contracts/run-store.ts";
import type { Chore } from "../../contracts/service.ts";

const ROUND_MS = 60_000;
/** Runs of one transaction: small, because nobody waits for it and others wait for its locks. */
const PRUNE_BATCH = 100;
/** A round ends after so many; what is left is the next one's. */
const ROUND_RUNS = 10_000;

/** Deletes runs that ended longer ago than they are kept; `null` keeps them for ever. */
export function pruner(parts: {
  readonly store: Pick<RunStore, "prune">;
  readonly clock: Clock;
  readonly log: Log;
  readonly retentionMs: () => number | null;
}): Chore {
  return {
    name: "pruner",
    everyMs: ROUND_MS,
    runOnce: async () => {
      const kept = parts.retentionMs();
      if (kept === null) return;
      const before = parts.clock.now() - kept;
      let pruned = 0;
      for (let batch = PRUNE_BATCH; batch === PRUNE_BATCH && pruned < ROUND_RUNS; pruned += batch)
        batch = await parts.store.prune(before, PRUNE_BATCH);
      if (pruned > 0) parts.log.info({ runs: pruned }, "deleted runs that had ended long ago");
    },
  };
}
