import { canonicalJson, type Json } from "../../../base/json.ts";
import type { Admission, Admitted } from "../../../contracts/run-store.ts";
import { type ErrorCode, type Failure, failure } from "../../../domain/errors.ts";
import type { Fact, RunRequest, Slot } from "../../../domain/fact.ts";
import { hasRunEnded, type RunStatus } from "../../../domain/run.ts";

export const refusal = (why: Failure): Admitted => ({ kind: "refused", failure: why });
const refused = (code: ErrorCode, message: string): Admitted => refusal(failure(code, message));

/** The slots of a request for which an older run matters at once. */
export function conflictsOf(request: RunRequest, how: Slot["onConflict"]): readonly Slot[] {
  return (request.slots ?? []).filter((slot) => slot.onConflict === how);
}

/** The answer to a key that was seen before. */
export function answerOfKey(
  { key, bodyHash }: NonNullable<Admission["idempotency"]>,
  first: { readonly id: string; readonly idem_hash: string },
): Admitted {
  if (first.idem_hash === bodyHash) return { kind: "existing", id: first.id };
  const message = `idempotency key ${JSON.stringify(key)} was used for another request (${first.id})`;
  return refused("idempotency_conflict", message);
}

/** The answer to an id that was seen before; `asked` is what was asked for then. */
export function answerOfId({ id, request }: Admission, asked: RunRequest | null): Admitted {
  const text = (value: RunRequest | null) => canonicalJson(value as unknown as Json);
  if (text(asked) === text(request)) return { kind: "existing", id };
  return refused("conflict", `a run ${id} exists with another request`);
}

export function requestOf(first: Fact | undefined): RunRequest | null {
  return first?.kind === "run_queued" ? first.request : null;
}

/** The refusal of a child whose parent cannot have one, or `null`. */
export function answerOfParent(
  { request }: Admission,
  parent: { readonly status: RunStatus } | undefined,
): Admitted | null {
  if (request.parent === null) return null;
  const { run } = request.parent;
  if (parent === undefined) return refused("not_found", `parent run ${run} does not exist`);
  return hasRunEnded(parent.status) ? refused("run_ended", `parent run ${run} has ended`) : null;
}
