import type { Json } from "../../../base/json.ts";
import type {
  Admission,
  Admitted,
  Claim,
  Commit,
  CommitNext,
  Committed,
  Posted,
  Posting,
  StoreHint,
  WorkerInfo,
} from "../../../contracts/run-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { hasRunEnded } from "../../../domain/run.ts";
import { judgeAdmission, judgeCommit, stepEndedBy } from "./rules.ts";
import { copy, type MemoryRun, type MemoryState } from "./state.ts";

const ALWAYS_FITS: ReadonlySet<Posting["kind"]> = new Set(["cancel", "approval", "child"]);

function byPlace(a: MemoryRun, b: MemoryRun): number {
  if (a.place.at !== "ready" || b.place.at !== "ready") return 0;
  return a.place.priority - b.place.priority || a.place.vt - b.place.vt || a.no - b.no;
}

function wakeAt(run: MemoryRun): number {
  return run.place.at === "rest" && run.place.wakeAt !== null ? run.place.wakeAt : Number.POSITIVE_INFINITY;
}

export function nextDue(state: MemoryState): number | null {
  const next = Math.min(...state.runs.map(wakeAt), Number.POSITIVE_INFINITY);
  return next === Number.POSITIVE_INFINITY ? null : next;
}

/** The verbs of the store over plain values. None of them fails half-way: what they ask, they ask first. */
export class Verbs {
  readonly #state: MemoryState;
  readonly #hint: (hint: StoreHint) => void;

  constructor(state: MemoryState, hint: (hint: StoreHint) => void) {
    this.#state = state;
    this.#hint = hint;
  }

