import { describe, expect, test } from "vitest";
import { genaiPrices } from "./genai-prices.ts";

const AT = Date.parse("2026-11-20T12:00:00Z");
const prices = genaiPrices({
  baseUrls: { fast: "https://api.groq.com/openai/v1", vllm: "http://127.0.0.1:8000/v1" },
});

describe("genaiPrices", () => {
  test("knows what vendors charge by bucket, in micro-dollars per million tokens", () => {
    expect(prices.find("anthropic", "claude-haiku-4-5-20251001", AT)?.price).toEqual({
      input: 1_000_000,
      cacheRead: 100_000,
      cacheWrite: 1_250_000,
      output: 5_000_000,
    });
  });

  test("without a rate for the cache its tokens cost what input costs, never nothing", () => {
    const openai = prices.find("openai", "gpt-5-mini", AT)?.price;
    expect(openai).toMatchObject({ input: 250_000, cacheRead: 25_000, cacheWrite: 250_000 });
  });

  test("knows the rates of long prompts", () => {
    const pro = prices.find("google", "gemini-2.5-pro", AT)?.price;
    expect(pro).toMatchObject({ input: 1_250_000, output: 10_000_000 });
    expect(pro?.tiers).toEqual([
      {
        aboveTokens: 200_000,
        input: 2_500_000,
        cacheRead: 250_000,
        cacheWrite: 2_500_000,
        output: 15_000_000,
      },
    ]);
  });

  test("finds a provider of another name by its address, and a proxy by none", () => {
    expect(prices.find("fast", "llama-3.3-70b-versatile", AT)?.price?.input).toBe(590_000);
    expect(prices.find("vllm", "llama-3.3-70b-versatile", AT)).toBeNull();
    expect(prices.find("acme", "gpt-5", AT)).toBeNull();
  });

  test("has no price for what it does not know, and none for what is not sold by the token", () => {
    expect(prices.find("anthropic", "claude-next", AT)).toBeNull();
    expect(prices.find("openai", "gpt-5-experimental", AT)).toBeNull();
    expect(prices.find("openai", "text-embedding-3-small", AT)?.price).toBeNull();
  });

  test("every model that has a tier by default here has a price", () => {
    for (const [provider, model] of [
      ["anthropic", "claude-sonnet-5"],
      ["anthropic", "claude-opus-5-5"],
      ["google", "gemini-3.5-flash"],
      ["openai", "gpt-5.5"],
    ] as const) {
      expect(prices.find(provider, model, AT)?.price?.output, `${provider}/${model}`).toBeGreaterThan(0);
    }
  });
});
