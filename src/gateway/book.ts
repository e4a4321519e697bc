import type { Price, PriceSource } from "../contracts/price-source.ts";
import { type Catalogue, type ModelTraits, traitsOf } from "./catalogue.ts";
import { type PriceTable, priceOf } from "./prices.ts";

/** Prices change with the date, and of some vendors with the hour: what was looked up is believed for so long. */
const BELIEVED_MS = 600_000;
/** Models remembered; beyond that all are looked up anew. */
const MAX_REMEMBERED = 1_000;

export interface Entry {
  readonly traits: ModelTraits;
  readonly price: Price | null;
}

/** What is known of each model: own settings first, then the built-in catalogue, then the price list. */
export class ModelBook {
  readonly #options: BookOptions;
  readonly #entries = new Map<string, Entry & { readonly until: number }>();

  constructor(options: BookOptions) {
    this.#options = options;
  }

  of(provider: string, model: string): Entry {
    const now = this.#options.now();
    const key = `${provider}/${model}`;
    const known = this.#entries.get(key);
    if (known !== undefined && now < known.until) return known;
    if (this.#entries.size >= MAX_REMEMBERED) this.#entries.clear();
    const made = { ...this.#lookUp(provider, model, now), until: now + BELIEVED_MS };
    this.#entries.set(key, made);
    return made;
  }

  #lookUp(provider: string, model: string, now: number): Entry {
    const { catalogue, prices, source } = this.#options;
    const traits = traitsOf(catalogue, provider, model);
    const listed = source?.find(provider, model, now) ?? null;
    return {
      traits: { ...traits, contextTokens: traits.contextTokens ?? listed?.contextTokens ?? null },
      price: priceOf(prices, provider, model) ?? listed?.price ?? null,
    };
  }
}

export interface BookOptions {
  readonly catalogue: Catalogue;
  readonly prices: PriceTable;
  readonly source: PriceSource | undefined;
  readonly now: () => number;
}
