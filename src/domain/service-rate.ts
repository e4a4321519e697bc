/**
 * How fast a queue empties, measured as runs end: sums that fade by half every `HALF_LIFE_MS`, so that their ratio is
 * the recent average, and a few runs long ago still tell more than nothing.
 */
export interface Served {
  /** Runs that ended. */
  readonly runs: number;
  /** For how long runs were held by workers. */
  readonly ms: number;
  /** The moment that both are of, ms since the epoch. */
  readonly at: number;
}

export const HALF_LIFE_MS = 60_000;
/** Nothing fades further at once, so that the ratio survives a quiet night. */
export const MOST_HALF_LIVES = 30;
/** ms that one half-life's sum stands for: the area below the fading curve. */
const WINDOW_MS = HALF_LIFE_MS / Math.LN2;

/** The same sums at a later moment; a clock that went back fades nothing. */
export function fade(served: Served, now: number): Served {
  const lives = Math.min(Math.max(now - served.at, 0) / HALF_LIFE_MS, MOST_HALF_LIVES);
  const factor = 0.5 ** lives;
  return { runs: served.runs * factor, ms: served.ms * factor, at: Math.max(served.at, now) };
}

export function serve(served: Served, more: Served): Served {
  const before = fade(served, more.at);
  return { runs: before.runs + more.runs, ms: before.ms + more.ms, at: before.at };
}

/** Average time that a run is held, and runs ended a second; of sums kept in several places. */
export function serviceRate(
  all: readonly Served[],
  now: number,
): { readonly serviceMs: number | null; readonly drainedPerSecond: number } {
  let runs = 0;
  let ms = 0;
  for (const served of all) {
    const faded = fade(served, now);
    runs += faded.runs;
    ms += faded.ms;
  }
  return { serviceMs: runs > 0 ? ms / runs : null, drainedPerSecond: (runs * 1_000) / WINDOW_MS };
}
