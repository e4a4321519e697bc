import type { Clock } from "./clock.ts";

/** One look at a clock that counts more than this process's own. */
export interface Look {
  /** Ticks right before it was asked and right after it had answered. */
  readonly asked: number;
  readonly answered: number;
  /** What it said, in ms since the epoch; it says whole ones. */
  readonly said: number;
}

/** How far the time may have to go back and still stand still until it is true again, in ms; beyond it steps. */
const LONGEST_STANDSTILL_MS = 60_000;
/** A clock that says whole ms is right within one. */
const GRAIN_MS = 1;

/**
 * Time by another clock (the database's), carried on between two looks by a counter that only grows: the own wall
 * clock may be wrong, or jump, and nobody notices. It does not go backwards, except after a correction of more than
 * a minute.
 */
export class SteadyClock implements Clock {
  readonly #local: Clock;
  readonly #ticks: () => number;
  #offset: number;
  #last = Number.NEGATIVE_INFINITY;

  /** `ticks` are ms from anywhere. Until the first look it is the local clock's time. */
  constructor(of: { readonly local: Clock; readonly ticks: () => number }) {
    this.#local = of.local;
    this.#ticks = of.ticks;
    this.#offset = of.local.now() - of.ticks();
  }

  now(): number {
    const now = Math.floor(this.#ticks() + this.#offset);
    this.#last = this.#last - now > LONGEST_STANDSTILL_MS ? now : Math.max(this.#last, now);
    return this.#last;
  }

  after(ms: number, wake: () => void): () => void {
    return this.#local.after(ms, wake);
  }

  /**
   * Believes a look as far as it can be believed: the answer was true at some moment between asking and hearing it.
   * Returns by how many ms the time was moved.
   */
  correct({ asked, answered, said }: Look): number {
    const least = said - answered;
    const most = said + GRAIN_MS - asked;
    const offset = Math.min(Math.max(this.#offset, least), most);
    const moved = offset - this.#offset;
    this.#offset = offset;
    return moved;
  }
}
