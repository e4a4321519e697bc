import type { Service } from "../../contracts/service.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { EngineParts } from "../parts.ts";
import { repeat } from "./repeat.ts";

/** Gives the runs of dead workers back. */
export function createRescuer(parts: Pick<EngineParts, "store" | "clock" | "log">): Service {
  return repeat(parts, {
    name: "rescuer",
    everyMs: LIMITS.beatMs,
    runOnce: async () => {
      const rescued = await parts.store.reap(parts.clock.now());
      if (rescued.length > 0) parts.log.warn({ runs: rescued }, "took back the runs of a dead worker");
    },
  });
}
