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
import { droppedFor, tooManyLanes } from "../../../domain/queue.ts";
import { hasRunEnded } from "../../../domain/run.ts";
import { serve } from "../../../domain/service-rate.ts";
import { conflictsOf, refusal } from "../sql/admission-answers.ts";
import { EntryRefused, encode } from "../sql/encode.ts";
import { factRow } from "../sql/fact-row.ts";
import { ALWAYS_FITS, childEnded, parentEnded, superseded } from "../sql/messages.ts";
import { Admissions } from "./admissions.ts";
import type { HeldRun, Ledger, Victim } from "./ledger.ts";
import type { Loaded } from "./load.ts";

type End = Extract<CommitNext, { kind: "end" }>;

/** The verbs over what was loaded, entry after entry: they decide, and the ledger keeps what is to be written. */
export class Verbs {
  readonly #loaded: Loaded;
  readonly #ledger: Ledger;
  readonly #admissions: Admissions;

  constructor(loaded: Loaded, requests: ReadonlyMap<string, RunRequest | null>) {
    this.#loaded = loaded;
    this.#ledger = loaded.ledger;
    this.#admissions = new Admissions(loaded, requests);
  }

  /** `door`: caps count, and refusals are counted; a run's own children always have room. */
  admit(admission: Admission, door: boolean): Admitted {
    const answer = this.#admissions.judge(admission);
    if (answer !== null) {
      if (answer.kind === "refused" && answer.failure.code === "concurrency_conflict") {
        this.#ledger.count("refused_conflict", 1);
      }
      return answer;
    }
    const { id, request, at } = admission;
    // Encoded before anything is noted: what is no JSON leaves no trace.
    const fact = factRow({ kind: "run_queued", request, seq: 1, at });
    const lane = this.#admissions.laneFor(request);
    if (lane === null) return refusal(tooManyLanes(request.needs ?? [], LIMITS.lanes));
    const room = door ? this.#admissions.room(admission) : { victim: null };
    if ("code" in room) return refusal(room);
    if (room.victim !== null) this.#drop(room.victim, admission);
    this.#enter(admission, lane, fact);
    for (const { key, limit } of conflictsOf(request, "cancel_older")) {
      const older = this.#admissions.olderUsers(key, id);
      for (const run of older.slice(0, Math.max(0, older.length - limit + 1))) {
        this.post(superseded({ run, by: id, key, at }));
      }
    }
    const created = { kind: "created", id } as const;
    return room.victim === null ? created : { ...created, dropped: [room.victim.id] };
  }

  #enter(admission: Admission, lane: number, { text, ...fact }: ReturnType<typeof factRow>): void {
    const { id, request, idempotency, at, weight = 1 } = admission;
    const { tenant, queue, priority, workflow, title, deadlineAt, slots = [] } = request;
    const parent = request.parent === null ? undefined : this.#ledger.runs.get(request.parent.run);
    const no = this.#admissions.number();
    const vt = this.#admissions.advance(request, weight);
    const family =
      parent === undefined || request.parent === null
        ? null
        : { no: parent.no, id: parent.id, step: request.parent.step };
    const placed = { no, id, tenant, queue, priority, vt, workflow, title, parent: family };
    this.#ledger.newRuns.push({
      ...placed,
      idempotency,
      at,
      deadlineAt,
      lane,
      slots,
      sla: request.sla ?? null,
    });
    this.#ledger.facts.push({ ...fact, no, token: 0, body: this.#ledger.body(text) });
    const run: HeldRun = {
      no,
      id,
      parentNo: family?.no ?? null,
      parentId: family?.id ?? null,
      tenant,
      priority,
      gated: slots.length > 0,
      was: "nowhere",
      status: "queued",
      paused: false,
      place: { at: "nowhere" },
      hurried: false,
      open: 0,
      messages: new Map(),
    };
    this.#admissions.enter(admission, run);
    this.#ledger.count("queued", 1);
    this.#ledger.countWaiting(run, 1);
    this.#ledger.makeReady(run, false);
    this.#ledger.hint({ kind: "facts", run: id });
  }

  /** A run that waits gives way: it ends, and its parent hears of it. */
  #drop(victim: Victim, { request, at }: Admission): void {
    const { no, id, tenant, priority, gated, parent_no: parentNo, parent_id: parentId } = victim;
    const why = droppedFor({ priority, by: request.priority });
    const known = this.#ledger.runs.get(id);
    const run: HeldRun = known ?? {
      ...{ no, id, parentNo, parentId, tenant, priority, gated, was: "elsewhere", status: "queued" },
      ...{ paused: false, place: { at: "elsewhere" }, hurried: false, open: 0, messages: new Map() },
    };
    this.#ledger.runs.set(id, run);
    const { text, ...fact } = factRow({ kind: "run_failed", failure: why, seq: 2, at });
    this.#ledger.facts.push({ ...fact, no, token: 0, body: this.#ledger.body(text) });
    if (run.was === "elsewhere") this.#ledger.dropped.push(victim);
    else this.#ledger.count("ready", -1);
    const first = run.hurried || (run.place.at === "ready" && run.place.first);
    if (gated && victim.place === "ready" && !first) {
      this.#ledger.slotEvents.push({ kind: "pass", no, sure: true });
    }
    this.#ledger.count("dropped", 1);
    this.#end(run, { kind: "end", status: "failed", output: null, failure: why }, at);
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
    else if (canceled) this.#hurry(run);
    this.#ledger.hint({ kind: "inbox", run: posting.run });
    return "accepted";
  }

  /** Before all others; the slots it stood in line for are offered to the next. */
  #hurry(run: HeldRun): void {
    const { no, place } = run;
    if (place.at === "ready" && !place.first) {
      run.place = { at: "ready", first: true };
      if (run.gated) this.#ledger.slotEvents.push({ kind: "pass", no, sure: true });
    } else if (place.at === "elsewhere" && !run.hurried) {
      run.hurried = true;
      if (run.gated) this.#ledger.slotEvents.push({ kind: "pass", no, sure: false });
    }
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
      this.#ledger.countWaiting(run, -1);
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
      const admitted = this.admit(child, false);
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
    // Nobody knows since when, or it was held only to be ended.
    if (run.place.at === "lease" && run.place.since !== 0) {
      const ms = Math.max(0, at - run.place.since);
      this.#ledger.served = serve(this.#ledger.served, { runs: next.kind === "end" ? 1 : 0, ms, at });
    }
    if (next.kind === "end") return this.#end(run, next, at);
    if (run.gated) this.#ledger.slotEvents.push({ kind: "release", no: run.no, what: "lease" });
    if (next.kind === "yield" || run.open > 0) this.#ledger.makeReady(run, false);
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
    if (run.status === "queued") this.#ledger.countWaiting(run, -1);
    if (run.gated) {
      this.#ledger.slotEvents.push({ kind: "release", no: run.no, what: "all" });
      this.#admissions.leave(run.id);
    }
    run.status = status;
    run.place = { at: "nowhere" };
    if (run.parentId !== null) this.post(childEnded({ run: run.id, parent: run.parentId, at }, next));
    for (const child of this.#loaded.children.get(run.no) ?? []) {
      this.post(parentEnded({ run: run.id, child, at }, next));
    }
  }
}
