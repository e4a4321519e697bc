import type { StepSpec, Workflow } from "./workflow.ts";

/** A step with what its place in the graph implies. */
export interface PlannedStep {
  readonly spec: StepSpec;
  /** Steps that this one handles when they fail; empty for an ordinary step. */
  readonly guards: readonly string[];
  /** Everything that must have ended first: `needs` and `guards`. */
  readonly after: readonly string[];
  /** All steps before it, near and far: what `failure()` looks at. */
  readonly ancestors: readonly string[];
}

/** A workflow made ready to be decided on; the same for every run of the same hash. */
export interface Plan {
  readonly workflow: Workflow;
  /** In an order in which every step comes after what it waits for. */
  readonly steps: readonly PlannedStep[];
  readonly byId: ReadonlyMap<string, PlannedStep>;
}

/** Expects a checked workflow (see graph.ts): a cycle would leave its steps out. */
export function planOf(workflow: Workflow): Plan {
  const guards = new Map<string, string[]>();
  for (const step of workflow.steps) {
    if (step.onFailure.kind !== "run") continue;
    const known = guards.get(step.onFailure.step);
    if (known) known.push(step.id);
    else guards.set(step.onFailure.step, [step.id]);
  }
  const byId = new Map<string, PlannedStep>();
  let open = workflow.steps;
  while (open.length > 0) {
    const blocked: StepSpec[] = [];
    for (const spec of open) {
      const guarded = guards.get(spec.id) ?? [];
      const after = [...new Set([...spec.needs, ...guarded])];
      const before = after.map((id) => byId.get(id));
      if (before.some((step) => step === undefined)) {
        blocked.push(spec);
        continue;
      }
      const ancestors = new Set(after);
      for (const step of before) for (const id of step?.ancestors ?? []) ancestors.add(id);
      byId.set(spec.id, { spec, guards: guarded, after, ancestors: [...ancestors] });
    }
    if (blocked.length === open.length) break;
    open = blocked;
  }
  return { workflow, steps: [...byId.values()], byId };
}
