import type { Clock } from "../../../base/clock.ts";
import type { RateAsk, RateLimitStore, RateTaken } from "../../../contracts/rate-limit-store.ts";
import { takeRate } from "../../../domain/rate-limit.ts";

/** Keys remembered; beyond them those that have the least to remember are forgotten. */
const MOST_KEYS = 100_000;

/** Rates of one process. */
export function createMemoryRates(clock: Pick<Clock, "now">): RateLimitStore {
  const kept = new Map<string, number>();
  return {
    async take(asks) {
      const now = clock.now();
      const answer = takeAll(asks, now, (key) => kept.get(key) ?? 0);
      if (!("tats" in answer)) return answer;
      for (const [key, tat] of answer.tats) {
        // The keys used last stand at the end.
        kept.delete(key);
        kept.set(key, tat);
      }
      if (kept.size > MOST_KEYS) forget(kept, now);
      return { allowed: true };
    },
  };
}

/** What each key is to remember when all allow it, else the refusal that lasts longest. */
export function takeAll(
  asks: readonly RateAsk[],
  now: number,
  tatOf: (key: string) => number,
): { readonly tats: ReadonlyMap<string, number> } | Extract<RateTaken, { allowed: false }> {
  const tats = new Map<string, number>();
  let refused: Extract<RateTaken, { allowed: false }> | null = null;
  for (const { key, terms } of asks) {
    const answer = takeRate(tats.get(key) ?? tatOf(key), terms, now);
    if (answer.allowed) tats.set(key, answer.tatUs);
    else if (refused === null || answer.retryAfterMs > refused.retryAfterMs) {
      refused = { allowed: false, key, retryAfterMs: answer.retryAfterMs };
    }
  }
  return refused ?? { tats };
}

/** First what is as good as new by now, then the oldest. */
function forget(kept: Map<string, number>, now: number): void {
  const nowUs = now * 1_000;
  for (const [key, tat] of kept) if (tat <= nowUs) kept.delete(key);
  for (const key of kept.keys()) {
    if (kept.size <= MOST_KEYS) return;
    kept.delete(key);
  }
}
