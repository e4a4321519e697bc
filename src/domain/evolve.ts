import { assert, unreachable } from "../base/assert.ts";
import type { Fact, FactOf, RunRequest } from "./fact.ts";
import { hasRunEnded, hasStepEnded, type StepStatus } from "./run.ts";
import { type ExpandedState, effectId, parseStepId, type RunState, type StepState } from "./state.ts";

/** `at` is when it was queued, ms since the epoch. */
export function initialState(request: RunRequest, at: number): RunState {
  return {
    request,
    queuedAt: at,
    startedAt: null,
    breaches: new Set(),
    status: "queued",
    paused: false,
    cancel: null,
    steps: new Map(),
    signals: [],
    approvals: new Map(),
    children: new Map(),
    sent: new Set(),
    artifacts: new Map(),
    output: null,
    failure: null,
    lastSeq: 1,
  };
}

/** The state that a whole journal, or its beginning, stands for. The first fact must be `run_queued`. */
export function fold(facts: readonly Fact[]): RunState {
  const first = facts[0];
  assert(first?.kind === "run_queued" && first.seq === 1, "a journal begins with run_queued, seq 1");
  return evolve(initialState(first.request, first.at), facts.slice(1));
}

/**
 * The state after further facts. The given state is used up: it must not be looked at again (no copy is made, so
 * that a long run costs no more per fact than a short one). Throws `InvariantError` on facts that cannot follow.
 */
export function evolve(state: RunState, facts: readonly Fact[]): RunState {
  for (const fact of facts) {
    assert(fact.seq === state.lastSeq + 1, `fact ${fact.seq} does not follow ${state.lastSeq}`);
    assert(!hasRunEnded(state.status), `${fact.kind} after the end of the run`);
    apply(state, fact);
    state.lastSeq = fact.seq;
  }
  return state;
}

function apply(state: RunState, fact: Fact): void {
  switch (fact.kind) {
    case "run_queued":
      return assert(false, "run_queued twice");
    case "run_started":
      assert(state.status === "queued", "run_started twice");
      state.status = "running";
      state.startedAt = fact.at;
      return;
    case "sla_breached":
      assert(!state.breaches.has(fact.what), `breach of ${fact.what} twice`);
      state.breaches.add(fact.what);
      return;
    case "run_paused":
      state.paused = true;
      return;
    case "run_unpaused":
      state.paused = false;
      return;
    case "cancel_requested":
      state.cancel ??= { by: fact.by, reason: fact.reason };
      return;
    case "run_completed":
      state.status = "completed";
      state.output = fact.output;
      return;
    case "run_failed":
      state.status = "failed";
      state.failure = fact.failure;
      return;
    case "run_canceled":
      state.status = "canceled";
      return;
    case "signal_received":
      state.signals.push({ id: fact.id, name: fact.name, body: fact.body, from: fact.from, takenBy: null });
      return;
    case "approval_requested":
      state.approvals.set(fact.approval.id, {
        step: fact.step,
        request: fact.approval,
        answer: null,
        by: "",
        comment: "",
      });
      return;
    case "approval_answered":
    case "approval_expired":
      return closeApproval(state, fact);
    case "child_started":
      state.children.set(fact.run, { run: fact.run, step: fact.step, key: fact.key, ended: null });
      return;
    case "child_ended":
      return endChild(state, fact);
    case "message_sent":
      state.sent.add(fact.id);
      return;
    case "artifact_saved":
      state.artifacts.set(fact.artifact.id, fact.artifact);
      return;
    case "run_resumed_by":
    case "retry_budget_exhausted":
    case "noted":
      return;
    default:
      return applyToStep(state, fact);
  }
}

function closeApproval(
  state: RunState,
  fact: FactOf<"approval_answered"> | FactOf<"approval_expired">,
): void {
  const approval = state.approvals.get(fact.approval);
  assert(approval && approval.answer === null, `approval ${fact.approval} is not open`);
  approval.answer = fact.kind === "approval_answered" ? fact.answer : "expired";
  if (fact.kind === "approval_answered") {
    approval.by = fact.by;
    approval.comment = fact.comment;
  }
}

function endChild(state: RunState, fact: FactOf<"child_ended">): void {
  const child = state.children.get(fact.run);
  assert(child && child.ended === null, `child ${fact.run} is not open`);
  child.ended = { status: fact.status, output: fact.output, failure: fact.failure };
}

type StepFact = Extract<Fact, { kind: `step_${string}` | `effect_${string}` }>;

