import type { Json } from "../base/json.ts";
import type { FactBody } from "./fact.ts";
import { LIMITS } from "./limits.ts";
import type { Plan, PlannedStep } from "./plan.ts";
import { nextSlaMoment } from "./sla.ts";
import { type RunState, timesOf } from "./state.ts";
import type { Expressions } from "./workflow.ts";

export interface StepOrder {
  readonly step: string;
  readonly attempt: number;
  readonly input: Json;
  /** ms since the epoch; `null` for none. */
  readonly deadlineAt: number | null;
}

export interface DecideInput {
  /** The run's id. */
  readonly run: string;
  readonly worker: string;
  readonly plan: Plan;
  readonly now: number;
  readonly expressions: Expressions;
  /** Steps that are being performed right now by this worker. */
  readonly active: ReadonlySet<string>;
}

/** Collects what a decision says while it is being made. */
export interface Draft {
  readonly facts: FactBody[];
  readonly perform: StepOrder[];
  readonly waitingFor: Set<string>;
  /** Signals given away in this decision. */
  readonly taken: Set<string>;
  wakeAt: number | null;
  /** Steps that may still be started in parallel. */
  room: number;
}

export function newDraft(state: RunState, input: DecideInput): Draft {
  return {
    facts: [],
    perform: [],
    waitingFor: new Set(),
    taken: new Set(),
    // Whatever is decided here, the run has begun by it.
    wakeAt: nextSlaMoment({ ...timesOf(state), startedAt: state.startedAt ?? input.now }, input.now),
    room: Math.min(input.plan.workflow.maxParallel, LIMITS.runParallelSteps) - input.active.size,
  };
}

export function waitUntil(draft: Draft, at: number | null, what: string | null): void {
  if (what !== null) draft.waitingFor.add(what);
  if (at !== null && (draft.wakeAt === null || at < draft.wakeAt)) draft.wakeAt = at;
}

export function order(draft: Draft, step: StepOrder): void {
  draft.perform.push(step);
  draft.room -= 1;
}

export function deadlineOf(step: PlannedStep, startedAt: number | null): number | null {
  return step.spec.timeoutMs === undefined || startedAt === null ? null : startedAt + step.spec.timeoutMs;
}
