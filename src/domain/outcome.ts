import type { Json } from "../base/json.ts";
import type { Failure } from "./errors.ts";

/** What a step rests on. `key` is unique in the step; the first condition to come true wakes it. */
export type Wait =
  | { readonly key: string; readonly on: "signal"; readonly name: string; readonly until: number | null }
  | { readonly key: string; readonly on: "timer"; readonly until: number }
  | { readonly key: string; readonly on: "child"; readonly run: string; readonly until: number | null }
  | {
      readonly key: string;
      readonly on: "approval";
      readonly approval: string;
      readonly until: number | null;
    };

/** How an attempt ended: a closed set. Throws become one of these in exactly one place. */
export type Outcome =
  | { readonly kind: "succeeded"; readonly output: Json }
  | { readonly kind: "failed"; readonly failure: Failure }
  | { readonly kind: "waiting"; readonly waits: readonly Wait[] }
  | { readonly kind: "canceled"; readonly reason: string };
