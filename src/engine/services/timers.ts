import type { Chore } from "../../contracts/service.ts";
import type { EngineParts } from "../parts.ts";

const ROUND_MS = 100;
const WAKE_BATCH = 500;

/** Wakes resting runs whose time has come. */
export function timers(parts: Pick<EngineParts, "store" | "clock">): Chore {
  return {
    name: "timers",
    everyMs: ROUND_MS,
    runOnce: async () => {
      let woken = WAKE_BATCH;
      while (woken === WAKE_BATCH) woken = (await parts.store.wakeDue(parts.clock.now(), WAKE_BATCH)).woken;
    },
  };
}
