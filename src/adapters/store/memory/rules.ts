import { canonicalJson, type Json } from "../../../base/json.ts";
import type { Admission, Admitted, Commit } from "../../../contracts/run-store.ts";
import { type Failure, failure } from "../../../domain/errors.ts";
import type { Fact, FactKind } from "../../../domain/fact.ts";
import { queueFull, slotInUse, slotOfAncestor, tenantQueueFull } from "../../../domain/queue.ts";
import { hasRunEnded } from "../../../domain/run.ts";
import { type MemoryRun, type MemoryState, slotsOf } from "./state.ts";

/** What may be written, as pure questions: a refusal is known before anything is changed. */

const ENDS_RUN: ReadonlySet<FactKind> = new Set(["run_completed", "run_failed", "run_canceled"]);
const ENDS_STEP: ReadonlySet<FactKind> = new Set([
  "step_succeeded",
  "step_failed",
  "step_skipped",
  "step_canceled",
]);
const MOVES_STEP: ReadonlySet<FactKind> = new Set([
  "step_started",
  "step_expanded",
  "step_waiting",
  "step_woken",
  "step_retrying",
]);

/** The step a fact ends, or `null`. */
export function stepEndedBy(fact: Fact): string | null {
  return ENDS_STEP.has(fact.kind) && "step" in fact ? fact.step : null;
}

/** What the answer to an admission is, when it is not simply created. `pending` are those of the same entry. */
export function judgeAdmission(
  state: MemoryState,
  admission: Admission,
  pending: readonly Admission[],
): Admitted | null {
  const { id, request, idempotency } = admission;
  const known = [...state.runs, ...pending];
  if (idempotency !== null) {
    const first = known.find(
      (run) => run.request.tenant === request.tenant && run.idempotency?.key === idempotency.key,
    );
    if (first?.idempotency?.bodyHash === idempotency.bodyHash) return { kind: "existing", id: first.id };
    if (first !== undefined) return refusal("idempotency_conflict", "the key was used for another request");
  }
  const same = state.byId.get(id) ?? pending.find((other) => other.id === id);
  if (same !== undefined) {
    const text = (value: unknown) => canonicalJson(value as Json);
    if (text(same.request) === text(request)) return { kind: "existing", id };
    return refusal("conflict", "the run exists with another request");
  }
  if (request.parent !== null) {
    const parent = state.byId.get(request.parent.run);
    if (parent === undefined) return refusal("not_found", "the parent run does not exist");
    if (hasRunEnded(parent.status)) return refusal("run_ended", "the parent run has ended");
  }
  return judgeSlots(state, admission, pending);
}

/** Open runs that name a slot, the oldest first. */
export function usersOf(state: MemoryState, key: string): MemoryRun[] {
  return state.runs.filter(
    (run) => !hasRunEnded(run.status) && slotsOf(run).some((slot) => slot.key === key),
  );
}

function judgeSlots(
  state: MemoryState,
  admission: Admission,
  pending: readonly Admission[],
): Admitted | null {
  const above = new Map<string, string>();
  let parent = admission.request.parent;
  while (parent !== null) {
    const run = state.byId.get(parent.run);
    for (const { key } of run === undefined ? [] : slotsOf(run).filter(({ hold }) => hold === "run")) {
      if (run !== undefined && !above.has(key)) above.set(key, run.id);
    }
    parent = run?.request.parent ?? null;
  }
  for (const { key, limit, onConflict } of slotsOf(admission)) {
    const ancestor = above.get(key);
    if (ancestor !== undefined) return refused(slotOfAncestor({ key, holder: ancestor }));
    if (onConflict !== "reject") continue;
    const alike = pending.filter((other) => slotsOf(other).some((slot) => slot.key === key));
    const [holder, ...others] = [...usersOf(state, key), ...alike];
    if (holder !== undefined && others.length + 1 >= limit) {
      return refused(slotInUse({ key, limit, holder: holder.id }));
    }
  }
  return null;
}

/** Whether there is room for one more, and at whose cost; asked of runs that came by a door only. */
export function judgeRoom(
  state: MemoryState,
  { request, caps }: Admission,
): { readonly victim: MemoryRun | null } | Failure {
  const waiting = state.runs.filter((run) => run.status === "queued");
  const alike = waiting.filter((run) => run.request.tenant === request.tenant);
  if (caps?.tenant != null && alike.length >= caps.tenant) {
    return tenantQueueFull({ tenant: request.tenant, queued: alike.length, cap: caps.tenant });
  }
  if (caps?.queue == null || waiting.length < caps.queue) return { victim: null };
  const [victim] = waiting
    .filter((run) => run.request.priority > request.priority && run.facts.length === 1)
    .filter((run) => run.place.at === "ready" || run.place.at === "parked")
    .filter((run) => !state.runs.some((child) => isOpenChild(child, run)))
    .sort((a, b) => b.request.priority - a.request.priority || b.no - a.no);
  if (victim !== undefined) return { victim };
  return queueFull({ queued: waiting.length, cap: caps.queue, priority: request.priority });
}

function isOpenChild(child: MemoryRun, of: MemoryRun): boolean {
  return child.request.parent?.run === of.id && !hasRunEnded(child.status);
}

function refused(why: Failure): Admitted {
  return { kind: "refused", failure: why };
}

function refusal(code: Parameters<typeof failure>[0], message: string): Admitted {
  return { kind: "refused", failure: failure(code, message) };
}

function judgeFacts(run: MemoryRun, token: number, facts: readonly Fact[]): string | null {
  let last = run.facts.at(-1);
  const ended = new Set(run.endedSteps);
  if (facts.length > 0 && token < run.lastToken) return "an older token than the journal's";
  for (const fact of facts) {
    if (last === undefined || fact.seq !== last.seq + 1) return "seq is not dense";
    if (fact.kind === "run_queued") return "a run is queued once";
    if (ENDS_RUN.has(last.kind)) return "a fact after the end";
    if (MOVES_STEP.has(fact.kind) && "step" in fact && ended.has(fact.step)) return "the step has ended";
    const step = stepEndedBy(fact);
    if (step !== null && ended.has(step)) return "the step has ended";
    if (step !== null) ended.add(step);
    last = fact;
  }
  return null;
}

/** Why an entry that holds its lease may not be written, or `null`. */
export function judgeCommit(state: MemoryState, run: MemoryRun, entry: Commit): Failure | null {
  const facts = judgeFacts(run, entry.claim.token, entry.facts);
  if (facts !== null) return failure("internal", facts);
  const admitted: Admission[] = [];
  for (const child of entry.children) {
    if (child.request.parent?.run !== run.id) return failure("internal", "a child names another parent");
    const answer = judgeAdmission(state, child, admitted);
    if (answer?.kind === "refused") return answer.failure;
    if (answer === null) admitted.push(child);
  }
  const asked = entry.approvals.map((approval) => approval.request.id);
  const taken = asked.some((id, index) => state.approvals.has(id) || asked.indexOf(id) !== index);
  return taken ? failure("internal", "the approval exists") : null;
}
