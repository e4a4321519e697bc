import type { Json, JsonObject } from "../base/json.ts";
import type { AgentSpec } from "../domain/agent.ts";

export type BenchStage = AgentSpec["model"]["stage"];

/** One thing that an answer must do. Text is compared without regard to case. */
export type CheckRule =
  /** All of them occur. */
  | { readonly kind: "contains"; readonly texts: readonly string[] }
  /** None of them occurs. */
  | { readonly kind: "lacks"; readonly texts: readonly string[] }
  /** A JavaScript regular expression, in multi-line mode. */
  | { readonly kind: "matches"; readonly pattern: string }
  /** They occur, the first occurrence of each behind that of the one before. */
  | { readonly kind: "order"; readonly texts: readonly string[] }
  /** At most so many words. */
  | { readonly kind: "words"; readonly most: number }
  /** The answer is JSON whose value at a dotted path equals this, contains it, or has so many members. */
  | {
      readonly kind: "value";
      readonly at: string;
      readonly equals?: Json;
      readonly includes?: Json;
      readonly count?: number;
    }
  /** The answer is tried out. */
  | { readonly kind: "passes"; readonly trial: Trial };

export type BenchCheck = CheckRule & {
  /** Its share of the score against the other checks of the task. */
  readonly weight: number;
  /** For the report. */
  readonly what: string;
};

/** How an answer is tried out: put among these files, then one of them is run and must end with 0. */
export interface Trial {
  /** `code`: the new content of `file`; `diff`: a unified diff of the files. */
  readonly answer: "code" | "diff";
  readonly file: string;
  readonly files: Readonly<Record<string, string>>;
  readonly run: string;
}

export interface BenchTask {
  readonly id: string;
  readonly stage: BenchStage;
  readonly title: string;
  readonly system: string;
  readonly prompt: string;
  readonly maxOutputTokens: number;
  /** Schema of the JSON that is asked for; `null` for text. */
  readonly json: JsonObject | null;
  readonly checks: readonly BenchCheck[];
}

/** Tries answers out where they can do no harm to the work of others. Must not throw. */
export interface Trier {
  try(
    trial: Trial,
    answer: string,
    signal: AbortSignal,
  ): Promise<{ readonly passed: boolean; readonly detail: string }>;
}
