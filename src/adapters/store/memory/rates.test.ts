import { expect, it } from "vitest";
import { realClock } from "../../../../tests/support/real-clock.ts";
import { rateLimitStoreSuite } from "../../../contracts/rate-limit-store.suite.ts";
import { rateTerms } from "../../../domain/rate-limit.ts";
import { createMemoryRates } from "./rates.ts";

rateLimitStoreSuite("memory", async () => ({
  store: createMemoryRates(realClock),
  others: [],
  close: async () => {},
}));

it("gives the burst back in time, by the given clock", async () => {
  let now = 1_000;
  const store = createMemoryRates({ now: () => now });
  const ask = [{ key: "a", terms: rateTerms({ count: 60, perMs: 60_000, burst: 2 }) }];
  const take = async () => (await store.take(ask)).allowed;
  expect([await take(), await take(), await take()]).toEqual([true, true, false]);
  now += 999;
  expect(await take()).toBe(false);
  now += 1;
  expect([await take(), await take()]).toEqual([true, false]);
});

it("forgets first what has nothing to say any more", async () => {
  let now = 1_000_000;
  const store = createMemoryRates({ now: () => now });
  const slow = rateTerms({ count: 1, perMs: 3_600_000, burst: 1 });
  const quick = rateTerms({ count: 1_000, perMs: 1_000, burst: 1 });
  await store.take([{ key: "kept", terms: slow }]);
  for (let n = 0; n < 100_000; n += 1) {
    now += 1;
    await store.take([{ key: `passing-${n}`, terms: quick }]);
  }
  expect(await store.take([{ key: "kept", terms: slow }])).toMatchObject({ allowed: false, key: "kept" });
});
