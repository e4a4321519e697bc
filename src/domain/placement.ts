import type { Json } from "../base/json.ts";
import { fail, ok, type Result } from "./errors.ts";
import type { RunRequest, Slot } from "./fact.ts";
import { LIMITS } from "./limits.ts";
import { evaluateTemplate } from "./template.ts";
import type { Expressions, Workflow } from "./workflow.ts";

export type Placement = Pick<RunRequest, "needs" | "slots">;

/**
 * Which worker a run needs and what it shares, from its workflow's `runs_on` and `concurrency`. A `concurrency` without
 * a key bounds the workflow's own runs while they are driven; with a key, whoever names the same key, until they end.
 */
export function placementOf(
  workflow: Pick<Workflow, "name" | "runsOn" | "concurrency">,
  of: { readonly inputs: Json; readonly tenant: string },
  expressions: Expressions,
): Result<Placement> {
  const { runsOn, concurrency, name } = workflow;
  const needs = runsOn === undefined || runsOn.length === 0 ? {} : { needs: runsOn };
  if (concurrency === undefined) return ok(needs);
  const { key, limit, onConflict } = concurrency;
  const scope = {
    inputs: of.inputs,
    run: { id: "", workflow: name, tenant: of.tenant },
    steps: {},
    status: { success: true, failure: false },
  };
  if (key === null) {
    const slot: Slot = { key: `workflow:${name}`, limit, hold: "lease", onConflict };
    return ok({ ...needs, slots: [slot] });
  }
  const found = evaluateTemplate(key, scope, expressions);
  if (!found.ok) {
    return fail("expression_failed", `concurrency.key ${JSON.stringify(key)}: ${found.message}`);
  }
  const text = typeof found.value === "string" ? found.value.trim() : JSON.stringify(found.value);
  if (found.absent || text === "" || text.length > LIMITS.slotKeyChars) {
    const shown = found.absent ? "nothing" : JSON.stringify(text.slice(0, LIMITS.titleChars));
    const message = `concurrency.key ${JSON.stringify(key)} gives ${shown}; expected a text of 1 to ${LIMITS.slotKeyChars} characters`;
    return fail("invalid_input", message, { field: "concurrency.key" });
  }
  return ok({ ...needs, slots: [{ key: `key:${text}`, limit, hold: "run", onConflict }] });
}
