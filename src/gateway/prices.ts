import type { Usage } from "../domain/message.ts";

interface Rates {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
}

/** Micro-US-dollars per million tokens, by bucket; reasoning is billed as output. */
export interface Price extends Rates {
  /** The rates of the whole call when its prompt holds more than `aboveTokens` tokens. */
  readonly long?: Rates & { readonly aboveTokens: number };
}

/** By `provider/model`; `provider/*` for every model of a provider that has no price of its own. */
export type PriceTable = Readonly<Record<string, Price>>;

/** US dollars per million tokens, in the order in which vendors print them. */
function usd(input: number, cacheRead: number, cacheWrite: number, output: number): Rates {
  const micros = (dollars: number) => Math.round(dollars * 1_000_000);
  return {
    input: micros(input),
    cacheRead: micros(cacheRead),
    cacheWrite: micros(cacheWrite),
    output: micros(output),
  };
}

const FREE = usd(0, 0, 0, 0);

/** List prices as published in November 2026. A model that is not here has no known price, and its cost is `null`. */
export const PRICES: PriceTable = {
  "anthropic/claude-opus-5-5": usd(4, 0.2, 5, 20),
  "anthropic/claude-opus-5": usd(5, 0.5, 6.25, 25),
  "anthropic/claude-opus-4-8": usd(5, 0.5, 6.25, 25),
  "anthropic/claude-opus-4-5": usd(5, 0.5, 6.25, 25),
  "anthropic/claude-sonnet-5": usd(2, 0.2, 2.5, 10),
  "anthropic/claude-sonnet-4-6": usd(3, 0.3, 3.75, 15),
  "anthropic/claude-sonnet-4-5": {
    ...usd(3, 0.3, 3.75, 15),
    long: { aboveTokens: 200_000, ...usd(6, 0.6, 7.5, 22.5) },
  },
  "anthropic/claude-haiku-4-5": usd(1, 0.1, 1.25, 5),
  "google/gemini-3.8-flash": usd(0.75, 0.075, 0.75, 3.75),
  "google/gemini-3.5-flash": usd(1.5, 0.15, 1.5, 9),
  "google/gemini-3.5-flash-lite": usd(0.3, 0.03, 0.3, 2.5),
  "google/gemini-3.1-pro-preview": {
    ...usd(2, 0.2, 2, 12),
    long: { aboveTokens: 200_000, ...usd(4, 0.4, 4, 18) },
  },
  "google/gemini-2.5-pro": {
    ...usd(1.25, 0.125, 1.25, 10),
    long: { aboveTokens: 200_000, ...usd(2.5, 0.25, 2.5, 15) },
  },
  "google/gemini-2.5-flash": usd(0.3, 0.03, 0.3, 2.5),
  "openai/gpt-5.5": { ...usd(5, 0.5, 5, 30), long: { aboveTokens: 272_000, ...usd(10, 1, 10, 45) } },
  "openai/gpt-5.2": usd(1.75, 0.175, 1.75, 14),
  "openai/gpt-5": usd(1.25, 0.125, 1.25, 10),
  "openai/gpt-5-mini": usd(0.25, 0.025, 0.25, 2),
  "openai/gpt-4.1": usd(2, 0.5, 2, 8),
  "openai/gpt-4o-mini": usd(0.15, 0.075, 0.15, 0.6),
  "ollama/*": FREE,
  "scripted/*": FREE,
};

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
  const rates = price.long !== undefined && prompt > price.long.aboveTokens ? price.long : price;
  const millionths =
    usage.input * rates.input +
    usage.cacheRead * rates.cacheRead +
    usage.cacheWrite * rates.cacheWrite +
    (usage.output + usage.reasoning) * rates.output;
  return Math.ceil(millionths / 1_000_000);
}
