import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rateTerms } from "../domain/rate-limit.ts";
import type { RateLimitStore } from "./rate-limit-store.ts";

/** A store of its own, and further ways into the same one, as other processes have them. */
export interface RateStoreUnderTest {
  readonly store: RateLimitStore;
  readonly others: readonly RateLimitStore[];
  close(): Promise<void>;
}

/** So slow that nothing comes back while a test runs. */
const once = (burst: number) => rateTerms({ count: 1, perMs: 3_600_000, burst });

export function rateLimitStoreSuite(name: string, open: () => Promise<RateStoreUnderTest>): void {
  describe(`rate limits in ${name}`, () => {
    let under: RateStoreUnderTest;
    beforeAll(async () => {
      under = await open();
    });
    afterAll(() => under.close());

    it("lets a burst in, then says how long to wait", async () => {
      const ask = [{ key: "burst", terms: once(3) }];
      for (let n = 0; n < 3; n += 1) expect(await under.store.take(ask)).toEqual({ allowed: true });
      const refused = await under.store.take(ask);
      expect(refused).toMatchObject({ allowed: false, key: "burst" });
      if (refused.allowed) return;
      expect(refused.retryAfterMs).toBeGreaterThan(3_500_000);
      expect(refused.retryAfterMs).toBeLessThanOrEqual(3_600_000);
    });

    it("takes of all keys or of none, and names the one that is short", async () => {
      const narrow = { key: "narrow", terms: once(1) };
      const wide = { key: "wide", terms: once(3) };
      expect(await under.store.take([wide, narrow])).toEqual({ allowed: true });
      for (let n = 0; n < 5; n += 1) {
        expect(await under.store.take([wide, narrow])).toMatchObject({ allowed: false, key: "narrow" });
      }
      expect(await under.store.take([wide])).toEqual({ allowed: true });
      expect(await under.store.take([wide])).toEqual({ allowed: true });
      expect(await under.store.take([wide])).toMatchObject({ key: "wide" });
    });

    it("has nothing against a request without a rate", async () => {
      expect(await under.store.take([])).toEqual({ allowed: true });
    });

    it("counts what comes at once, through every way in, as one", async () => {
      const ways = [under.store, ...under.others];
      const ask = [
        { key: "crowd", terms: once(25) },
        { key: "crowd/ann", terms: once(40) },
      ];
      const answers = await Promise.all(
        Array.from({ length: 120 }, (_, n) => (ways[n % ways.length] ?? under.store).take(ask)),
      );
      expect(answers.filter((one) => one.allowed).length).toBe(25);
    });
  });
}
