import type { Json } from "../base/json.ts";
import type { Failure } from "./errors.ts";
import { type Plan, type PlannedStep, plannedIn } from "./plan.ts";
import { hasStepEnded } from "./run.ts";
import type { RunState, StepState } from "./state.ts";
import type { Scope } from "./workflow.ts";

/** Why a step failed, if it did and is neither tolerated (`on_failure: continue`) nor handled by a step that succeeded. */
export function failedForGood(state: RunState, plan: Plan, id: string): Failure | null {
  const step = state.steps.get(id);
  if (step?.status !== "failed") return null;
  const { onFailure } = plannedIn(plan, id).spec;
  if (onFailure.kind === "continue") return null;
  const handled = onFailure.kind === "run" && state.steps.get(onFailure.step)?.status === "succeeded";
  return handled ? null : step.failure;
}

/** Whether what needs this step may go on as if all were well. */
export function wentWell(state: RunState, plan: Plan, id: string): boolean {
  const status = state.steps.get(id)?.status;
  if (status === "succeeded") return true;
  return status === "failed" && plannedIn(plan, id).spec.onFailure.kind === "continue";
}

export function statusScope(state: RunState, plan: Plan, step: PlannedStep): Scope["status"] {
  return {
    success: step.spec.needs.every((id) => wentWell(state, plan, id)),
    failure: step.ancestors.some((id) => failedForGood(state, plan, id) !== null),
  };
}

/** What the expressions of a step may see. `run` is the run's id. */
export function scopeOf(
  of: { readonly run: string; readonly plan: Plan },
  state: RunState,
  status: Scope["status"],
): Scope {
  const steps: Record<string, { status: string; outputs: Json; error: Json }> = {};
  // By the plan, not by the state: a foreach of thousands must not cost each of its instances a look at all others.
  for (const { spec } of of.plan.steps) {
    const step = state.steps.get(spec.id);
    if (step && hasStepEnded(step.status)) steps[step.id] = ended(step);
  }
  const { workflow, tenant, inputs } = state.request;
  return { inputs, run: { id: of.run, workflow: workflow.name, tenant }, steps, status };
}

function ended(step: StepState): { status: string; outputs: Json; error: Json } {
  const error = step.failure === null ? null : { code: step.failure.code, message: step.failure.message };
  return { status: step.status, outputs: step.output, error };
}
