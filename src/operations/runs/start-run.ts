import { parseDuration } from "../../base/duration.ts";
import { canonicalJson, type Json } from "../../base/json.ts";
import type { Admission } from "../../contracts/run-store.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import type { Intent } from "../../domain/intent.ts";
import { LIMITS } from "../../domain/limits.ts";
import { parseUsd } from "../../domain/money.ts";
import type { RunSummary } from "../../domain/run.ts";
import { asResult } from "../as-result.ts";
import { checkJson, checkText } from "../check-json.ts";
import type { Parts } from "../parts.ts";
import { findRun } from "./find-run.ts";
import { prepareRun } from "./prepare-run.ts";

export interface StartRun {
  /** Name (its newest version) or hash. */
  readonly workflow: string;
  readonly inputs: Json;
  readonly title?: string;
  /** A duration from now (`2h`) or a moment (`2026-01-31T12:00:00Z`). */
  readonly deadline?: string;
  /** 0 is the most urgent class. */
  readonly priority?: number;
  readonly idempotencyKey?: string;
  /** What the run and all that it starts may spend; dollars as `$2` or `0.50`. */
  readonly budget?: { readonly cost: string | number };
}

/** What a door that made this request out of another one says of it. */
export interface StartOrigin {
  readonly id: string;
  readonly intent: Intent;
  /** Hash of what was asked there; idempotency goes by it. */
  readonly bodyHash: string;
}

export interface StartedRun {
  readonly run: RunSummary;
  /** False when the idempotency key had started it before. */
  readonly created: boolean;
}

const DEFAULT_TENANT = "default";
const DEFAULT_QUEUE = "default";
const DEFAULT_PRIORITY = 5;
const IDEMPOTENCY_KEY = /^[\x21-\x7e]+$/;

type Needs = Pick<Parts, "clock" | "newId" | "hash" | "store" | "reader" | "workflows" | "checkInputs">;

/**
 * Admits a run, once per idempotency key. Nothing is accepted that the engine would refuse later for its shape:
 * the workflow exists, the inputs fit its schema, sizes are within the limits, the deadline lies ahead.
 */
export function startRun(parts: Needs, request: StartRun, origin?: StartOrigin): Promise<Result<StartedRun>> {
  return asResult(async () => {
    const shape = checkStart(request);
    if (!shape.ok) return shape;
    const at = parts.clock.now();
    const deadline = parseDeadline(request.deadline, at);
    if (!deadline.ok) return deadline;
    const prepared = await prepareRun(parts, {
      workflow: request.workflow,
      inputs: request.inputs,
      ...(request.title === undefined ? {} : { title: request.title }),
      tenant: DEFAULT_TENANT,
      queue: DEFAULT_QUEUE,
      priority: request.priority ?? DEFAULT_PRIORITY,
      deadlineAt: deadline.value,
      ...budgetOf(request),
      ...(origin === undefined ? {} : { intent: origin.intent }),
    });
    if (!prepared.ok) return prepared;
    const key = request.idempotencyKey;
    const bodyHash = origin?.bodyHash ?? hashOf(parts, request);
    return admitRun(parts, {
      id: origin?.id ?? parts.newId("run"),
      request: prepared.value,
      idempotency: key === undefined ? null : { key, bodyHash },
      at,
    });
  });
}

/** Stores a run, or finds the one that the same request had started. */
export async function admitRun(
  parts: Pick<Parts, "store" | "reader">,
  admission: Admission,
): Promise<Result<StartedRun>> {
  const [admitted] = await parts.store.admit([admission]);
  if (!admitted) return fail("internal", "The store gave no answer to an admission.");
  if (admitted.kind === "refused") return { ok: false, failure: admitted.failure };
  const run = await findRun(parts, admitted.id);
  return run.ok ? ok({ run: run.value, created: admitted.kind === "created" }) : run;
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
  // What came later is left out where it is absent, so that a retry across an upgrade is still the same request.
  const { budgetMicros } = budgetOf(request);
  const more = budgetMicros === undefined ? {} : { budget: budgetMicros };
  return parts.hash(canonicalJson({ workflow, inputs, title, deadline, priority, ...more }));
}

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/i;

function parseDeadline(text: string | undefined, now: number): Result<number | null> {
  if (text === undefined) return ok(null);
  const span = parseDuration(text);
  const at = span === null ? (MOMENT.test(text) ? Date.parse(text) : Number.NaN) : now + span;
  if (!Number.isSafeInteger(Math.round(at))) {
    return fail(
      "invalid_request",
      `deadline is ${JSON.stringify(text)}; expected a duration like "2h" or a moment like "2026-01-31T12:00:00Z".`,
      { field: "deadline" },
    );
  }
  if (at <= now) {
    return fail("invalid_request", `deadline ${JSON.stringify(text)} has passed; name one that lies ahead.`, {
      field: "deadline",
    });
  }
  return ok(Math.round(at));
}
