import { setImmediate as nextTurn } from "node:timers/promises";
import { canceled } from "./git.ts";

const TURN_MS = 15;

/** Keeps a long computation from holding up everything else of the process, and ends it when it is canceled. */
export class Pace {
  readonly #signal: AbortSignal | undefined;
  #since = performance.now();

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Cheap: to be called once an item. Throws a `FailureError` with `canceled`. */
  async step(): Promise<void> {
    if (performance.now() - this.#since < TURN_MS) return;
    await nextTurn();
    this.#since = performance.now();
    if (this.#signal?.aborted) throw canceled();
  }
}
