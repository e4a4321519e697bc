import type { Clock } from "../../base/clock.ts";

/** Something to wait at until it is rung. */
export interface Bell {
  ring(): void;
  /** Until it is rung (or was, since the last wait), the signal aborts, or `ms` have passed (`late`). */
  wait(ms: number): Promise<"rung" | "late">;
  close(): void;
}

export function createBell(clock: Clock, signal: AbortSignal): Bell {
  let rung = false;
  let wake = () => {};
  const onAbort = () => wake();
  signal.addEventListener("abort", onAbort);
  return {
    ring() {
      rung = true;
      wake();
    },
    async wait(ms) {
      if (!rung && !signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const cancel = clock.after(ms, resolve);
        wake = resolve;
        await promise;
        wake = () => {};
        cancel();
      }
      const answer = rung ? "rung" : "late";
      rung = false;
      return answer;
    },
    close() {
      signal.removeEventListener("abort", onAbort);
    },
  };
}
