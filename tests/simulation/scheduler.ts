import type { Clock } from "../../src/base/clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/**
 * Time and turn-taking of a simulated world. Nothing happens by itself: each `step` runs one thing that is ready,
 * chosen by the seed, or, when nothing is ready, moves time to the next timer.
 */
export class Scheduler {
  now = 1_700_000_000_000;
  readonly #random: () => number;
  #ready: (() => void)[] = [];
  #timers: Timer[] = [];
  #order = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  defer(run: () => void): void {
    this.#ready.push(run);
  }

  after(ms: number, run: () => void): () => void {
    this.#order += 1;
    const timer = { at: this.now + Math.max(0, ms), order: this.#order, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** `false` when there is nothing left to do, now or later. */
  async step(): Promise<boolean> {
    const ready = this.#takeReady() ?? this.#takeTimer();
    if (!ready) return false;
    ready();
    // Everything that follows by promise alone happens before the next choice.
    await new Promise<void>((resolve) => setImmediate(resolve));
    return true;
  }

  #takeReady(): (() => void) | null {
    if (this.#ready.length === 0) return null;
    // Now and then a timer goes first although something is ready: slow processes exist.
    if (this.#timers.length > 0 && this.#random() < 0.1) return null;
    const at = Math.floor(this.#random() * this.#ready.length);
    return this.#ready.splice(at, 1)[0] ?? null;
  }

  #takeTimer(): (() => void) | null {
    if (this.#timers.length === 0) return this.#ready.shift() ?? null;
    let first = this.#timers[0] as Timer;
    for (const timer of this.#timers) {
      if (timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer;
    }
    this.#timers = this.#timers.filter((timer) => timer !== first);
    this.now = Math.max(this.now, first.at);
    return first.run;
  }
}

/** What one process sees of time and turns. A dead process sees nothing any more; a clock may be wrong. */
export class ProcessTime {
  alive = true;
  /** Added to the world's time by this process's wrong clock. */
  skewMs = 0;
  readonly clock: Clock;
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
    this.clock = {
      now: () => scheduler.now + this.skewMs,
      after: (ms, wake) => scheduler.after(ms, () => this.alive && wake()),
    };
  }

  defer = (run: () => void): void => {
    this.#scheduler.defer(() => this.alive && run());
  };
}
