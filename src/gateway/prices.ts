import type { Price } from "../contracts/price-source.ts";
import type { Usage } from "../domain/message.ts";

/** By `provider/model`; `provider/*` for every model of a provider that has no price of its own. */
export type PriceTable = Readonly<Record<string, Price>>;

const FREE: Price = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0 };

/** What no price list says: these run on one's own machines. Everything else is the price source's to know. */
export const PRICES: PriceTable = { "ollama/*": FREE, "scripted/*": FREE };

/** The date that vendors append to a model's name to pin it: `-20250929`, `-2025-08-07`, `-latest`. */
const PIN = /-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$/;

export function withoutPin(model: string): string {
  return model.replace(PIN, "");
}

export function priceOf(table: PriceTable, provider: string, model: string): Price | null {
  const exact = table[`${provider}/${model}`] ?? table[`${provider}/${withoutPin(model)}`];
  return exact ?? table[`${provider}/*`] ?? null;
}

/** Micro-US-dollars, rounded up; `null` for a model without a known price. */
export function costMicros(price: Price | null, usage: Usage): number | null {
  if (price === null) return null;
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite;
  const rates = price.tiers?.findLast(({ aboveTokens }) => prompt > aboveTokens) ?? price;
  const millionths =
    usage.input * rates.input +
    usage.cacheRead * rates.cacheRead +
    usage.cacheWrite * rates.cacheWrite +
    (usage.output + usage.reasoning) * rates.output;
  return Math.ceil(millionths / 1_000_000);
}
