import type { Json, JsonObject } from "../base/json.ts";
import type { ApprovalAnswer, ApprovalRequest } from "./approval.ts";
import type { Artifact } from "./artifact.ts";
import type { EffectClass, EffectResult } from "./effect.ts";
import type { Failure } from "./errors.ts";
import type { Intent } from "./intent.ts";
import type { Wait } from "./outcome.ts";
import type { EndedRunStatus } from "./run.ts";
import type { Sla, SlaPart } from "./sla.ts";

/** A share of something that few runs may use at a time: a tenant's or a workflow's cap, or a named resource. */
export interface Slot {
  /** `tenant:acme`, `workflow:code-change`, `key:deploy/prod`; all slots of one key are one. */
  readonly key: string;
  /** How many runs may hold it, at least 1; what the latest admission says counts. */
  readonly limit: number;
  /** `lease`: while a worker drives the run. `run`: from the first claim to the run's end, also while it rests. */
  readonly hold: "lease" | "run";
  /** What happens when the run would be one too many: it waits, it takes the place of older ones, or it is refused. */
  readonly onConflict: "queue" | "cancel_older" | "reject";
}

/** What a run was asked to be; the first fact of every journal. */
export interface RunRequest {
  readonly workflow: { readonly name: string; readonly version: string; readonly hash: string };
  readonly inputs: Json;
  readonly title: string;
  readonly tenant: string;
  readonly queue: string;
  /** 0 is the most urgent class. */
  readonly priority: number;
  readonly deadlineAt: number | null;
  readonly parent: { readonly run: string; readonly step: string; readonly depth: number } | null;
  /** How a free request was routed here; absent when the workflow was named at `POST /runs` or by a parent. */
  readonly intent?: Intent;
  /** The schedule that started it, and the due time (ms since the epoch) it was started for. */
  readonly schedule?: { readonly id: string; readonly dueAt: number };
  /** Who asked; absent where nobody is told apart from the tenant. */
  readonly principal?: string;
  /** Labels that a worker must all have to drive the run; absent means any worker. */
  readonly needs?: readonly string[];
  readonly sla?: Sla;
  /** At most one of a key. */
  readonly slots?: readonly Slot[];
  /** What it and all that it starts may spend, in micro-dollars; absent means that it has no budget of its own. */
  readonly budgetMicros?: number;
  /** The runs it was started from, the first of them first, each with its own budget. */
  readonly lineage?: readonly { readonly run: string; readonly budgetMicros: number | null }[];
}

/**
 * Everything that can have happened in a run. A step is named by its id; an instance of a foreach by `id#index`.
 * Facts are only ever added, by `engine/drive.ts` alone.
 */
export type FactBody =
  | { readonly kind: "run_queued"; readonly request: RunRequest }
  | { readonly kind: "run_started"; readonly worker: string }
  | { readonly kind: "run_resumed_by"; readonly worker: string }
  | { readonly kind: "run_paused"; readonly by: string }
  | { readonly kind: "run_unpaused"; readonly by: string }
  | { readonly kind: "cancel_requested"; readonly by: string; readonly reason: string }
  | { readonly kind: "run_completed"; readonly output: Json }
  | { readonly kind: "run_failed"; readonly failure: Failure }
  | { readonly kind: "run_canceled"; readonly reason: string }
  /** A promise was missed; written once for each, when it is noticed: `byMs` after its moment. */
  | { readonly kind: "sla_breached"; readonly what: SlaPart; readonly byMs: number }
  | { readonly kind: "step_started"; readonly step: string; readonly attempt: number; readonly input: Json }
  | { readonly kind: "step_expanded"; readonly step: string; readonly items: readonly Json[] }
  | {
      readonly kind: "step_waiting";
      readonly step: string;
      readonly attempt: number;
      readonly waits: readonly Wait[];
    }
  | {
      readonly kind: "step_woken";
      readonly step: string;
      readonly attempt: number;
      readonly key: string;
      readonly by:
        | "signal"
        | "timer"
        | "child"
        | "approval"
        | "timeout" /** Id of the signal that ended the wait. */;
      readonly signal: string | null;
    }
  | {
      readonly kind: "step_retrying";
      readonly step: string;
      readonly attempt: number;
      readonly failure: Failure;
      /** When the next attempt may start, ms since the epoch. */ readonly nextAt: number;
    }
  /** So many retries were under way that this one was put off by `delayMs`, or (`null`) not made. */
  | {
      readonly kind: "retry_budget_exhausted";
      readonly step: string;
      readonly attempt: number;
      readonly delayMs: number | null;
    }
  | {
      readonly kind: "step_succeeded";
      readonly step: string;
      readonly attempt: number;
      readonly output: Json;
    }
  | {
      readonly kind: "step_failed";
      readonly step: string;
      readonly attempt: number;
      readonly failure: Failure;
    }
  | { readonly kind: "step_skipped"; readonly step: string; readonly reason: string }
  | {
      readonly kind: "step_canceled";
      readonly step: string;
      readonly attempt: number;
      readonly reason: string;
    }
  | {
      readonly kind: "effect_intended";
      readonly step: string;
      readonly attempt: number;
      readonly key: string;
      readonly effect: EffectClass;
      readonly requestHash: string;
      readonly idempotencyKey: string;
      readonly label: string;
    }
  | {
      readonly kind: "effect_recorded";
      readonly step: string;
      readonly attempt: number;
      readonly key: string;
      readonly requestHash: string;
      readonly result: EffectResult;
      readonly label: string;
      readonly ms: number;
    }
  | {
      readonly kind: "effect_uncertain";
      readonly step: string;
      readonly attempt: number;
      readonly key: string;
      readonly approval: string;
    }
  | {
      readonly kind: "signal_received";
      readonly id: string;
      readonly name: string;
      readonly body: Json;
      readonly from: string;
    }
  | {
      readonly kind: "message_sent";
      readonly step: string;
      readonly to: string;
      readonly name: string;
      readonly id: string;
      readonly body: Json;
    }
  | { readonly kind: "approval_requested"; readonly step: string; readonly approval: ApprovalRequest }
  | {
      readonly kind: "approval_answered";
      readonly approval: string;
      readonly answer: ApprovalAnswer;
      readonly by: string;
      readonly comment: string;
    }
  | { readonly kind: "approval_expired"; readonly approval: string }
  | {
      readonly kind: "child_started";
      readonly step: string;
      readonly key: string;
      readonly run: string;
      readonly workflow: string;
    }
  | {
      readonly kind: "child_ended";
      readonly run: string;
      readonly status: EndedRunStatus;
      readonly output: Json;
      readonly failure: Failure | null;
    }
  | { readonly kind: "artifact_saved"; readonly step: string; readonly artifact: Artifact }
  /** A step's own story, e.g. `turn_finished`, `gate_finished`, `context_compacted`: read by people, never by `decide`. */
  | { readonly kind: "noted"; readonly step: string; readonly name: string; readonly data: JsonObject };

export type FactKind = FactBody["kind"];

/** A fact in its place: `seq` is dense from 1, `at` is ms since the epoch. */
export type Fact = FactBody & { readonly seq: number; readonly at: number };

export type FactOf<K extends FactKind> = Extract<FactBody, { kind: K }>;
