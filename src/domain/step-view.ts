import type { Json } from "../base/json.ts";
import type { Failure } from "./errors.ts";
import type { Wait } from "./outcome.ts";
import type { StepStatus } from "./run.ts";

/** A step, or one instance of a foreach, as people look at it. Times are ms since the epoch. */
export interface StepView {
  /** `build`, or `build#3` for an instance. */
  readonly id: string;
  readonly status: StepStatus;
  /** Attempts begun so far. */
  readonly attempts: number;
  /** Start of the first attempt. */
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly waits: readonly Wait[];
  readonly retryAt: number | null;
  /** `null` when there is none, or when it is larger than is shown: then `outputChars` says so. */
  readonly output: Json;
  readonly outputChars: number;
  /** Of the latest attempt that failed; gone when a later one succeeded. */
  readonly failure: Failure | null;
  /** Why it was skipped or canceled. */
  readonly reason: string | null;
  /** Of a foreach, once it has been expanded. */
  readonly instances: { readonly total: number; readonly ended: number } | null;
  /** Turns that its agent has begun in the latest attempt; 0 for what is no agent. */
  readonly turns: number;
  readonly lastNote: { readonly name: string; readonly at: number } | null;
}

export type Draft<T> = { -readonly [K in keyof T]: T[K] };

export function newStep(id: string): Draft<StepView> {
  return {
    id,
    status: "pending",
    attempts: 0,
    startedAt: null,
    endedAt: null,
    waits: [],
    retryAt: null,
    output: null,
    outputChars: 0,
    failure: null,
    reason: null,
    instances: null,
    turns: 0,
    lastNote: null,
  };
}

/** `build#3` → `build`; `null` for a step that is no instance. */
export function parentOf(id: string): string | null {
  const at = id.lastIndexOf("#");
  return at < 0 ? null : id.slice(0, at);
}
