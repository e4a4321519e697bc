import type { Json } from "../base/json.ts";
import { type Failure, failure } from "./errors.ts";
import type { FactBody } from "./fact.ts";
import { LIMITS } from "./limits.ts";
import type { Plan, PlannedStep } from "./plan.ts";
import { type EndedRunStatus, hasRunEnded, hasStepEnded } from "./run.ts";
import { failedForGood, scopeOf, statusScope } from "./scope.ts";
import { instanceId, type RunState, type StepState } from "./state.ts";
import { evaluateTemplate } from "./template.ts";
import { describeWait, wokenBy } from "./waits.ts";
import type { Expressions, Scope } from "./workflow.ts";

export interface StepOrder {
  readonly step: string;
  readonly attempt: number;
  readonly input: Json;
  /** ms since the epoch; `null` for none. */
  readonly deadlineAt: number | null;
}

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
interface Draft {
  readonly facts: FactBody[];
  readonly perform: StepOrder[];
  readonly waitingFor: Set<string>;
  readonly taken: Set<string>;
  wakeAt: number | null;
  /** Steps that may still be started in parallel. */
  room: number;
}

/**
 * What follows from the facts at this moment, one move deep: facts that end or start steps may allow more, so the
 * caller evolves and decides again until nothing is added (see advance.ts). Pure.
 */
export function decide(state: RunState, input: DecideInput): Decision {
  if (hasRunEnded(state.status))
    return decision({ end: { status: state.status, output: state.output, failure: state.failure } });
  const late = state.request.deadlineAt !== null && state.request.deadlineAt <= input.now;
  const over = input.plan.steps.every(({ spec }) => isOver(state, spec.id));
  const cut = () => [...state.steps.values()].some((step) => step.status === "canceled");
  if (state.cancel || (late && (!over || cut()))) return windUp(state, input);
  if (over) return conclusion(state, input);
  const draft = newDraft(state, input);
  if (state.status === "queued") draft.facts.push({ kind: "run_started", worker: input.worker });
  // A paused run lets what is under way end and touches nothing else; only its deadline still counts.
  if (state.paused) draft.waitingFor.add("resume");
  else for (const step of input.plan.steps) consider(state, input, draft, step);
  if (draft.facts.length > 0 || draft.perform.length > 0) return decision(draft);
  if (input.active.size > 0) return decision({ rest: null, wakeAt: draft.wakeAt });
  return decision({ rest: { wakeAt: draft.wakeAt, waitingFor: [...draft.waitingFor] } });
}

function newDraft(state: RunState, input: DecideInput): Draft {
  return {
    facts: [],
    perform: [],
    waitingFor: new Set(),
    taken: new Set(),
    wakeAt: state.request.deadlineAt,
    room: Math.min(input.plan.workflow.maxParallel, LIMITS.runParallelSteps) - input.active.size,
  };
}

function decision(
  parts: Partial<Pick<Decision, "facts" | "perform" | "abort" | "rest" | "wakeAt" | "end">>,
): Decision {
  return {
    facts: parts.facts ?? [],
    perform: parts.perform ?? [],
    abort: parts.abort ?? [],
    rest: parts.rest ?? null,
    wakeAt: parts.wakeAt ?? null,
    end: parts.end ?? null,
  };
}

function isOver(state: RunState, id: string): boolean {
  return hasStepEnded(state.steps.get(id)?.status ?? "pending");
}

function consider(state: RunState, input: DecideInput, draft: Draft, step: PlannedStep): void {
  const known = state.steps.get(step.spec.id);
  if (known && hasStepEnded(known.status)) return;
  if (known?.items)
    return considerInstances(state, input, draft, { step, parent: known, items: known.items });
  if (known && known.status !== "pending") return carryOn(state, input, draft, { step, known });
  if (step.after.every((id) => isOver(state, id))) begin(state, input, draft, step);
}

/** A step that has begun: perform it again after a crash, wake it, retry it, or keep waiting. */
function carryOn(
  state: RunState,
  input: DecideInput,
  draft: Draft,
  of: { readonly step: PlannedStep; readonly known: StepState },
): void {
  const { step, known } = of;
  if (input.active.has(known.id)) return;
  const deadlineAt = deadlineOf(step, known.startedAt);
  if (known.status === "running") {
    if (!state.paused)
      order(draft, { step: known.id, attempt: known.attempt, input: known.input, deadlineAt });
    return;
  }
  if (known.retryAt !== null) {
    if (known.retryAt > input.now) return waitUntil(draft, known.retryAt, "retry");
    if (draft.room <= 0) return;
    draft.facts.push({
      kind: "step_started",
      step: known.id,
      attempt: known.attempt + 1,
      input: known.input,
    });
    return order(draft, {
      step: known.id,
      attempt: known.attempt + 1,
      input: known.input,
      deadlineAt: deadlineOf(step, input.now),
    });
  }
  if (deadlineAt !== null && deadlineAt <= input.now) {
    const late = failure("step_timeout", `step "${known.id}" did not end within its timeout`);
    draft.facts.push({ kind: "step_failed", step: known.id, attempt: known.attempt, failure: late });
    return;
  }
  const woken = wokenBy(state, known, { now: input.now, taken: draft.taken });
  if (woken === null) {
    for (const wait of known.waits) waitUntil(draft, wait.until, describeWait(wait));
    return waitUntil(draft, deadlineAt, null);
  }
  if (draft.room <= 0) return;
  if (woken.signal !== null) draft.taken.add(woken.signal);
  const expired = known.waits.find((wait) => wait.key === woken.key && wait.on === "approval");
  if (woken.by === "timeout" && expired?.on === "approval")
    draft.facts.push({ kind: "approval_expired", approval: expired.approval });
  draft.facts.push({ kind: "step_woken", step: known.id, attempt: known.attempt, ...woken });
  order(draft, { step: known.id, attempt: known.attempt, input: known.input, deadlineAt });
}