function applyToStep(state: RunState, fact: StepFact): void {
  const step = stepOf(state, fact.step);
  assert(!hasStepEnded(step.status), `${fact.kind} after the end of step ${fact.step}`);
  switch (fact.kind) {
    case "step_started":
      assert(
        fact.attempt === step.attempt + 1,
        `attempt ${fact.attempt} of ${fact.step} does not follow ${step.attempt}`,
      );
      step.status = "running";
      step.attempt = fact.attempt;
      step.input = fact.input;
      step.startedAt = fact.at;
      step.retryAt = null;
      step.resolved = new Map();
      return;
    case "step_expanded":
      step.status = "running";
      step.startedAt = fact.at;
      step.expanded = { items: fact.items, begun: 0, open: new Set(), failed: null };
      return;
    case "step_waiting":
      step.status = "waiting";
      step.waits = fact.waits;
      return;
    case "step_woken":
      return wake(state, step, fact);
    case "step_retrying":
      step.status = "waiting";
      step.failure = fact.failure;
      step.retryAt = fact.nextAt;
      return;
    case "step_succeeded":
      step.output = fact.output;
      step.failure = null;
      return endStep(state, step, { status: "succeeded", at: fact.at });
    case "step_failed":
      step.failure = fact.failure;
      return endStep(state, step, { status: "failed", at: fact.at });
    case "step_skipped":
      return endStep(state, step, { status: "skipped", at: fact.at });
    case "step_canceled":
      return endStep(state, step, { status: "canceled", at: fact.at });
    case "effect_intended":
    case "effect_recorded":
    case "effect_uncertain":
      return applyEffect(step, fact);
    default:
      return unreachable(fact);
  }
}

function stepOf(state: RunState, id: string): StepState {
  const known = state.steps.get(id);
  if (known) return known;
  const { spec, index } = parseStepId(id);
  const step: StepState = {
    id,
    spec,
    index,
    status: "pending",
    attempt: 0,
    input: null,
    output: null,
    failure: null,
    startedAt: null,
    endedAt: null,
    retryAt: null,
    waits: [],
    resolved: new Map(),
    effects: new Map(),
    expanded: null,
  };
  if (index !== null) {
    const each = expandedOf(state, step);
    assert(index === each.begun, `instance ${id} does not follow ${each.begun} others`);
    each.begun += 1;
    each.open.add(step);
  }
  state.steps.set(id, step);
  return step;
}

/** The foreach that a step is an instance of. */
function expandedOf(state: RunState, instance: StepState): ExpandedState {
  const expanded = state.steps.get(instance.spec)?.expanded;
  assert(expanded, `${instance.id} is an instance of nothing`);
  return expanded;
}

function endStep(
  state: RunState,
  step: StepState,
  end: { readonly status: StepStatus; readonly at: number },
): void {
  step.status = end.status;
  step.endedAt = end.at;
  step.retryAt = null;
  step.waits = [];
  const { index, failure } = step;
  if (index === null) return;
  const each = expandedOf(state, step);
  each.open.delete(step);
  if (end.status !== "failed" || failure === null) return;
  if (each.failed === null || index < each.failed.index) each.failed = { index, failure };
}

function wake(state: RunState, step: StepState, fact: FactOf<"step_woken">): void {
  assert(step.status === "waiting", `step ${step.id} is not waiting`);
  step.status = "running";
  step.waits = [];
  step.resolved.set(fact.key, { by: fact.by, signal: fact.signal });
  if (fact.signal === null) return;
  const signal = state.signals.find((one) => one.id === fact.signal);
  assert(signal && signal.takenBy === null, `signal ${fact.signal} is not free`);
  signal.takenBy = `${step.id}/${fact.key}`;
}

function applyEffect(
  step: StepState,
  fact: FactOf<"effect_intended"> | FactOf<"effect_recorded"> | FactOf<"effect_uncertain">,
): void {
  const id = effectId(fact.attempt, fact.key);
  assert(step.attempt > 0, `effect ${id} of ${step.id}, which has not begun`);
  const known = step.effects.get(id);
  if (fact.kind === "effect_intended") {
    assert(!known || known.result === null, `effect ${id} of ${step.id} has its outcome already`);
    const { effect, requestHash, idempotencyKey } = fact;
    step.effects.set(id, { effect, requestHash, idempotencyKey, result: null, askedBy: null });
    return;
  }
  if (fact.kind === "effect_uncertain") {
    assert(known && known.result === null, `effect ${id} of ${step.id} is not open`);
    step.effects.set(id, { ...known, askedBy: fact.approval });
    return;
  }
  assert(!known || known.result === null, `effect ${id} of ${step.id} is recorded twice`);
  const base = known ?? {
    effect: "pure" as const,
    requestHash: fact.requestHash,
    idempotencyKey: "",
    askedBy: null,
  };
  step.effects.set(id, { ...base, result: fact.result });
}
