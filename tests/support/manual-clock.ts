import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../src/base/clock.ts";

const MAX_TIMERS_FIRED = 100_000;

/** A clock that stands still until it is told to go on. */
export class ManualClock implements Clock {
  #now: number;
  #timers: { at: number; wake: () => void }[] = [];

  constructor(startMs = 1_000_000) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, wake: () => void): () => void {
    const timer = { at: this.#now + ms, wake };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get pending(): number {
    return this.#timers.length;
  }

  /** Fires every timer that is due within `ms`, in order, letting what they wake run in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await setImmediate();
    for (let fired = 0; fired < MAX_TIMERS_FIRED; fired += 1) {
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#fire(next);
      await setImmediate();
    }
    this.#now = end;
  }

  /** Lets time pass until the promise settles. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    promise.then(mark, mark);
    for (let fired = 0; fired < MAX_TIMERS_FIRED; fired += 1) {
      await setImmediate();
      if (settled) break;
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (next !== undefined) this.#fire(next);
    }
    return await promise;
  }

  #fire(timer: { at: number; wake: () => void }): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
    this.#now = Math.max(this.#now, timer.at);
    timer.wake();
  }
}
