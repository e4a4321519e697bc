import type { Clock } from "../base/clock.ts";

/** A beat while nothing is heard; half of the ten seconds that a watcher may be left without a sign of life. */
export const PULSE_MS = 5_000;

export interface Pulse {
  /** Something was heard: the silence starts anew. */
  heard(): void;
  stop(): void;
}

/** Calls `onSilence` with the length of the silence, every `PULSE_MS` of it, until stopped. */
export function startPulse(clock: Clock, onSilence: (idleMs: number) => void): Pulse {
  let last = clock.now();
  let stopped = false;
  let cancel = () => {};
  const next = (ms: number) => {
    cancel = clock.after(ms, () => {
      if (stopped) return;
      const idle = clock.now() - last;
      if (idle >= PULSE_MS) onSilence(idle);
      next(idle >= PULSE_MS ? PULSE_MS : PULSE_MS - idle);
    });
  };
  next(PULSE_MS);
  return {
    heard: () => {
      last = clock.now();
    },
    stop: () => {
      stopped = true;
      cancel();
    },
  };
}

/** Resolves after `ms` or as soon as the signal aborts; says which. */
export function wait(clock: Clock, ms: number, signal: AbortSignal): Promise<"waited" | "aborted"> {
  if (signal.aborted) return Promise.resolve("aborted");
  return new Promise((resolve) => {
    const end = (how: "waited" | "aborted") => {
      cancel();
      signal.removeEventListener("abort", onAbort);
      resolve(how);
    };
    const onAbort = () => end("aborted");
    const cancel = clock.after(ms, () => end("waited"));
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