  admit(admission: Admission): Admitted {
    const answer = judgeAdmission(this.#state, admission, []);
    if (answer !== null) return answer;
    const { id, idempotency, at } = admission;
    const request = copy(admission.request);
    this.#state.vt += 1;
    this.#state.lastNo += 1;
    const run: MemoryRun = {
      no: this.#state.lastNo,
      id,
      request,
      idempotency,
      vt: this.#state.vt,
      createdAt: at,
      facts: [{ kind: "run_queued", request, seq: 1, at }],
      lastToken: 0,
      endedSteps: new Set(),
      status: "queued",
      paused: false,
      startedAt: null,
      endedAt: null,
      output: null,
      failure: null,
      place: { at: "nowhere" },
      inbox: [],
    };
    this.#state.runs.push(run);
    this.#state.byNo.set(run.no, run);
    this.#state.byId.set(id, run);
    this.#enqueue(run, "own");
    this.#hint({ kind: "facts", run: id });
    return { kind: "created", id };
  }

  join(info: WorkerInfo, now: number): void {
    const joinedAt = this.#state.workers.get(info.id)?.joinedAt ?? now;
    this.#state.workers.set(info.id, { info, joinedAt, beatAt: now });
  }

  claim(worker: string, limit: number): Claim[] | null {
    if (!this.#state.workers.has(worker)) return null;
    const ready = this.#state.runs.filter((run) => run.place.at === "ready").sort(byPlace);
    return ready.slice(0, Math.max(0, limit)).map((run) => {
      this.#state.fence += 1;
      run.place = { at: "lease", token: this.#state.fence, worker };
      return { no: run.no, run: run.id, token: this.#state.fence, worker };
    });
  }

  commit(entry: Commit, now: number): Committed {
    const run = this.#state.byNo.get(entry.claim.no);
    if (run?.place.at !== "lease" || run.place.token !== entry.claim.token) return { kind: "fenced" };
    if (run.id !== entry.claim.run) return { kind: "fenced" };
    const failure = judgeCommit(this.#state, run, entry);
    if (failure !== null) return { kind: "refused", failure };
    this.#write(run, entry, now);
    return { kind: "ok" };
  }

  post(posting: Posting): Posted {
    const run = this.#state.byId.get(posting.run);
    if (run === undefined) return "unknown_run";
    if (hasRunEnded(run.status)) return "run_ended";
    if (run.inbox.some((other) => other.message.id === posting.id)) return "duplicate";
    const open = run.inbox.filter((other) => !other.consumed).length;
    if (open >= LIMITS.inboxPerRun && !ALWAYS_FITS.has(posting.kind)) return "inbox_full";
    this.#state.arrival += 1;
    run.inbox.push({ message: { ...copy(posting), order: this.#state.arrival }, consumed: false });
    const canceled = posting.kind === "cancel";
    const stands = run.place.at === "rest" || (run.place.at === "ready" && canceled);
    if (stands) this.#enqueue(run, canceled ? "first" : "own");
    this.#hint({ kind: "inbox", run: run.id });
    return "accepted";
  }

  wakeDue(now: number, limit: number): number {
    const due = this.#state.runs.filter((run) => wakeAt(run) <= now);
    const woken = due.sort((a, b) => wakeAt(a) - wakeAt(b) || a.no - b.no).slice(0, Math.max(0, limit));
    for (const run of woken) this.#enqueue(run, "own");
    return woken.length;
  }

  /** Makes ready what unknown workers hold; returns the runs' ids. */
  requeueOrphans(): string[] {
    const { runs, workers } = this.#state;
    const orphans = runs.filter((run) => run.place.at === "lease" && !workers.has(run.place.worker));
    for (const run of orphans) this.#enqueue(run, "own");
    return orphans.map((run) => run.id);
  }

  prune(before: number, limit: number): number {
    const ended = this.#state.runs.filter((run) => run.endedAt !== null && run.endedAt < before);
    const gone = ended
      .sort((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0) || a.no - b.no)
      .slice(0, Math.max(0, limit));
    for (const run of gone) {
      this.#state.runs.splice(this.#state.runs.indexOf(run), 1);
      this.#state.byNo.delete(run.no);
      this.#state.byId.delete(run.id);
      for (const [id, approval] of this.#state.approvals) {
        if (approval.run === run.id) this.#state.approvals.delete(id);
      }
    }
    return gone.length;
  }

  #enqueue(run: MemoryRun, place: "own" | "first"): void {
    const { priority } = run.request;
    run.place =
      place === "first" ? { at: "ready", priority: 0, vt: 0 } : { at: "ready", priority, vt: run.vt };
    this.#hint({ kind: "ready" });
  }

  #write(run: MemoryRun, entry: Commit, now: number): void {
    const facts = copy(entry.facts);
    const at = facts.at(-1)?.at ?? now;
    run.facts.push(...facts);
    if (facts.length > 0) run.lastToken = entry.claim.token;
    for (const fact of facts) {
      const step = stepEndedBy(fact);
      if (step !== null) run.endedSteps.add(step);
    }
    if (entry.started && run.status === "queued") {
      run.status = "running";
      run.startedAt = at;
    }
    run.paused = entry.paused;
    for (const kept of run.inbox) if (entry.consumed.includes(kept.message.id)) kept.consumed = true;
    for (const child of entry.children) this.admit(child);
    this.#writeApprovals(run, entry, at);
    for (const posting of entry.posts) this.post(posting);
    this.#settle(run, entry.next, at);
    if (facts.length > 0) this.#hint({ kind: "facts", run: run.id });
  }

  #writeApprovals(run: MemoryRun, entry: Commit, at: number): void {
    const { approvals } = this.#state;
    for (const { step, request } of entry.approvals) {
      const answer = { answeredAt: null, answeredBy: null, comment: null };
      const asked = { run: run.id, step, status: "pending", requestedAt: at } as const;
      approvals.set(request.id, { ...copy(request), ...asked, ...answer });
    }
    for (const { id, status } of entry.closedApprovals) {
      const approval = approvals.get(id);
      if (approval?.run !== run.id || approval.status !== "pending") continue;
      approvals.set(id, { ...approval, status });
    }
  }

  #settle(run: MemoryRun, next: CommitNext, at: number): void {
    if (next.kind === "hold") return;
    const called = run.inbox.some((message) => !message.consumed);
    if (next.kind === "end") this.#end(run, next, at);
    else if (next.kind === "yield" || called) this.#enqueue(run, "own");
    else run.place = { at: "rest", wakeAt: next.wakeAt, waitingFor: [...next.waitingFor] };
  }

  #end(run: MemoryRun, next: Extract<CommitNext, { kind: "end" }>, at: number): void {
    run.place = { at: "nowhere" };
    run.inbox = [];
    run.status = next.status;
    run.endedAt = at;
    run.output = copy(next.output);
    run.failure = copy(next.failure);
    for (const [id, approval] of this.#state.approvals) {
      if (approval.run !== run.id || approval.status !== "pending") continue;
      this.#state.approvals.set(id, { ...approval, status: "withdrawn" });
    }
    const from = `run:${run.id}`;
    if (run.request.parent !== null) {
      const body = {
        run: run.id,
        status: run.status,
        output: run.output,
        failure: run.failure,
      } as unknown as Json;
      const message = {
        run: run.request.parent.run,
        id: `child:${run.id}`,
        kind: "child",
        name: run.id,
      } as const;
      this.post({ ...message, body, from, at });
    }
    const children = this.#state.runs.filter((other) => other.request.parent?.run === run.id);
    for (const child of children.filter((other) => !hasRunEnded(other.status))) {
      const body = { reason: `its parent run ${run.id} has ended (${run.status})` };
      this.post({
        run: child.id,
        id: `parent_ended:${run.id}`,
        kind: "cancel",
        name: "cancel",
        body,
        from,
        at,
      });
    }
  }
}
