import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../src/base/clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  wake: (() => void) | null;
}

/** Time that passes only from event to event: hours in seconds. Timers due at once fire in the order they were set. */
export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  readonly #heap: Timer[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, wake: () => void): () => void {
    this.#order += 1;
    // Whole milliseconds, as real clocks have them.
    const timer: Timer = { at: this.#now + Math.ceil(ms), order: this.#order, wake };
    this.#push(timer);
    return () => {
      timer.wake = null;
    };
  }

  /** Until nothing is left to happen. */
  async run(): Promise<void> {
    for (let next = this.#pop(); next !== null; next = this.#pop()) {
      if (next.wake === null) continue;
      this.#now = next.at;
      next.wake();
      await setImmediate();
    }
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(timer, heap[parent] as Timer)) break;
      heap[at] = heap[parent] as Timer;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): Timer | null {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return null;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Timer, heap[child] as Timer)) child += 1;
      if (!before(heap[child] as Timer, last)) break;
      heap[at] = heap[child] as Timer;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
