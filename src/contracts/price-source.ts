/** Micro-US-dollars per million tokens, by bucket of `Usage`; reasoning is billed as output. */
export interface Rates {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
}

export interface Price extends Rates {
  /** Rates of the whole call when its prompt, cached tokens counted in, holds more than `aboveTokens`; lowest first. */
  readonly tiers?: readonly (Rates & { readonly aboveTokens: number })[];
}

/** What a price list knows of a model. Prices change with the date and sometimes with the hour. */
export interface PriceSource {
  /** `provider` as it is configured here; `at` in ms since the epoch. `null` when the list does not have the model. */
  find(
    provider: string,
    model: string,
    at: number,
  ): { readonly price: Price | null; readonly contextTokens: number | null } | null;
}
