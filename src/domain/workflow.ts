import type { Json, JsonObject } from "../base/json.ts";
import type { Slot } from "./fact.ts";
import type { RetryPolicy } from "./retry.ts";
import type { Trigger } from "./schedule.ts";

/** What a workflow does when a step has failed for good. */
export type OnFailure =
  | { readonly kind: "fail" }
  | { readonly kind: "continue" }
  /** Runs the named step; if it succeeds the failure counts as handled. */
  | { readonly kind: "run"; readonly step: string };

export interface Foreach {
  /** Expression that yields a list; each member is `item` (and `index`) in `with`. */
  readonly items: string;
  readonly maxParallel: number;
  /** Stop starting further instances once one has failed. */
  readonly failFast: boolean;
}

export interface StepSpec {
  /** `[a-z][a-z0-9_]*`, so that `steps.<id>` is a valid expression. */
  readonly id: string;
  /** Name of an action in the registry, e.g. `agent`. */
  readonly uses: string;
  /** Arguments of the action; strings may hold `${{ … }}`. */
  readonly with: JsonObject;
  readonly needs: readonly string[];
  /** Expression without its `${{ }}`; absent means `success()`. */
  readonly if?: string;
  readonly retry: RetryPolicy;
  readonly timeoutMs?: number;
  readonly foreach?: Foreach;
  readonly onFailure: OnFailure;
  /** Name → expression over `result`; absent means the action's own output. */
  readonly outputs?: Readonly<Record<string, string>>;
}

/** How many runs may go on at a time, and what happens to one that would be too many. */
export interface Concurrency {
  /** A text that may hold `${{ … }}` over `inputs` and `run`: one key for all who name it; `null` is the workflow itself. */
  readonly key: string | null;
  readonly limit: number;
  readonly onConflict: Slot["onConflict"];
}

/** A named, versioned, hashed graph of steps. The hash covers everything but the hash. */
export interface Workflow {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  /** Requests in free words that this is for; absent when the file has none. Part of the hash, as routing depends on it. */
  readonly examples?: readonly string[];
  /** When runs start by themselves; absent when never. */
  readonly triggers?: readonly Trigger[];
  /** sha-256 of the canonical JSON of the definition, hex. */
  readonly hash: string;
  /** JSON Schema (2020-12) of an object. */
  readonly inputs: JsonObject;
  /** Name → expression; evaluated when the run completes. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** What one of its runs may spend, in micro-dollars; a run may be given less, never more. */
  readonly budgetMicros?: number;
  readonly maxParallel: number;
  /** Labels that a worker must all have; absent means any worker. */
  readonly runsOn?: readonly string[];
  readonly concurrency?: Concurrency;
  readonly steps: readonly StepSpec[];
}

/** What an expression may see. `steps` holds only steps that have ended. */
export interface Scope {
  readonly inputs: Json;
  readonly run: { readonly id: string; readonly workflow: string; readonly tenant: string };
  readonly steps: Readonly<
    Record<string, { readonly status: string; readonly outputs: Json; readonly error: Json }>
  >;
  readonly item?: Json;
  readonly index?: number;
  readonly result?: Json;
  /** Behind `success()`, `failure()` and `always()`. */
  readonly status: { readonly success: boolean; readonly failure: boolean };
}

export type Evaluated =
  /** `absent`: an optional without a value (`inputs.?base`); as the whole of a member it leaves the member out. */
  | { readonly ok: true; readonly value: Json; readonly absent?: true }
  | { readonly ok: false; readonly message: string };

/** The expression language as the domain sees it: a pure function, given by `app`. It must not throw. */
export interface Expressions {
  evaluate(expression: string, scope: Scope): Evaluated;
  /** `null` when the expression is well-formed; otherwise what is wrong, and where in it (0-based). */
  check(expression: string): { readonly message: string; readonly offset: number } | null;
  /** Whether `success()`, `failure()` or `always()` occurs: then a failed need does not skip the step by itself. */
  asksStatus(expression: string): boolean;
}
