import type { RateTerms } from "../domain/rate-limit.ts";

export interface RateAsk {
  /** Whose rate it is, e.g. `tenant:acme`. */
  readonly key: string;
  readonly terms: RateTerms;
}

export type RateTaken =
  | { readonly allowed: true }
  /** Nothing was taken of any key. `key` is the one that lets the request wait longest. */
  | { readonly allowed: false; readonly key: string; readonly retryAfterMs: number };

/**
 * Counts requests against rates: as many processes as share the store count as one. What is kept may be lost with the
 * machine; a rate then begins anew.
 */
export interface RateLimitStore {
  /** All of the keys, or none. Rejects only when the store as a whole failed. */
  take(asks: readonly RateAsk[]): Promise<RateTaken>;
}
