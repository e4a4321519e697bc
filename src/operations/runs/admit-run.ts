import type { Admission } from "../../contracts/run-store.ts";
import type { RefusalScope } from "../../domain/admission.ts";
import { classOf, tenantRules } from "../../domain/admission-rules.ts";
import { type Failure, fail, ok, type Result } from "../../domain/errors.ts";
import type { RunSummary } from "../../domain/run.ts";
import type { Parts } from "../parts.ts";
import { findRun } from "./find-run.ts";

export interface StartedRun {
  readonly run: RunSummary;
  /** False when the idempotency key had started it before. */
  readonly created: boolean;
}

type Needs = Pick<Parts, "clock" | "store" | "reader" | "desk">;
type Asked = Omit<Admission, "weight" | "caps">;

/** The run that the same request had started; `null` when its key is free. Asks the readers' side alone. */
export async function startedBefore(
  parts: Pick<Parts, "reader">,
  of: { readonly tenant: string; readonly key: string; readonly bodyHash: string },
): Promise<Result<StartedRun> | null> {
  const first = await parts.reader.byIdempotencyKey(of.tenant, of.key);
  if (first === null) return null;
  if (first.bodyHash !== of.bodyHash) {
    return fail(
      "idempotency_conflict",
      `The idempotency key ${JSON.stringify(of.key)} was used for another request, which started ${first.id}.`,
      { run: first.id },
    );
  }
  const run = await findRun(parts, first.id);
  return run.ok ? ok({ run: run.value, created: false }) : run;
}

/** Lets a run in and stores it, or says whose limit it met and when to come again. */
export async function admitRun(parts: Needs, asked: Asked): Promise<Result<StartedRun>> {
  const { request } = asked;
  const { tenant, priority, deadlineAt } = request;
  const entry = { tenant, priority, deadlineAt, startBy: request.sla?.startBy ?? null };
  const verdict = await parts.desk.judge(entry, request.workflow.name);
  if (verdict.kind === "refuse") return { ok: false, failure: verdict.failure };
  const rules = parts.desk.rules();
  const { weight, maxQueued } = tenantRules(rules, tenant);
  const caps = { queue: rules.maxQueued, tenant: maxQueued };
  const [admitted] = await parts.store.admit([{ ...asked, weight, caps }]);
  if (!admitted) return fail("internal", "The store gave no answer to an admission.");
  if (admitted.kind === "refused") return refused(parts, asked, admitted.failure);
  if (admitted.kind === "created") parts.desk.admitted(entry, admitted.dropped ?? []);
  const run = await findRun(parts, admitted.id);
  return run.ok ? ok({ run: run.value, created: admitted.kind === "created" }) : run;
}

const SCOPES: Readonly<Record<string, RefusalScope>> = {
  tenant_queue_full: "tenant",
  queue_full: "queue",
  concurrency_conflict: "concurrency",
};
/** As the door's own refusals where the queue filled up between its look and the store's. */
const SOON_MS = 1_000;

/** What the store refused is counted as what the door refuses. */
function refused(parts: Needs, { request }: Asked, why: Failure): Result<never> {
  const scope = SCOPES[why.code];
  if (scope === undefined) return { ok: false, failure: why };
  const rules = parts.desk.rules();
  const told = withRetryAfter(why, scope);
  const of = { tenant: request.tenant, class: request.sla?.class ?? classOf(rules, request.priority) };
  parts.desk.refused(scope, told, of);
  return { ok: false, failure: told };
}

function withRetryAfter(why: Failure, scope: RefusalScope): Failure {
  const details = typeof why.details === "object" && why.details !== null ? why.details : {};
  return { ...why, details: { ...details, scope, retry_after_ms: SOON_MS } };
}
