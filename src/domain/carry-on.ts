import { type DecideInput, type Draft, deadlineOf, order, waitUntil } from "./draft.ts";
import { failure } from "./errors.ts";
import type { PlannedStep } from "./plan.ts";
import type { RunState, StepState } from "./state.ts";
import { describeWait, wokenBy } from "./waits.ts";

export interface BegunStep {
  readonly step: PlannedStep;
  readonly known: StepState;
}

/** A step that has begun: perform it again after a crash, wake it, retry it, or keep waiting. */
export function carryOn(state: RunState, input: DecideInput, draft: Draft, of: BegunStep): void {
  const { step, known } = of;
  if (input.active.has(known.id)) return;
  const deadlineAt = deadlineOf(step, known.startedAt);
  const { id, attempt, input: args } = known;
  if (known.status === "running") return order(draft, { step: id, attempt, input: args, deadlineAt });
  if (known.retryAt !== null) return retry(input, draft, { step, known, retryAt: known.retryAt });
  if (deadlineAt !== null && deadlineAt <= input.now) {
    const late = failure("step_timeout", `step "${id}" did not end within its timeout`);
    draft.facts.push({ kind: "step_failed", step: id, attempt, failure: late });
    return;
  }
  wake(state, input, draft, { known, deadlineAt });
}

function retry(input: DecideInput, draft: Draft, of: BegunStep & { readonly retryAt: number }): void {
  const { id, attempt: failed, input: args } = of.known;
  if (of.retryAt > input.now) return waitUntil(draft, of.retryAt, "retry");
  if (draft.room <= 0) return;
  const attempt = failed + 1;
  draft.facts.push({ kind: "step_started", step: id, attempt, input: args });
  order(draft, { step: id, attempt, input: args, deadlineAt: deadlineOf(of.step, input.now) });
}

function wake(
  state: RunState,
  input: DecideInput,
  draft: Draft,
  of: { readonly known: StepState; readonly deadlineAt: number | null },
): void {
  const { known, deadlineAt } = of;
  const woken = wokenBy(state, known, { now: input.now, taken: draft.taken });
  if (woken === null) {
    for (const wait of known.waits) waitUntil(draft, wait.until, describeWait(wait));
    return waitUntil(draft, deadlineAt, null);
  }
  if (draft.room <= 0) return;
  const { key, by, signal, wait } = woken;
  if (signal !== null) draft.taken.add(signal);
  if (by === "timeout" && wait.on === "approval")
    draft.facts.push({ kind: "approval_expired", approval: wait.approval });
  draft.facts.push({ kind: "step_woken", step: known.id, attempt: known.attempt, key, by, signal });
  order(draft, { step: known.id, attempt: known.attempt, input: known.input, deadlineAt });
}
