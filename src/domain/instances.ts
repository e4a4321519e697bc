import { start } from "./begin.ts";
import { carryOn } from "./carry-on.ts";
import type { DecideInput, Draft } from "./draft.ts";
import type { FactBody } from "./fact.ts";
import type { PlannedStep } from "./plan.ts";
import { scopeOf, statusScope } from "./scope.ts";
import { type ExpandedState, instanceId, type RunState, stepIn } from "./state.ts";
import type { Foreach } from "./workflow.ts";

export interface ExpandedStep {
  readonly step: PlannedStep;
  readonly foreach: Foreach;
  readonly each: ExpandedState;
}

/** A foreach under way: its open instances, then room for the next ones, at last its own end. */
export function considerInstances(state: RunState, input: DecideInput, draft: Draft, of: ExpandedStep): void {
  const { step, foreach, each } = of;
  for (const known of each.open) carryOn(state, input, draft, { step, known });
  const stopped = foreach.failFast && each.failed !== null;
  if (!stopped && each.begun < each.items.length) startInstances(state, input, draft, of);
  else if (each.open.size === 0) draft.facts.push(gather(state, step.spec.id, each));
}

function startInstances(state: RunState, input: DecideInput, draft: Draft, of: ExpandedStep): void {
  const { step, foreach, each } = of;
  let most = foreach.maxParallel - each.open.size;
  if (draft.room <= 0 || most <= 0) return;
  const scope = scopeOf(input, state, statusScope(state, input.plan, step));
  for (let index = each.begun; index < each.items.length && draft.room > 0 && most > 0; index += 1) {
    const id = instanceId(step.spec.id, index);
    const item = each.items[index] as (typeof each.items)[number];
    if (start(input, draft, { id, step, scope: { ...scope, item, index } })) most -= 1;
    else if (foreach.failFast) return;
  }
}

/** The end of a foreach: its outputs in the order of its items, or the first failure. */
function gather(state: RunState, id: string, each: ExpandedState): FactBody {
  if (each.failed !== null) {
    const { index, failure: first } = each.failed;
    const message = `${instanceId(id, index)}: ${first.message}`;
    return { kind: "step_failed", step: id, attempt: 1, failure: { ...first, message } };
  }
  const output = each.items.map((_, index) => stepIn(state, instanceId(id, index)).output);
  return { kind: "step_succeeded", step: id, attempt: 1, output };
}
