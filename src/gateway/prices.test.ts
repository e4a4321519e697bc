import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addUsage, NO_USAGE } from "../domain/message.ts";
import { costMicros, PRICES, priceOf } from "./prices.ts";

const million = (bucket: keyof typeof NO_USAGE) => ({ ...NO_USAGE, [bucket]: 1_000_000 });

describe("costMicros", () => {
  test("prices each bucket by itself", () => {
    const haiku = priceOf(PRICES, "anthropic", "claude-haiku-4-5-20251001");
    expect(costMicros(haiku, million("input"))).toBe(1_000_000);
    expect(costMicros(haiku, million("cacheRead"))).toBe(100_000);
    expect(costMicros(haiku, million("cacheWrite"))).toBe(1_250_000);
    expect(costMicros(haiku, million("output"))).toBe(5_000_000);
    expect(costMicros(haiku, million("reasoning"))).toBe(5_000_000);
  });

  test("a long prompt has its own rates, cached tokens counted in", () => {
    const pro = priceOf(PRICES, "google", "gemini-2.5-pro");
    expect(costMicros(pro, { ...NO_USAGE, input: 200_000 })).toBe(250_000);
    expect(costMicros(pro, { ...NO_USAGE, input: 200_000, cacheRead: 1 })).toBe(500_001);
  });

  test("an unknown model has no price, which is not a price of zero", () => {
    expect(priceOf(PRICES, "anthropic", "claude-next")).toBeNull();
    expect(priceOf(PRICES, "openai", "gpt-5-experimental")).toBeNull();
    expect(costMicros(null, million("input"))).toBeNull();
    expect(costMicros(priceOf(PRICES, "ollama", "qwen3:8b"), million("input"))).toBe(0);
  });

  test("grows with every bucket, and splitting a call never makes it cheaper", () => {
    const price = priceOf(PRICES, "anthropic", "claude-sonnet-5");
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
        const [whole, first, second] = [addUsage(a, b), a, b].map((part) => costMicros(price, part) ?? -1);
        return whole! <= first! + second! && whole! >= Math.max(first!, second!);
      }),
    );
  });
});