function waitUntil(draft: Draft, at: number | null, what: string | null): void {
  if (what !== null) draft.waitingFor.add(what);
  if (at !== null && (draft.wakeAt === null || at < draft.wakeAt)) draft.wakeAt = at;
}

function order(draft: Draft, step: StepOrder): void {
  draft.perform.push(step);
  draft.room -= 1;
}

function deadlineOf(step: PlannedStep, startedAt: number | null): number | null {
  return step.spec.timeoutMs === undefined || startedAt === null ? null : startedAt + step.spec.timeoutMs;
}

/** A step whose needs have all ended: skip it, fail it, expand it or start it. */
function begin(state: RunState, input: DecideInput, draft: Draft, step: PlannedStep): void {
  const id = step.spec.id;
  const status = statusScope(state, input.plan, step);
  const skip = reasonToSkip(state, input, { step, status });
  if (skip !== null) {
    draft.facts.push(
      typeof skip === "string"
        ? { kind: "step_skipped", step: id, reason: skip }
        : { kind: "step_failed", step: id, attempt: 0, failure: skip },
    );
    return;
  }
  const scope = scopeOf(input.run, state, status);
  if (step.spec.foreach) return expand(input, draft, { step, scope });
  if (draft.room <= 0) return;
  start(input, draft, { id, step, scope });
}

function reasonToSkip(
  state: RunState,
  input: DecideInput,
  of: { readonly step: PlannedStep; readonly status: Scope["status"] },
): string | Failure | null {
  const { spec, guards } = of.step;
  if (guards.length > 0 && !guards.some((id) => state.steps.get(id)?.status === "failed"))
    return "nothing to handle";
  if (spec.if === undefined) return of.status.success ? null : skipReason(state, of.step);
  if (!of.status.success && !input.expressions.asksStatus(spec.if)) return skipReason(state, of.step);
  const said = input.expressions.evaluate(spec.if, scopeOf(input.run, state, of.status));
  if (!said.ok)
    return failure("expression_failed", `if of step "${spec.id}": ${said.message}`, { expression: spec.if });
  if (typeof said.value !== "boolean") {
    return failure(
      "expression_failed",
      `if of step "${spec.id}" must be true or false, got ${JSON.stringify(said.value)}`,
      { expression: spec.if },
    );
  }
  return said.value ? null : "its condition is false";
}

function skipReason(state: RunState, step: PlannedStep): string {
  const bad = step.spec.needs.find((id) => state.steps.get(id)?.status !== "succeeded");
  return `${bad} ${state.steps.get(bad ?? "")?.status}`;
}

function start(
  input: DecideInput,
  draft: Draft,
  of: { readonly id: string; readonly step: PlannedStep; readonly scope: Scope },
): void {
  const args = evaluateTemplate(of.step.spec.with, of.scope, input.expressions);
  if (!args.ok) {
    const wrong = failure(
      "expression_failed",
      `with.${args.path.join(".")} of step "${of.id}": ${args.message}`,
    );
    draft.facts.push({ kind: "step_failed", step: of.id, attempt: 0, failure: wrong });
    return;
  }
  draft.facts.push({ kind: "step_started", step: of.id, attempt: 1, input: args.value });
  order(draft, { step: of.id, attempt: 1, input: args.value, deadlineAt: deadlineOf(of.step, input.now) });
}

function expand(
  input: DecideInput,
  draft: Draft,
  of: { readonly step: PlannedStep; readonly scope: Scope },
): void {
  const id = of.step.spec.id;
  const source = of.step.spec.foreach?.items ?? "";
  const said = input.expressions.evaluate(source, of.scope);
  const problem = said.ok ? listProblem(said.value) : said.message;
  if (!said.ok || problem !== null) {
    const wrong = failure("expression_failed", `foreach of step "${id}": ${problem}`, { expression: source });
    draft.facts.push({ kind: "step_failed", step: id, attempt: 0, failure: wrong });
    return;
  }
  draft.facts.push({ kind: "step_expanded", step: id, items: said.value as readonly Json[] });
}

