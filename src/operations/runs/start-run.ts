import { canonicalJson, type Json, type JsonObject } from "../../base/json.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import type { Intent } from "../../domain/intent.ts";
import { LIMITS } from "../../domain/limits.ts";
import { parseUsd } from "../../domain/money.ts";
import { termsOf } from "../admission/sla-terms.ts";
import { asResult } from "../as-result.ts";
import { ANYBODY, type Caller } from "../caller.ts";
import { checkJson, checkText } from "../check-json.ts";
import type { Parts } from "../parts.ts";
import { admitRun, type StartedRun, startedBefore } from "./admit-run.ts";
import { prepareRun } from "./prepare-run.ts";

export interface StartRun {
  /** Name (its newest version) or hash. */
  readonly workflow: string;
  readonly inputs: Json;
  readonly title?: string;
  /** A duration from now (`2h`) or a moment (`2026-01-31T12:00:00Z`). */
  readonly deadline?: string;
  /** A duration or a moment: a run that has not begun by then is not begun any more. */
  readonly startBy?: string;
  /** Name of a priority class; or `priority`, of which 0 is the most urgent. */
  readonly class?: string;
  readonly priority?: number;
  readonly idempotencyKey?: string;
  /** What the run and all that it starts may spend; dollars as `$2` or `0.50`. */
  readonly budget?: { readonly cost: string | number };
  /** For whom; `ANYBODY` when absent. */
  readonly caller?: Caller;
}

/** What a door that made this request out of another one says of it. */
export interface StartOrigin {
  readonly id: string;
  readonly intent: Intent;
  /** Hash of what was asked there; idempotency goes by it. */
  readonly bodyHash: string;
}

const DEFAULT_QUEUE = "default";
const IDEMPOTENCY_KEY = /^[\x21-\x7e]+$/;

type Needs = Pick<
  Parts,
  "clock" | "newId" | "hash" | "store" | "reader" | "workflows" | "checkInputs" | "expressions" | "desk"
>;

/**
 * Admits a run, once per idempotency key. Nothing is accepted that the engine would refuse later for its shape:
 * the workflow exists, the inputs fit its schema, sizes are within the limits, the deadline lies ahead. Nor what is
 * over a rate or a cap, or could not be in time.
 */
export function startRun(parts: Needs, request: StartRun, origin?: StartOrigin): Promise<Result<StartedRun>> {
  return asResult(async () => {
    const shape = checkStart(request);
    if (!shape.ok) return shape;
    const caller = request.caller ?? ANYBODY;
    const key = request.idempotencyKey;
    const bodyHash = origin?.bodyHash ?? hashOf(parts, request);
    if (origin === undefined) {
      const before = await enter(parts, caller, key === undefined ? null : { key, bodyHash });
      if (before !== null) return before;
    }
    const at = parts.clock.now();
    const terms = termsOf(parts.desk.rules(), request, at);
    if (!terms.ok) return terms;
    const prepared = await prepareRun(parts, {
      workflow: request.workflow,
      inputs: request.inputs,
      ...(request.title === undefined ? {} : { title: request.title }),
      ...caller,
      queue: DEFAULT_QUEUE,
      ...terms.value,
      ...budgetOf(request),
      ...(origin === undefined ? {} : { intent: origin.intent }),
    });
    if (!prepared.ok) return prepared;
    return admitRun(parts, {
      id: origin?.id ?? parts.newId("run"),
      request: prepared.value,
      idempotency: key === undefined ? null : { key, bodyHash },
      at,
    });
  });
}

/** At the door: the rates, and whether it was asked before. `null` lets it pass. */
export async function enter(
  parts: Pick<Parts, "desk" | "reader">,
  caller: Caller,
  idempotency: { readonly key: string; readonly bodyHash: string } | null,
): Promise<Result<StartedRun> | null> {
  const rate = await parts.desk.rate(caller);
  if (!rate.ok) return rate;
  return idempotency === null ? null : startedBefore(parts, { tenant: caller.tenant, ...idempotency });
}

/** What can be said of a request before its workflow is known. */
export function checkStart(request: Omit<StartRun, "workflow">): Result<null> {
  const inputs = checkJson("inputs", request.inputs, LIMITS.requestBytes);
  if (!inputs.ok) return inputs;
  if (request.title !== undefined) {
    const title = checkText("title", request.title, LIMITS.titleChars);
    if (!title.ok) return title;
  }
  const { priority, budget, idempotencyKey: key } = request;
  if (budget !== undefined && parseUsd(budget.cost) === null) {
    const message = `budget.cost is ${JSON.stringify(budget.cost)}; expected US dollars like "$2" or "0.50".`;
    return fail("invalid_request", message, { field: "budget.cost" });
  }
  const highest = LIMITS.priorities - 1;
  if (priority !== undefined && !(Number.isInteger(priority) && priority >= 0 && priority <= highest)) {
    return fail("invalid_request", `priority is ${priority}; expected a whole number from 0 to ${highest}.`, {
      field: "priority",
    });
  }
  if (key !== undefined && !(IDEMPOTENCY_KEY.test(key) && key.length <= LIMITS.idempotencyKeyChars)) {
    return fail(
      "invalid_request",
      `The idempotency key must be 1 to ${LIMITS.idempotencyKeyChars} visible ASCII characters without spaces.`,
      { field: "idempotency_key" },
    );
  }
  return ok(null);
}

function budgetOf({ budget }: Pick<StartRun, "budget">): { readonly budgetMicros?: number } {
  const budgetMicros = budget === undefined ? null : parseUsd(budget.cost);
  return budgetMicros === null ? {} : { budgetMicros };
}

/** The hash is of what was asked, not of what it resolved to: the same retry stays the same when a workflow moves on. */
function hashOf(parts: Pick<Parts, "hash">, request: StartRun): string {
  const { workflow, inputs, title = null, deadline = null, priority = null } = request;
  return parts.hash(canonicalJson({ workflow, inputs, title, deadline, priority, ...promisesIn(request) }));
}

/** Left out where they are not given, so that keys of before they could be given keep their hashes. */
export function promisesIn(asked: Pick<StartRun, "class" | "startBy" | "budget">): JsonObject {
  const { class: name, startBy } = asked;
  return {
    ...(name === undefined ? {} : { class: name }),
    ...(startBy === undefined ? {} : { startBy }),
    ...budgetOf(asked),
  };
}
