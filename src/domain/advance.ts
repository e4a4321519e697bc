import { assert } from "../base/assert.ts";
import { type DecideInput, type Decision, decide, type StepOrder } from "./decide.ts";
import { evolve } from "./evolve.ts";
import type { Fact, FactBody } from "./fact.ts";
import type { RunState } from "./state.ts";

export interface Advance extends Pick<Decision, "abort" | "rest" | "wakeAt" | "end"> {
  readonly state: RunState;
  readonly facts: readonly Fact[];
  readonly perform: readonly StepOrder[];
}

/** Facts in their places behind the state they follow. */
export function numbered(state: RunState, bodies: readonly FactBody[], at: number): readonly Fact[] {
  return bodies.map((body, index) => ({ ...body, seq: state.lastSeq + 1 + index, at }));
}

/**
 * Decides until nothing more follows. The given state is used up (see `evolve`). Every round ends or starts at least
 * one step or ends the run, which bounds the rounds.
 */
export function advance(given: RunState, input: DecideInput): Advance {
  let state = given;
  const facts: Fact[] = [];
  const perform: StepOrder[] = [];
  const active = new Set(input.active);
  const rounds = 4 * (input.plan.steps.length + state.steps.size) + 8;
  for (let round = 0; round < rounds; round += 1) {
    const next = decide(state, { ...input, active });
    const added = numbered(state, next.facts, input.now);
    state = evolve(state, added);
    facts.push(...added);
    perform.push(...next.perform);
    for (const order of next.perform) active.add(order.step);
    if (next.end || (next.facts.length === 0 && next.perform.length === 0)) {
      const { abort, rest, wakeAt, end } = next;
      return { state, facts, perform, abort, rest, wakeAt, end };
    }
  }
  return assert(false, "a decision that never settles") as never;
}
