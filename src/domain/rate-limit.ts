/** `count` per `perMs`, of which `burst` may come at once. */
export interface Rate {
  readonly count: number;
  readonly perMs: number;
  readonly burst: number;
}

/** A rate as it is kept: whole microseconds, so that nothing is lost or gained by rounding. */
export interface RateTerms {
  /** Between two requests at the steady rate. */
  readonly intervalUs: number;
  /** How far ahead of the clock the next request's theoretical time may lie. */
  readonly toleranceUs: number;
}

export type RateAnswer =
  /** `tatUs` is the theoretical arrival time to be kept for the key. */
  | { readonly allowed: true; readonly tatUs: number }
  /** The first whole millisecond at which the same request is allowed, if nobody else comes. */
  | { readonly allowed: false; readonly retryAfterMs: number };

const US = 1_000;

export function rateTerms(rate: Rate): RateTerms {
  // Rounded up: a rate is never exceeded, it may be missed by less than a microsecond a request.
  const intervalUs = Math.ceil((rate.perMs * US) / rate.count);
  return { intervalUs, toleranceUs: intervalUs * (rate.burst - 1) };
}

/**
 * The generic cell rate algorithm: one number per key, exact waiting times, and in any window of length T no more than
 * `burst + T / interval` requests. `tatUs` is what was kept for the key, 0 for one not seen before. Pure.
 */
export function takeRate(tatUs: number, terms: RateTerms, nowMs: number): RateAnswer {
  const nowUs = nowMs * US;
  const base = Math.max(tatUs, nowUs);
  const ahead = base - nowUs - terms.toleranceUs;
  if (ahead > 0) return { allowed: false, retryAfterMs: Math.ceil(ahead / US) };
  return { allowed: true, tatUs: base + terms.intervalUs };
}
