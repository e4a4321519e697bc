import type { QualityTier } from "../domain/routing.ts";
import { withoutPin } from "./prices.ts";

/** What is known of a model beside its price. */
export interface ModelTraits {
  readonly tools: boolean;
  readonly json: boolean;
  /** `null` when unknown. */
  readonly contextTokens: number | null;
  readonly quality: QualityTier;
  /** By stage, where it differs: a model may summarise as well as a better one. */
  readonly qualityByStage?: Readonly<Record<string, QualityTier>>;
  /** Where what it is sent is worked on, in words of one's own: `eu`, `us`, `local`. */
  readonly region?: string;
  /** ms that it may honestly be silent before its first token: hidden reasoning, or weights that have to be loaded. */
  readonly slowStartMs?: number;
}

/** By `provider/model`; `provider/*` for what the entries of its models do not say. */
export type Catalogue = Readonly<Record<string, Partial<ModelTraits>>>;

/** Nothing is held against a model that is not known, and nothing is expected of it. */
const UNKNOWN: ModelTraits = { tools: true, json: true, contextTokens: null, quality: 2 };

const HIDDEN_REASONING_MS = 120_000;
/** As the adapter allows it for a cold start. */
const COLD_START_MS = 240_000;

const traits = (
  contextTokens: number,
  quality: QualityTier,
  more: Partial<ModelTraits> = {},
): Partial<ModelTraits> => ({ contextTokens, quality, ...more });
const reasons = { slowStartMs: HIDDEN_REASONING_MS };
/** Short and mechanical work, at which a smaller model is no worse. */
const small = { qualityByStage: { context: 3, retrieval: 3, summarise: 3 } } as const;

export const CATALOGUE: Catalogue = {
  "anthropic/claude-opus-5-5": traits(1_000_000, 4),
  "anthropic/claude-opus-5": traits(1_000_000, 4),
  "anthropic/claude-opus-4-8": traits(1_000_000, 4),
  "anthropic/claude-opus-4-5": traits(200_000, 4),
  "anthropic/claude-sonnet-5": traits(1_000_000, 3, { qualityByStage: { execute: 4, review: 4 } }),
  "anthropic/claude-sonnet-4-6": traits(1_000_000, 3),
  "anthropic/claude-sonnet-4-5": traits(1_000_000, 3),
  "anthropic/claude-haiku-4-5": traits(200_000, 2, small),
  "google/gemini-3.8-flash": traits(1_048_576, 3, reasons),
  "google/gemini-3.5-flash": traits(1_048_576, 3, reasons),
  "google/gemini-3.5-flash-lite": traits(1_048_576, 2, { ...small, ...reasons }),
  "google/gemini-3.1-pro-preview": traits(1_048_576, 4, reasons),
  "google/gemini-2.5-pro": traits(1_048_576, 3, reasons),
  "google/gemini-2.5-flash": traits(1_048_576, 2, { ...small, ...reasons }),
  "openai/gpt-5.5": traits(1_050_000, 4, reasons),
  "openai/gpt-5.2": traits(400_000, 4, reasons),
  "openai/gpt-5": traits(400_000, 3, reasons),
  "openai/gpt-5-mini": traits(400_000, 2, { ...small, ...reasons }),
  "openai/gpt-4.1": traits(1_047_576, 2),
  "openai/gpt-4o-mini": traits(128_000, 1),
  "ollama/*": { quality: 1, slowStartMs: COLD_START_MS, region: "local" },
  "scripted/*": { region: "local" },
};

export function traitsOf(catalogue: Catalogue, provider: string, model: string): ModelTraits {
  const own = catalogue[`${provider}/${model}`] ?? catalogue[`${provider}/${withoutPin(model)}`];
  return { ...UNKNOWN, ...catalogue[`${provider}/*`], ...own };
}

/** Entry by entry: what is laid over may be about one field only. */
export function laidOver(below: Catalogue, above: Catalogue): Catalogue {
  const merged: Record<string, Partial<ModelTraits>> = { ...below };
  for (const [name, more] of Object.entries(above)) merged[name] = { ...merged[name], ...more };
  return merged;
}

export function qualityFor(of: ModelTraits, stage: string): QualityTier {
  return of.qualityByStage?.[stage] ?? of.quality;
}
