import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../contracts/log.ts";
import type { Chore } from "../../contracts/service.ts";
import type { SpendLedger } from "../../contracts/spend-ledger.ts";

const ROUND_MS = 10_000;
const AT_ONCE = 500;
/** Rounds between two looks for what is old: about an hour. */
const PRUNE_EVERY = 360;

/** Gives up what dead processes hold, also when nobody else spends, and forgets entries that are old. */
export function accountant(parts: {
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: Pick<SpendLedger, "sweep" | "prune">;
  /** ms for which a call's entry is kept. */
  readonly keepMs: () => number;
}): Chore {
  let rounds = 0;
  return {
    name: "accountant",
    everyMs: ROUND_MS,
    runOnce: async () => {
      const swept = await parts.ledger.sweep(AT_ONCE);
      if (swept > 0) parts.log.warn({ holds: swept }, "gave up what calls of dead processes had reserved");
      if (rounds % PRUNE_EVERY === 0) await parts.ledger.prune(parts.clock.now() - parts.keepMs(), AT_ONCE);
      rounds += 1;
    },
  };
}
