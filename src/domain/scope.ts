import type { Json } from "../base/json.ts";
import type { Plan, PlannedStep } from "./plan.ts";
import { hasStepEnded } from "./run.ts";
import type { RunState, StepState } from "./state.ts";
import type { Scope } from "./workflow.ts";

/** Failed, and neither tolerated (`on_failure: continue`) nor handled by a step that succeeded. */
export function failedForGood(state: RunState, plan: Plan, id: string): boolean {
  if (state.steps.get(id)?.status !== "failed") return false;
  const onFailure = plan.byId.get(id)?.spec.onFailure;
  if (onFailure?.kind === "continue") return false;
  return !(onFailure?.kind === "run" && state.steps.get(onFailure.step)?.status === "succeeded");
}

/** Whether what needs this step may go on as if all were well. */
function wentWell(state: RunState, plan: Plan, id: string): boolean {
  const status = state.steps.get(id)?.status;
  if (status === "succeeded") return true;
  return status === "failed" && plan.byId.get(id)?.spec.onFailure.kind === "continue";
}

export function statusScope(state: RunState, plan: Plan, step: PlannedStep): Scope["status"] {
  return {
    success: step.spec.needs.every((id) => wentWell(state, plan, id)),
    failure: step.ancestors.some((id) => failedForGood(state, plan, id)),
  };
}

/** What the expressions of a step may see. `run` is the run's id. */
export function scopeOf(run: string, state: RunState, status: Scope["status"]): Scope {
  const steps: Record<string, { status: string; outputs: Json; error: Json }> = {};
  for (const step of state.steps.values()) {
    if (step.index === null && hasStepEnded(step.status)) steps[step.id] = ended(step);
  }
  const { workflow, tenant, inputs } = state.request;
  return { inputs, run: { id: run, workflow: workflow.name, tenant }, steps, status };
}

function ended(step: StepState): { status: string; outputs: Json; error: Json } {
  const error = step.failure === null ? null : { code: step.failure.code, message: step.failure.message };
  return { status: step.status, outputs: step.output, error };
}
