import type {
  Admission,
  Admitted,
  Commit,
  CommitNext,
  Committed,
  Posted,
  Posting,
} from "../../../contracts/run-store.ts";
import { failure } from "../../../domain/errors.ts";
import type { RunRequest } from "../../../domain/fact.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { hasRunEnded } from "../../../domain/run.ts";
import { answerOfId, answerOfKey, answerOfParent } from "../sql/admission-answers.ts";
import { EntryRefused, encode } from "../sql/encode.ts";
import { factRow } from "../sql/fact-row.ts";
import { ALWAYS_FITS, childEnded, parentEnded } from "../sql/messages.ts";
import type { HeldRun, Ledger } from "./ledger.ts";
import { keyOf, type Loaded } from "./load.ts";

type End = Extract<CommitNext, { kind: "end" }>;

/** The verbs over what was loaded, entry after entry: they decide, and the ledger keeps what is to be written. */
export class Verbs {
  readonly #loaded: Loaded;
  readonly #ledger: Ledger;
  /** What runs with known ids were asked for. */
  readonly #requests: ReadonlyMap<string, RunRequest | null>;
  readonly #asked = new Map<string, RunRequest>();

  constructor(loaded: Loaded, requests: ReadonlyMap<string, RunRequest | null>) {
    this.#loaded = loaded;
    this.#ledger = loaded.ledger;
    this.#requests = requests;
  }

  admit(admission: Admission): Admitted {
    const { id, request, idempotency, at } = admission;
    const { runs } = this.#ledger;
    if (idempotency !== null) {
      const first = this.#loaded.keys.get(keyOf(request.tenant, idempotency.key));
      if (first !== undefined) return answerOfKey(idempotency, first);
    }
    if (runs.has(id)) return answerOfId(admission, this.#asked.get(id) ?? this.#requests.get(id) ?? null);
    const parent = request.parent === null ? undefined : runs.get(request.parent.run);
    const orphaned = answerOfParent(admission, parent);
    if (orphaned !== null) return orphaned;
    // Encoded before anything is noted: what is no JSON leaves no trace.
    const { text, ...fact } = factRow({ kind: "run_queued", request, seq: 1, at });
    const no = this.#loaded.numbers.shift();
    if (no === undefined) throw new Error("more runs than numbers");
    const { tenant, queue, priority, workflow, title, deadlineAt } = request;
    const family =
      parent === undefined || request.parent === null
        ? null
        : { no: parent.no, id: parent.id, step: request.parent.step };
    const placed = { no, id, tenant, queue, priority, vt: no, workflow, title, parent: family };
    this.#ledger.newRuns.push({ ...placed, idempotency, at, deadlineAt, sla: request.sla ?? null });
    this.#ledger.facts.push({ ...fact, no, token: 0, body: this.#ledger.body(text) });
    this.#asked.set(id, request);
    if (idempotency !== null) {
      this.#loaded.keys.set(keyOf(tenant, idempotency.key), { id, idem_hash: idempotency.bodyHash });
    }
    if (family !== null) {
      this.#loaded.children.set(family.no, [...(this.#loaded.children.get(family.no) ?? []), id]);
    }
    this.#enter(admission, no, family);
    return { kind: "created", id };
  }

  #enter({ id }: Admission, no: number, parent: { readonly no: number; readonly id: string } | null): void {
    const run: HeldRun = {
      no,
      id,
      parentNo: parent?.no ?? null,
      parentId: parent?.id ?? null,
      was: "nowhere",
      status: "queued",
      paused: false,
      place: { at: "nowhere" },
      hurried: false,
      open: 0,
      messages: new Map(),
    };
    this.#ledger.runs.set(id, run);
    this.#ledger.count("queued", 1);
    this.#ledger.makeReady(run, false);
    this.#ledger.hint({ kind: "facts", run: id });
  }

