import type { Chore } from "../../contracts/service.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { EngineParts } from "../parts.ts";

/**
 * Gives the runs of dead workers back: of `all` hosts, for whoever keeps house, or of this host only, whose processes
 * every process can see die.
 */
export function rescuer(parts: Pick<EngineParts, "store" | "clock" | "log">, scope: "all" | "host"): Chore {
  return {
    name: scope === "all" ? "rescuer" : "neighbours",
    everyMs: LIMITS.rescueMs,
    runOnce: async () => {
      const rescued = await parts.store.reap(parts.clock.now(), scope);
      if (rescued.length > 0) parts.log.warn({ runs: rescued }, "took back the runs of a dead worker");
    },
  };
}
