import { formatDuration } from "../base/duration.ts";
import type { Json } from "../base/json.ts";
import { begin } from "./begin.ts";
import { carryOn } from "./carry-on.ts";
import { type DecideInput, type Draft, newDraft, type StepOrder } from "./draft.ts";
import { type Failure, failure } from "./errors.ts";
import type { FactBody } from "./fact.ts";
import { considerInstances } from "./instances.ts";
import type { PlannedStep } from "./plan.ts";
import { type EndedRunStatus, hasRunEnded, hasStepEnded } from "./run.ts";
import { failedForGood, scopeOf } from "./scope.ts";
import { slaBreaches } from "./sla.ts";
import { type RunState, timesOf } from "./state.ts";

export interface Decision {
  /** To be written before anything is performed. */
  readonly facts: readonly FactBody[];
  readonly perform: readonly StepOrder[];
  /** Steps under way that must be stopped. */
  readonly abort: readonly string[];
  /** Nothing to do until a message comes or the clock says so. */
  readonly rest: { readonly wakeAt: number | null; readonly waitingFor: readonly string[] } | null;
  /** While steps are under way: when the clock alone makes another decision necessary. */
  readonly wakeAt: number | null;
  readonly end: {
    readonly status: EndedRunStatus;
    readonly output: Json;
    readonly failure: Failure | null;
  } | null;
}

/**
 * What follows from the facts at this moment, one move deep: facts that end or expand steps may allow more, so the
 * caller evolves and decides again until nothing is added (see advance.ts). Pure.
 */
export function decide(state: RunState, input: DecideInput): Decision {
  if (hasRunEnded(state.status))
    return decision({ end: { status: state.status, output: state.output, failure: state.failure } });
  const breached = unsaidBreaches(state, input.now);
  if (breached.length > 0) return decision({ facts: breached });
  if (missedStart(state)) return windUp(state, input);
  const late = state.breaches.has("deadline");
  const over = input.plan.steps.every(({ spec }) => isOver(state, spec.id));
  const cut = () => [...state.steps.values()].some((step) => step.status === "canceled");
  if (state.cancel || (late && (!over || cut()))) return windUp(state, input);
  if (over) return conclusion(state, input);
  const draft = newDraft(state, input);
  if (state.status === "queued") draft.facts.push({ kind: "run_started", worker: input.worker });
  // A paused run lets what is under way end and touches nothing else; only its deadline still counts.
  if (state.paused) draft.waitingFor.add("resume");
  else for (const step of input.plan.steps) consider(state, input, draft, step);
  const { facts, perform, wakeAt } = draft;
  if (facts.length > 0 || perform.length > 0 || input.active.size > 0)
    return decision({ facts, perform, wakeAt });
  return decision({ rest: { wakeAt, waitingFor: [...draft.waitingFor] } });
}

/** Of a run that somebody canceled, only what was missed before is told. */
function unsaidBreaches(state: RunState, now: number): readonly FactBody[] {
  if (state.cancel) return [];
  return slaBreaches(timesOf(state), now)
    .filter(({ what }) => !state.breaches.has(what))
    .map(({ what, byMs }) => ({ kind: "sla_breached", what, byMs }));
}

function missedStart(state: RunState): boolean {
  return state.status === "queued" && state.breaches.has("start_by");
}

function decision(parts: Partial<Decision>): Decision {
  return { facts: [], perform: [], abort: [], rest: null, wakeAt: null, end: null, ...parts };
}

function isOver(state: RunState, id: string): boolean {
  return hasStepEnded(state.steps.get(id)?.status ?? "pending");
}

function consider(state: RunState, input: DecideInput, draft: Draft, step: PlannedStep): void {
  const { id, foreach } = step.spec;
  const known = state.steps.get(id);
  if (known === undefined) {
    if (step.after.every((before) => isOver(state, before))) begin(state, input, draft, step);
  } else if (hasStepEnded(known.status)) return;
  else if (foreach && known.expanded)
    considerInstances(state, input, draft, { step, foreach, each: known.expanded });
  else carryOn(state, input, draft, { step, known });
}

/** Cancel or deadline: stop what runs, close what does not, then end. */
function windUp(state: RunState, input: DecideInput): Decision {
  const reason = state.cancel?.reason ?? (missedStart(state) ? "not begun in time" : "deadline exceeded");
  const facts: FactBody[] = [];
  const isActive = ({ id }: { readonly id: string }) => input.active.has(id);
  for (const step of state.steps.values()) {
    if (hasStepEnded(step.status) || isActive(step)) continue;
    // A foreach ends after its instances.
    if (step.expanded && [...step.expanded.open].some(isActive)) continue;
    facts.push({ kind: "step_canceled", step: step.id, attempt: step.attempt, reason });
  }
  for (const { spec } of input.plan.steps) {
    if (!state.steps.has(spec.id)) facts.push({ kind: "step_canceled", step: spec.id, attempt: 0, reason });
  }
  if (input.active.size > 0) return decision({ facts, abort: [...input.active] });
  if (facts.length > 0) return decision({ facts });
  if (state.cancel) {
    const end = { status: "canceled", output: null, failure: failure("canceled", reason) } as const;
    return decision({ facts: [{ kind: "run_canceled", reason }], end });
  }
  if (missedStart(state)) {
    const span = spanTo(state, state.request.sla?.startBy);
    return runFailed(
      failure("start_by_missed", `the run did not begin within ${span}; nothing of it was done`),
    );
  }
  const span = spanTo(state, state.request.deadlineAt);
  return runFailed(failure("deadline_exceeded", `the run did not end by its deadline, within ${span}`));
}

/** How long a run was given, from its admission to a moment that it missed. */
function spanTo(state: RunState, moment: number | null | undefined): string {
  return formatDuration(Number(moment) - state.queuedAt);
}

function runFailed(why: Failure): Decision {
  const end = { status: "failed", output: null, failure: why } as const;
  return decision({ facts: [{ kind: "run_failed", failure: why }], end });
}

/** All steps have ended: what the run ends as. */
function conclusion(state: RunState, input: DecideInput): Decision {
  for (const { spec } of input.plan.steps) {
    const cause = failedForGood(state, input.plan, spec.id);
    if (cause === null) continue;
    return runFailed({ ...cause, message: `step "${spec.id}": ${cause.message}`, retryable: false });
  }
  const scope = scopeOf(input, state, { success: true, failure: false });
  const output: Record<string, Json> = {};
  for (const [name, expression] of Object.entries(input.plan.workflow.outputs)) {
    const said = input.expressions.evaluate(expression, scope);
    if (!said.ok)
      return runFailed(failure("expression_failed", `outputs.${name}: ${said.message}`, { expression }));
    output[name] = said.value;
  }
  const end = { status: "completed", output, failure: null } as const;
  return decision({ facts: [{ kind: "run_completed", output }], end });
}
