import { createRequire } from "node:module";
import type { ModelPrice } from "@pydantic/genai-prices";
import type { Price, PriceSource, Rates } from "../../contracts/price-source.ts";

type Library = typeof import("@pydantic/genai-prices");

const load = createRequire(import.meta.url);
let loaded: Library | null = null;
/** Its data are two megabytes, about 100 ms to read: who asks no price need not pay for it. */
function library(): Library {
  loaded ??= load("@pydantic/genai-prices") as Library;
  return loaded;
}

const MICROS = 1_000_000;
/** Calls are priced by us from these rates; this one only makes the library look a model up. */
const NOTHING_USED = { input_tokens: 0, output_tokens: 0 };

/**
 * The price list that is shipped with `@pydantic/genai-prices`. It is asked for rates, not for sums: its usage counts
 * cached tokens into the input, ours keeps the buckets apart, and adding up in one place counts nothing twice.
 *
 * `baseUrls` says where a provider is reached whose name the list may not know.
 */
export function genaiPrices(
  options: { readonly baseUrls?: Readonly<Record<string, string>> } = {},
): PriceSource {
  return {
    find: (provider, model, at) => {
      const providerId = idOf(provider, options.baseUrls?.[provider]);
      if (providerId === null) return null;
      const found = library().calcPrice(NOTHING_USED, model, { providerId, timestamp: new Date(at) });
      if (found === null) return null;
      return { price: priceFrom(found.model_price), contextTokens: found.model.context_window ?? null };
    },
  };
}

/** By its own name first; a proxy under another address may still be billed as what it is named after. */
function idOf(provider: string, baseUrl: string | undefined): string | null {
  const { findProvider } = library();
  const named = findProvider({ providerId: provider });
  if (named !== undefined) return named.id;
  return baseUrl === undefined ? null : (findProvider({ providerApiUrl: baseUrl })?.id ?? null);
}

/** `null` when it has no price by token, for input and for output. */
function priceFrom(listed: ModelPrice): Price | null {
  const starts = new Set<number>();
  for (const field of ["input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok"]) {
    const value = listed[field];
    if (typeof value === "object") for (const { start } of value.tiers) starts.add(start);
  }
  const base = ratesAt(listed, 0);
  if (base === null) return null;
  const tiers = [...starts]
    .sort((a, b) => a - b)
    .flatMap((aboveTokens) => {
      const rates = ratesAt(listed, aboveTokens + 1);
      return rates === null ? [] : [{ aboveTokens, ...rates }];
    });
  return tiers.length === 0 ? base : { ...base, tiers };
}

function ratesAt(listed: ModelPrice, promptTokens: number): Rates | null {
  const rate = (field: string): number | null => {
    const value = listed[field];
    if (value === undefined) return null;
    if (typeof value === "number") return Math.round(value * MICROS);
    const tier = value.tiers.toSorted((a, b) => b.start - a.start).find(({ start }) => promptTokens > start);
    return Math.round((tier?.price ?? value.base) * MICROS);
  };
  const input = rate("input_mtok");
  const output = rate("output_mtok");
  if (input === null || output === null) return null;
  // Where a list has no rate of its own for the cache, its tokens cost what any input costs.
  const cacheRead = rate("cache_read_mtok") ?? input;
  const cacheWrite = rate("cache_write_mtok") ?? input;
  return { input, cacheRead, cacheWrite, output };
}