  post(posting: Posting): Posted {
    const run = this.#ledger.runs.get(posting.run);
    if (run === undefined) return "unknown_run";
    if (hasRunEnded(run.status)) return "run_ended";
    const { id, kind, name, from, at } = posting;
    if (run.messages.has(id)) return "duplicate";
    if (!ALWAYS_FITS.has(kind) && run.open >= LIMITS.inboxPerRun) return "inbox_full";
    const body = encode(posting.body);
    this.#ledger.messages.push({ no: run.no, id, kind, name, body, from, at });
    run.messages.set(id, true);
    run.open += 1;
    const canceled = kind === "cancel";
    if (run.place.at === "rest") this.#ledger.makeReady(run, canceled);
    else if (canceled && run.place.at === "ready") run.place = { at: "ready", first: true };
    else if (canceled && run.place.at === "elsewhere") run.hurried = true;
    this.#ledger.hint({ kind: "inbox", run: posting.run });
    return "accepted";
  }

  /** Refusals throw `EntryRefused`: the batch is then done again, entry by entry. */
  commit(entry: Commit, now: number): Committed {
    const { run: id, no, token } = entry.claim;
    const run = this.#ledger.runs.get(id);
    if (run?.no !== no || run.place.at !== "lease" || run.place.token !== token) return { kind: "fenced" };
    const at = entry.facts.at(-1)?.at ?? now;
    for (const fact of entry.facts) {
      const { text, ...row } = factRow(fact);
      this.#ledger.facts.push({ ...row, no, token, body: this.#ledger.body(text) });
    }
    if (entry.started && run.status === "queued") {
      run.status = "running";
      Object.assign(this.#ledger.change(run), { status: "running", startedAt: at });
      this.#ledger.count("queued", -1);
      this.#ledger.count("running", 1);
    }
    if (entry.paused !== run.paused) {
      run.paused = entry.paused;
      this.#ledger.change(run).paused = entry.paused;
    }
    this.#writeSides(run, entry, at);
    this.#settle(run, entry.next, at);
    if (entry.facts.length > 0) this.#ledger.hint({ kind: "facts", run: id });
    return { kind: "ok" };
  }

  #writeSides(run: HeldRun, entry: Commit, at: number): void {
    const { no } = run;
    for (const id of entry.consumed) {
      if (run.messages.get(id) !== true) continue;
      run.messages.set(id, false);
      run.open -= 1;
      this.#ledger.consumed.push({ no, id });
    }
    for (const child of entry.children) {
      if (child.request.parent?.run !== run.id) {
        throw new EntryRefused(
          failure("internal", `child ${child.id} does not name ${run.id} as its parent`),
        );
      }
      const admitted = this.admit(child);
      if (admitted.kind === "refused") throw new EntryRefused(admitted.failure);
    }
    for (const of of entry.approvals) {
      this.#ledger.asked.push({ no, at, step: of.step, details: encode(of.request.details), of });
    }
    for (const { id, status } of entry.closedApprovals) this.#ledger.closed.push({ no, id, status });
    for (const posting of entry.posts) this.post(posting);
  }

  #settle(run: HeldRun, next: CommitNext, at: number): void {
    if (next.kind === "hold") return;
    if (next.kind === "end") this.#end(run, next, at);
    else if (next.kind === "yield" || run.open > 0) this.#ledger.makeReady(run, false);
    else run.place = { at: "rest", wakeAt: next.wakeAt, waitingFor: next.waitingFor };
  }

  /** Ends a run: what it holds goes, its parent hears of it, its open children are asked to stop. */
  #end(run: HeldRun, next: End, at: number): void {
    const { output, failure: why, status } = next;
    const result = this.#ledger.body(encode({ output, failure: why }));
    Object.assign(this.#ledger.change(run), { status, endedAt: at, result });
    this.#ledger.count(run.status === "queued" ? "queued" : "running", -1);
    this.#ledger.count(status, 1);
    this.#ledger.ended.push(run.no);
    run.status = status;
    run.place = { at: "nowhere" };
    if (run.parentId !== null) this.post(childEnded({ run: run.id, parent: run.parentId, at }, next));
    for (const child of this.#loaded.children.get(run.no) ?? []) {
      this.post(parentEnded({ run: run.id, child, at }, next));
    }
  }
}
