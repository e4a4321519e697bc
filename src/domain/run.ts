import type { Json } from "../base/json.ts";
import type { Failure } from "./errors.ts";
import type { Sla } from "./sla.ts";

export const RUN_STATUSES = ["queued", "running", "completed", "failed", "canceled"] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];

export const STEP_STATUSES = [
  "pending",
  "running",
  "waiting",
  "succeeded",
  "failed",
  "skipped",
  "canceled",
] as const;
export type StepStatus = (typeof STEP_STATUSES)[number];

export type EndedRunStatus = "completed" | "failed" | "canceled";

export function hasRunEnded(status: RunStatus): status is EndedRunStatus {
  return status === "completed" || status === "failed" || status === "canceled";
}

export function hasStepEnded(status: StepStatus): boolean {
  return status === "succeeded" || status === "failed" || status === "skipped" || status === "canceled";
}

/** A run as lists and screens show it; folded from its journal by the store, never edited by hand. */
export interface RunSummary {
  readonly id: string;
  readonly workflow: string;
  readonly workflowHash: string;
  readonly status: RunStatus;
  readonly paused: boolean;
  /**
   * What a resting run waits for, e.g. `approval:apr_…`, `signal:deploy`, `timer`; of one in the queue, the full slot
   * it was put aside for (`slot:key:deploy/prod`) or labels that no live worker has (`worker:gpu,os=linux`). Empty
   * when it is driven, or may be as soon as a worker is free.
   */
  readonly waitingFor: readonly string[];
  readonly title: string;
  readonly tenant: string;
  readonly queue: string;
  readonly priority: number;
  readonly parent: { readonly run: string; readonly step: string } | null;
  /** All ms since the epoch. */
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly deadlineAt: number | null;
  /** `null` for runs that were started before promises were kept. */
  readonly sla: Sla | null;
  readonly output: Json;
  readonly failure: Failure | null;
}
