import type { Json } from "../base/json.ts";
import { type Failure, failure } from "./errors.ts";
import type { FactBody } from "./fact.ts";
import { LIMITS } from "./limits.ts";
import type { Outcome } from "./outcome.ts";
import { type Plan, plannedIn } from "./plan.ts";
import { retryAt } from "./retry.ts";
import type { RetryGrant } from "./retry-budget.ts";
import { scopeOf } from "./scope.ts";
import { type RunState, type StepState, stepIn } from "./state.ts";
import type { Expressions } from "./workflow.ts";

export interface Done {
  readonly step: string;
  readonly attempt: number;
  readonly outcome: Outcome;
}

export interface ConcludeInput {
  readonly run: string;
  readonly plan: Plan;
  readonly now: number;
  /** Uniform in [0, 1): the jitter of the next retry. */
  readonly random: number;
  readonly expressions: Expressions;
  /** Whether the process has a retry left; absent where they are not counted. */
  readonly retry?: RetryGrant;
}

/** The facts that an attempt's end stands for. Pure. */
export function conclude(state: RunState, done: Done, input: ConcludeInput): readonly FactBody[] {
  const step = stepIn(state, done.step);
  const { outcome } = done;
  switch (outcome.kind) {
    case "succeeded":
      return [succeeded(state, step, { done, output: outcome.output, input })];
    case "failed":
      return failed(state, step, { attempt: done.attempt, failure: outcome.failure, input });
    case "waiting":
      return [{ kind: "step_waiting", step: done.step, attempt: done.attempt, waits: outcome.waits }];
    case "canceled":
      return [{ kind: "step_canceled", step: done.step, attempt: done.attempt, reason: outcome.reason }];
  }
}

function succeeded(
  state: RunState,
  step: StepState,
  of: { readonly done: Done; readonly output: Json; readonly input: ConcludeInput },
): FactBody {
  const { done, input } = of;
  const mapping = plannedIn(input.plan, step.spec).spec.outputs;
  let output = of.output;
  if (mapping) {
    const scope = { ...scopeOf(input, state, { success: true, failure: false }), result: of.output };
    const named: Record<string, Json> = {};
    for (const [name, expression] of Object.entries(mapping)) {
      const said = input.expressions.evaluate(expression, scope);
      if (!said.ok) {
        const wrong = failure("expression_failed", `outputs.${name} of step "${step.id}": ${said.message}`, {
          expression,
        });
        return { kind: "step_failed", step: step.id, attempt: done.attempt, failure: wrong };
      }
      named[name] = said.value;
    }
    output = named;
  }
  return { kind: "step_succeeded", step: step.id, attempt: done.attempt, output };
}

function failed(
  state: RunState,
  step: StepState,
  of: { readonly attempt: number; readonly failure: Failure; readonly input: ConcludeInput },
): readonly FactBody[] {
  const { attempt, input } = of;
  const { now, random, retry = { kind: "now" } } = input;
  const policy = plannedIn(input.plan, step.spec).spec.retry;
  const wanted =
    !state.cancel && attempt < LIMITS.stepAttempts
      ? retryAt(policy, { attempt, failure: of.failure }, { now, random })
      : null;
  const place = { step: step.id, attempt };
  if (wanted === null) return [{ kind: "step_failed", ...place, failure: of.failure }];
  if (retry.kind === "now") return [{ kind: "step_retrying", ...place, failure: of.failure, nextAt: wanted }];
  if (retry.kind === "none") {
    const why = exhausted(of.failure);
    return [
      { kind: "retry_budget_exhausted", ...place, delayMs: null },
      { kind: "step_failed", ...place, failure: why },
    ];
  }
  const nextAt = Math.max(wanted, now + retry.ms);
  return [
    { kind: "retry_budget_exhausted", ...place, delayMs: nextAt - wanted },
    { kind: "step_retrying", ...place, failure: of.failure, nextAt },
  ];
}

function exhausted({ code, message, retryable, details }: Failure): Failure {
  const cause = { code, message, retryable, ...(details === undefined ? {} : { details }) };
  const text = `not tried again, as too much fails on this worker at the moment: ${message}`;
  return failure("retry_budget_exhausted", text, { cause });
}
