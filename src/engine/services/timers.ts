import type { Service } from "../../contracts/service.ts";
import type { EngineParts } from "../parts.ts";
import { repeat } from "./repeat.ts";

const ROUND_MS = 100;
const WAKE_BATCH = 500;

/** Wakes resting runs whose time has come. */
export function createTimers(parts: Pick<EngineParts, "store" | "clock" | "log">): Service {
  return repeat(parts, {
    name: "timers",
    everyMs: ROUND_MS,
    runOnce: async () => {
      let woken = WAKE_BATCH;
      while (woken === WAKE_BATCH) woken = (await parts.store.wakeDue(parts.clock.now(), WAKE_BATCH)).woken;
    },
  });
}
