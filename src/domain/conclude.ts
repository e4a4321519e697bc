import type { Json } from "../base/json.ts";
import { type Failure, failure } from "./errors.ts";
import type { FactBody } from "./fact.ts";
import { LIMITS } from "./limits.ts";
import type { Outcome } from "./outcome.ts";
import { type Plan, plannedIn } from "./plan.ts";
import { retryAt } from "./retry.ts";
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
}

/** The facts that an attempt's end stands for. Pure. */
export function conclude(state: RunState, done: Done, input: ConcludeInput): readonly FactBody[] {
  const step = stepIn(state, done.step);
  const { outcome } = done;
  switch (outcome.kind) {
    case "succeeded":
      return [succeeded(state, step, { done, output: outcome.output, input })];
    case "failed":
      return [failed(state, step, { attempt: done.attempt, failure: outcome.failure, input })];
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
): FactBody {
  const { attempt, input } = of;
  const policy = plannedIn(input.plan, step.spec).spec.retry;
  const nextAt =
    !state.cancel && attempt < LIMITS.stepAttempts
      ? retryAt(policy, { attempt, failure: of.failure }, { now: input.now, random: input.random })
      : null;
  if (nextAt === null) return { kind: "step_failed", step: step.id, attempt, failure: of.failure };
  return { kind: "step_retrying", step: step.id, attempt, failure: of.failure, nextAt };
}
