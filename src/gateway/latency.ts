/** ms over which a new sample's weight builds up, when samples are many. */
const FAST_TAU_MS = 10_000;
/** A single sample never counts for less or more than this, however close or far it lies. */
const MIN_WEIGHT = 0.02;
const MAX_WEIGHT = 0.3;
/** Weight of a sample in the long-run level. */
const BASE_WEIGHT = 0.005;
/** ms after which, without samples, an estimate has gone two thirds of the way back to the long-run level. */
const RELAX_MS = 60_000;
const RING = 100;
const TAIL = 0.95;

/**
 * Time-decayed mean of the logarithm of a duration, which relaxes to its long-run level while nothing is heard, so that
 * a model that was slow is not shunned for ever; and the tail of the last hundred samples.
 */
export class LatencyTrack {
  count = 0;
  #fast = 0;
  #base = 0;
  #at = 0;
  readonly #ring: number[] = [];
  #p95 = 0;
  #p95Count = -1;

  observe(ms: number, now: number): void {
    const x = Math.log(Math.max(1, ms));
    const level = this.#level(now);
    const weight = Math.min(MAX_WEIGHT, Math.max(MIN_WEIGHT, 1 - Math.exp(-(now - this.#at) / FAST_TAU_MS)));
    this.#fast = this.count === 0 ? x : level + weight * (x - level);
    // A plain mean at first, so that the first sample does not weigh for ever.
    this.#base += Math.max(BASE_WEIGHT, 1 / (this.count + 1)) * (x - this.#base);
    this.#at = now;
    this.#ring[this.count % RING] = ms;
    this.count += 1;
  }

  /** Of the last sample. */
  get at(): number {
    return this.#at;
  }

  /** ms; `null` before the first sample. */
  estimate(now: number): number | null {
    return this.count === 0 ? null : Math.exp(this.#level(now));
  }

  /** ms, of the last hundred samples; `null` before there are `least`. */
  p95(least: number): number | null {
    if (this.count < least) return null;
    if (this.#p95Count < 0 || this.count - this.#p95Count >= Math.min(RING / 10, this.count / 10)) {
      const sorted = this.#ring.toSorted((a, b) => a - b);
      this.#p95 = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * TAIL))] as number;
      this.#p95Count = this.count;
    }
    return this.#p95;
  }

  #level(now: number): number {
    return this.#base + (this.#fast - this.#base) * Math.exp(-Math.max(0, now - this.#at) / RELAX_MS);
  }
}

/** A share that forgets: each event's weight falls to a third in `tauMs`. */
export class DecayedRatio {
  #bad = 0;
  #all = 0;
  #at = 0;
  readonly #tauMs: number;
  /** Imagined good events, so that one failure among few is not taken for the rule. */
  readonly #prior: number;

  constructor(tauMs: number, prior: number) {
    this.#tauMs = tauMs;
    this.#prior = prior;
  }

  observe(bad: boolean, now: number): void {
    const keep = Math.exp(-Math.max(0, now - this.#at) / this.#tauMs);
    this.#bad = this.#bad * keep + (bad ? 1 : 0);
    this.#all = this.#all * keep + 1;
    this.#at = now;
  }

  value(now: number): number {
    const keep = Math.exp(-Math.max(0, now - this.#at) / this.#tauMs);
    return (this.#bad * keep) / (this.#all * keep + this.#prior);
  }
}
