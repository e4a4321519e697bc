import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Price, PriceSource } from "../contracts/price-source.ts";
import { addUsage, NO_USAGE } from "../domain/message.ts";
import { ModelBook } from "./book.ts";
import { CATALOGUE } from "./catalogue.ts";
import { costMicros, PRICES, priceOf } from "./prices.ts";

const million = (bucket: keyof typeof NO_USAGE) => ({ ...NO_USAGE, [bucket]: 1_000_000 });
const HAIKU: Price = { input: 1_000_000, cacheRead: 100_000, cacheWrite: 1_250_000, output: 5_000_000 };
const doubled = (price: Price) => ({
  input: 2 * price.input,
  cacheRead: 2 * price.cacheRead,
  cacheWrite: 2 * price.cacheWrite,
  output: 2 * price.output,
});

describe("costMicros", () => {
  test("prices each bucket by itself", () => {
    expect(costMicros(HAIKU, million("input"))).toBe(1_000_000);
    expect(costMicros(HAIKU, million("cacheRead"))).toBe(100_000);
    expect(costMicros(HAIKU, million("cacheWrite"))).toBe(1_250_000);
    expect(costMicros(HAIKU, million("output"))).toBe(5_000_000);
    expect(costMicros(HAIKU, million("reasoning"))).toBe(5_000_000);
  });

  test("a long prompt has its own rates, cached tokens counted in", () => {
    const tiers = [
      { aboveTokens: 200_000, ...doubled(HAIKU) },
      { aboveTokens: 500_000, ...doubled(doubled(HAIKU)) },
    ];
    const price = { ...HAIKU, tiers };
    expect(costMicros(price, { ...NO_USAGE, input: 200_000 })).toBe(200_000);
    expect(costMicros(price, { ...NO_USAGE, input: 200_000, cacheRead: 1 })).toBe(400_001);
    expect(costMicros(price, { ...NO_USAGE, input: 500_001 })).toBe(2_000_004);
  });

  test("an unknown model has no price, which is not a price of zero", () => {
    expect(priceOf(PRICES, "anthropic", "claude-next")).toBeNull();
    expect(costMicros(null, million("input"))).toBeNull();
    expect(costMicros(priceOf(PRICES, "ollama", "qwen3:8b"), million("input"))).toBe(0);
  });

  test("grows with every bucket, and splitting a call never makes it cheaper", () => {
    const tokens = fc.nat(5_000_000);
    const usage = fc.record({
      input: tokens,
      cacheRead: tokens,
      cacheWrite: tokens,
      output: tokens,
      reasoning: tokens,
    });
    fc.assert(
      fc.property(usage, usage, (a, b) => {
        const [whole, first, second] = [addUsage(a, b), a, b].map((part) => costMicros(HAIKU, part) ?? -1);
        return whole! <= first! + second! && whole! >= Math.max(first!, second!);
      }),
    );
  });
});

describe("ModelBook", () => {
  const bookOf = (now: () => number, asked: string[]) => {
    const source: PriceSource = {
      find: (provider, model, at) => {
        asked.push(`${provider}/${model} ${at}`);
        return model === "claude-haiku-4-5" || model === "priced"
          ? { price: { ...HAIKU, input: at }, contextTokens: 32_000 }
          : null;
      },
    };
    const own = { "acme/priced": { ...HAIKU, input: 7 } };
    return new ModelBook({ catalogue: CATALOGUE, prices: { ...PRICES, ...own }, source, now });
  };

  test("own prices go before the list, the catalogue's windows too, and unknown stays unknown", () => {
    const book = bookOf(() => 1_000, []);
    expect(book.of("acme", "priced")).toMatchObject({
      price: { input: 7 },
      traits: { contextTokens: 32_000 },
    });
    const haiku = book.of("anthropic", "claude-haiku-4-5");
    expect(haiku).toMatchObject({ price: { input: 1_000 }, traits: { contextTokens: 200_000 } });
    expect(book.of("acme", "other")).toMatchObject({ price: null, traits: { contextTokens: null } });
  });

  test("asks the list again after a while, and not before", () => {
    let now = 1_000;
    const asked: string[] = [];
    const book = bookOf(() => now, asked);
    const priceNow = () => book.of("other", "priced").price?.input;
    expect([priceNow(), priceNow()]).toEqual([1_000, 1_000]);
    now += 600_000;
    expect(priceNow()).toBe(601_000);
    expect(asked).toHaveLength(2);
  });
});
