import { MAIN_TICKS } from "./beat-protocol.ts";

/** Looks at the main thread between two sleeps, and tells how long its loop has stood still. */
export class Watch {
  readonly #control: Int32Array;
  readonly #tickMs: number;
  #seen: number;
  #before = performance.now();
  stoodStillMs = 0;
  sinceBeatMs = 0;

  constructor(control: Int32Array, tickMs: number) {
    this.#control = control;
    this.#tickMs = tickMs;
    this.#seen = Atomics.load(control, MAIN_TICKS);
  }

  /** How long the loop had stood still when it was seen to turn again; 0 when it did not stand still. */
  look(): number {
    const now = performance.now();
    const elapsed = now - this.#before;
    this.#before = now;
    this.sinceBeatMs += elapsed;
    const ticks = Atomics.load(this.#control, MAIN_TICKS);
    if (ticks === this.#seen) {
      // A process that was suspended as a whole has not stalled: what counts is time this thread was awake.
      this.stoodStillMs += Math.min(elapsed, 2 * this.#tickMs);
      return 0;
    }
    const stood = this.stoodStillMs;
    this.stoodStillMs = 0;
    this.#seen = ticks;
    return stood;
  }
}
