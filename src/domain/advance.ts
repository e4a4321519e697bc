import { assert } from "../base/assert.ts";
import { type Decision, decide } from "./decide.ts";
import type { DecideInput, StepOrder } from "./draft.ts";
import { evolve } from "./evolve.ts";
import type { Fact, FactBody, FactKind } from "./fact.ts";
import type { RunState } from "./state.ts";

export interface Advance extends Pick<Decision, "abort" | "rest" | "wakeAt" | "end"> {
  readonly state: RunState;
  readonly facts: readonly Fact[];
  readonly perform: readonly StepOrder[];
}

/** Facts that set going what is performed next: nothing else follows from them. */
const BEGINNINGS: ReadonlySet<FactKind> = new Set<FactKind>([
  "run_started",
  "step_started",
  "step_woken",
  "approval_expired",
]);

/** Facts in their places behind the state they follow. */
export function numbered(state: RunState, bodies: readonly FactBody[], at: number): readonly Fact[] {
  return bodies.map((body, index) => ({ ...body, seq: state.lastSeq + 1 + index, at }));
}

/** Decides until nothing more follows. The given state is used up (see `evolve`). */
export function advance(given: RunState, input: DecideInput): Advance {
  let state = given;
  const facts: Fact[] = [];
  const perform: StepOrder[] = [];
  let active = input.active;
  for (let round = 0; ; round += 1) {
    // Every round but the last begins, expands or ends at least one step.
    const most = 4 * (input.plan.steps.length + state.steps.size) + 8;
    assert(round < most, "a decision that never settles");
    const next = decide(state, { ...input, active });
    const added = numbered(state, next.facts, input.now);
    state = evolve(state, added);
    facts.push(...added);
    perform.push(...next.perform);
    if (isLast(next)) {
      const { abort, rest, wakeAt, end } = next;
      return { state, facts, perform, abort, rest, wakeAt, end };
    }
    active = new Set([...active, ...next.perform.map((order) => order.step)]);
  }
}

function isLast({ end, facts, perform }: Decision): boolean {
  if (end !== null || facts.length === 0) return true;
  return perform.length > 0 && facts.every(({ kind }) => BEGINNINGS.has(kind));
}
