import type { Json } from "../base/json.ts";
import { type DecideInput, type Draft, deadlineOf, order } from "./draft.ts";
import { type Failure, failure } from "./errors.ts";
import { LIMITS } from "./limits.ts";
import type { PlannedStep } from "./plan.ts";
import { scopeOf, statusScope, wentWell } from "./scope.ts";
import type { RunState } from "./state.ts";
import { evaluateTemplate } from "./template.ts";
import type { Foreach, Scope } from "./workflow.ts";

/** A step whose needs have all ended: skip it, fail it, expand it or start it. */
export function begin(state: RunState, input: DecideInput, draft: Draft, step: PlannedStep): void {
  const { id, foreach } = step.spec;
  const scope = scopeOf(input, state, statusScope(state, input.plan, step));
  const skip = reasonToSkip(state, input, { step, scope });
  if (skip === null) {
    if (foreach) return expand(input, draft, { id, foreach, scope });
    if (draft.room > 0) start(input, draft, { id, step, scope });
  } else if (typeof skip === "string") draft.facts.push({ kind: "step_skipped", step: id, reason: skip });
  else draft.facts.push({ kind: "step_failed", step: id, attempt: 0, failure: skip });
}

function reasonToSkip(
  state: RunState,
  input: DecideInput,
  of: { readonly step: PlannedStep; readonly scope: Scope },
): string | Failure | null {
  const { spec, guards } = of.step;
  if (guards.length > 0 && !guards.some((id) => state.steps.get(id)?.status === "failed"))
    return "nothing to handle";
  const bad = spec.needs.find((id) => !wentWell(state, input.plan, id));
  const asksStatus = spec.if !== undefined && input.expressions.asksStatus(spec.if);
  if (bad !== undefined && !asksStatus) return `${bad} ${state.steps.get(bad)?.status}`;
  if (spec.if === undefined) return null;
  const said = input.expressions.evaluate(spec.if, of.scope);
  if (!said.ok)
    return failure("expression_failed", `if of step "${spec.id}": ${said.message}`, { expression: spec.if });
  if (typeof said.value !== "boolean") {
    return failure(
      "expression_failed",
      `if of step "${spec.id}" must be true or false, got ${JSON.stringify(said.value)}`,
      { expression: spec.if },
    );
  }
  return said.value ? null : "its condition is false";
}

/** Starts a step or an instance, or fails it when its arguments cannot be evaluated: then `false`. */
export function start(
  input: DecideInput,
  draft: Draft,
  of: { readonly id: string; readonly step: PlannedStep; readonly scope: Scope },
): boolean {
  const args = evaluateTemplate(of.step.spec.with, of.scope, input.expressions);
  if (!args.ok) {
    const wrong = failure(
      "expression_failed",
      `with.${args.path.join(".")} of step "${of.id}": ${args.message}`,
    );
    draft.facts.push({ kind: "step_failed", step: of.id, attempt: 0, failure: wrong });
    return false;
  }
  draft.facts.push({ kind: "step_started", step: of.id, attempt: 1, input: args.value });
  order(draft, { step: of.id, attempt: 1, input: args.value, deadlineAt: deadlineOf(of.step, input.now) });
  return true;
}

function expand(
  input: DecideInput,
  draft: Draft,
  of: { readonly id: string; readonly foreach: Foreach; readonly scope: Scope },
): void {
  const expression = of.foreach.items;
  const said = input.expressions.evaluate(expression, of.scope);
  const items = said.ok ? listOf(said.value) : said.message;
  if (typeof items !== "string") {
    draft.facts.push({ kind: "step_expanded", step: of.id, items });
    return;
  }
  const wrong = failure("expression_failed", `foreach of step "${of.id}": ${items}`, { expression });
  draft.facts.push({ kind: "step_failed", step: of.id, attempt: 0, failure: wrong });
}

/** The list itself, or why it cannot be used. */
function listOf(value: Json): readonly Json[] | string {
  if (!Array.isArray(value)) return `expected a list, got ${JSON.stringify(value).slice(0, 80)}`;
  if (value.length > LIMITS.foreachItems) return `${value.length} items are more than ${LIMITS.foreachItems}`;
  return value as readonly Json[];
}
