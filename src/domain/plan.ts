import { assert } from "../base/assert.ts";
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

/** A step of the plan by its id (of an instance: by its spec's). */
export function plannedIn(plan: Plan, id: string): PlannedStep {
  const step = plan.byId.get(id);
  assert(step, `the workflow has no step ${id}`);
  return step;
}

/** Expects a checked workflow (see graph.ts); throws `InvariantError` on a cycle or a need that is no step. */
export function planOf(workflow: Workflow): Plan {
  const guards = guardsOf(workflow);
  const byId = new Map<string, PlannedStep>();
  let open = workflow.steps;
  while (open.length > 0) {
    const blocked = open.filter((spec) => !place(spec, guards.get(spec.id) ?? [], byId));
    assert(blocked.length < open.length, `steps that wait for each other: ${blocked.map(({ id }) => id)}`);
    open = blocked;
  }
  return { workflow, steps: [...byId.values()], byId };
}

function guardsOf(workflow: Workflow): ReadonlyMap<string, readonly string[]> {
  const guards = new Map<string, string[]>();
  for (const { id, onFailure } of workflow.steps) {
    if (onFailure.kind !== "run") continue;
    const known = guards.get(onFailure.step);
    if (known) known.push(id);
    else guards.set(onFailure.step, [id]);
  }
  return guards;
}

/** Adds a step behind all that it waits for; `false` while one of those is not there yet. */
function place(spec: StepSpec, guards: readonly string[], byId: Map<string, PlannedStep>): boolean {
  const after = [...new Set([...spec.needs, ...guards])];
  const before = after.flatMap((id) => byId.get(id) ?? []);
  if (before.length < after.length) return false;
  const ancestors = new Set(after);
  for (const step of before) for (const id of step.ancestors) ancestors.add(id);
  byId.set(spec.id, { spec, guards, after, ancestors: [...ancestors] });
  return true;
}
