import type { Json } from "../base/json.ts";
import type { Failure } from "./errors.ts";

/**
 * What may be done with an intent that has no outcome (the process died in between):
 * `pure` do it again · `idempotent` do it again with the same key · `query` ask the world whether it happened ·
 * `manual` park as uncertain and ask a person.
 */
export type EffectClass = "pure" | "idempotent" | "query" | "manual";

export type EffectResult =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly failure: Failure };