function listProblem(value: Json): string | null {
  if (!Array.isArray(value)) return `expected a list, got ${JSON.stringify(value)?.slice(0, 80)}`;
  return value.length > LIMITS.foreachItems
    ? `${value.length} items are more than ${LIMITS.foreachItems}`
    : null;
}

interface Expanded {
  readonly step: PlannedStep;
  readonly parent: StepState;
  readonly items: readonly Json[];
}

function considerInstances(state: RunState, input: DecideInput, draft: Draft, of: Expanded): void {
  const { step, parent, items } = of;
  let open = 0;
  let running = 0;
  let failed: StepState | null = null;
  const pending: number[] = [];
  for (let index = 0; index < items.length; index += 1) {
    const instance = state.steps.get(instanceId(parent.id, index));
    if (!instance) pending.push(index);
    else if (!hasStepEnded(instance.status)) {
      open += 1;
      running += 1;
      carryOn(state, input, draft, { step, known: instance });
    } else if (instance.status === "failed") failed ??= instance;
  }
  const stopped = failed !== null && (step.spec.foreach?.failFast ?? false);
  if (!stopped) {
    const most = step.spec.foreach?.maxParallel ?? 1;
    const status = statusScope(state, input.plan, step);
    let scope: Scope | null = null;
    for (const index of pending) {
      if (draft.room <= 0 || running >= most) break;
      scope ??= scopeOf(input.run, state, status);
      start(input, draft, {
        id: instanceId(parent.id, index),
        step,
        scope: { ...scope, item: items[index] ?? null, index },
      });
      running += 1;
    }
  }
  if (open === 0 && running === 0 && (pending.length === 0 || stopped))
    draft.facts.push(gather(state, of, failed));
}

/** The end of a foreach: its outputs in the order of its items, or the first failure. */
function gather(state: RunState, of: Expanded, failed: StepState | null): FactBody {
  const { parent, items } = of;
  if (failed?.failure) {
    const first = failed.failure;
    return {
      kind: "step_failed",
      step: parent.id,
      attempt: 1,
      failure: { ...first, message: `${failed.id}: ${first.message}` },
    };
  }
  const output = items.map((_, index) => state.steps.get(instanceId(parent.id, index))?.output ?? null);
  return { kind: "step_succeeded", step: parent.id, attempt: 1, output };
}

/** Cancel or deadline: stop what runs, close what does not, then end. */
function windUp(state: RunState, input: DecideInput): Decision {
  const reason = state.cancel ? state.cancel.reason : "deadline exceeded";
  const facts: FactBody[] = [];
  for (const step of state.steps.values()) {
    if (hasStepEnded(step.status) || input.active.has(step.id)) continue;
    // A foreach ends after its instances.
    if (step.items && [...input.active].some((id) => id.startsWith(`${step.id}#`))) continue;
    facts.push({ kind: "step_canceled", step: step.id, attempt: step.attempt, reason });
  }
  for (const { spec } of input.plan.steps) {
    if (!state.steps.has(spec.id)) facts.push({ kind: "step_canceled", step: spec.id, attempt: 0, reason });
  }
  if (input.active.size > 0) return decision({ facts, abort: [...input.active] });
  if (facts.length > 0) return decision({ facts });
  if (state.cancel) {
    return decision({
      facts: [{ kind: "run_canceled", reason }],
      end: { status: "canceled", output: null, failure: failure("canceled", reason) },
    });
  }
  const overdue = failure(
    "deadline_exceeded",
    `the run did not end by its deadline, ${state.request.deadlineAt}`,
  );
  return decision({
    facts: [{ kind: "run_failed", failure: overdue }],
    end: { status: "failed", output: null, failure: overdue },
  });
}

/** All steps have ended: what the run ends as. */
function conclusion(state: RunState, input: DecideInput): Decision {
  const culprit = input.plan.steps.find(({ spec }) => failedForGood(state, input.plan, spec.id));
  if (culprit) {
    const cause = state.steps.get(culprit.spec.id)?.failure ?? failure("step_failed", "without a reason");
    const wrong: Failure = {
      ...cause,
      message: `step "${culprit.spec.id}": ${cause.message}`,
      retryable: false,
    };
    return decision({
      facts: [{ kind: "run_failed", failure: wrong }],
      end: { status: "failed", output: null, failure: wrong },
    });
  }
  const scope = scopeOf(input.run, state, { success: true, failure: false });
  const output: Record<string, Json> = {};
  for (const [name, expression] of Object.entries(input.plan.workflow.outputs)) {
    const said = input.expressions.evaluate(expression, scope);
    if (!said.ok) {
      const wrong = failure("expression_failed", `outputs.${name}: ${said.message}`, { expression });
      return decision({
        facts: [{ kind: "run_failed", failure: wrong }],
        end: { status: "failed", output: null, failure: wrong },
      });
    }
    output[name] = said.value;
  }
  return decision({
    facts: [{ kind: "run_completed", output }],
    end: { status: "completed", output, failure: null },
  });
}
