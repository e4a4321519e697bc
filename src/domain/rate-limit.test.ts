import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Rate, rateTerms, takeRate } from "./rate-limit.ts";

const perMinute = (count: number, burst: number): Rate => ({ count, perMs: 60_000, burst });

/** Requests at the given moments; those that were let in. */
function admitted(rate: Rate, moments: readonly number[]): number[] {
  const terms = rateTerms(rate);
  const taken: number[] = [];
  let tat = 0;
  for (const now of moments) {
    const answer = takeRate(tat, terms, now);
    if (!answer.allowed) continue;
    tat = answer.tatUs;
    taken.push(now);
  }
  return taken;
}

describe("rates", () => {
  it("lets a burst in, then one per interval", () => {
    const terms = rateTerms(perMinute(60, 3));
    expect(terms).toEqual({ intervalUs: 1_000_000, toleranceUs: 2_000_000 });
    expect(admitted(perMinute(60, 3), [0, 0, 0, 0, 999, 1_000, 1_000, 1_999, 2_000])).toEqual([
      0, 0, 0, 1_000, 2_000,
    ]);
  });

  it("gives the burst back after silence, and no more than the burst", () => {
    expect(admitted(perMinute(60, 2), [0, 0, 600_000, 600_000, 600_000]).length).toBe(4);
  });

  it("says how long to wait, to the millisecond", () => {
    const terms = rateTerms(perMinute(7, 1));
    const first = takeRate(0, terms, 1_000);
    if (!first.allowed) throw new Error("the first is allowed");
    const second = takeRate(first.tatUs, terms, 1_001);
    expect(second).toEqual({ allowed: false, retryAfterMs: 8_571 });
    expect(takeRate(first.tatUs, terms, 1_001 + 8_570).allowed).toBe(false);
    expect(takeRate(first.tatUs, terms, 1_001 + 8_571).allowed).toBe(true);
  });

  const rates = fc.record({
    count: fc.integer({ min: 1, max: 5_000 }),
    perMs: fc.constantFrom(1_000, 60_000, 3_600_000),
    burst: fc.integer({ min: 1, max: 50 }),
  });
  const gaps = fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 120 });

  it("P9: any window of length T admits at most burst + rate × T", () => {
    fc.assert(
      fc.property(rates, gaps, (rate, between) => {
        let now = 1_700_000_000_000;
        const moments = between.map((gap) => {
          now += gap;
          return now;
        });
        const taken = admitted(rate, moments);
        for (const [i, from] of taken.entries()) {
          for (let j = i; j < taken.length; j += 1) {
            const window = (taken[j] ?? from) - from;
            expect(j - i + 1).toBeLessThanOrEqual(rate.burst + (window * rate.count) / rate.perMs + 1e-6);
          }
        }
      }),
    );
  });

  it("P9: the waiting time is tight: that moment is allowed, the millisecond before is not", () => {
    fc.assert(
      fc.property(rates, gaps, (rate, between) => {
        const terms = rateTerms(rate);
        let now = 1_700_000_000_000;
        let tat = 0;
        for (const gap of between) {
          now += gap;
          const answer = takeRate(tat, terms, now);
          if (answer.allowed) tat = answer.tatUs;
          else {
            expect(takeRate(tat, terms, now + answer.retryAfterMs).allowed).toBe(true);
            expect(takeRate(tat, terms, now + answer.retryAfterMs - 1).allowed).toBe(false);
          }
        }
      }),
    );
  });
});
