import type { Json } from "../../../base/json.ts";
import type {
  Admission,
  Admitted,
  Answered,
  Claim,
  Commit,
  CommitNext,
  Committed,
  Posted,
  Posting,
  RunStore,
  StoreHint,
  WorkerInfo,
} from "../../../contracts/run-store.ts";
import { nextShare } from "../../../domain/fair-share.ts";
import { hasLabels } from "../../../domain/labels.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { droppedFor, PARKED_PER_CLAIM, supersededReason } from "../../../domain/queue.ts";
import { hasRunEnded } from "../../../domain/run.ts";
import { serve } from "../../../domain/service-rate.ts";
import { judgeAdmission, judgeCommit, judgeRoom, stepEndedBy, usersOf } from "./rules.ts";
import { Slots } from "./slots.ts";
import { copy, type MemoryRun, type MemoryState, type Place } from "./state.ts";

const ALWAYS_FITS: ReadonlySet<Posting["kind"]> = new Set(["cancel", "approval", "child"]);

interface Head {
  readonly run: MemoryRun;
  readonly place: Extract<Place, { at: "ready" }>;
}

function byPlace(a: Head, b: Head): number {
  return a.place.priority - b.place.priority || a.place.vt - b.place.vt || a.run.no - b.run.no;
}

function wakeAt(run: MemoryRun): number {
  return run.place.at === "rest" && run.place.wakeAt !== null ? run.place.wakeAt : Number.POSITIVE_INFINITY;
}

/** When the first of its promises is broken, of those that still count. */
function dueOf({ request, status }: MemoryRun): number {
  const never = Number.POSITIVE_INFINITY;
  const startBy = status === "queued" ? (request.sla?.startBy ?? never) : never;
  return Math.min(request.deadlineAt ?? never, startBy);
}

export function nextDue(state: MemoryState): number | null {
  const next = Math.min(...state.runs.map(wakeAt), Number.POSITIVE_INFINITY);
  return next === Number.POSITIVE_INFINITY ? null : next;
}

/** The verbs of the store over plain values. None of them fails half-way: what they ask, they ask first. */
export class Verbs {
  readonly #state: MemoryState;
  readonly #hint: (hint: StoreHint) => void;
  readonly #slots: Slots;

  constructor(state: MemoryState, hint: (hint: StoreHint) => void) {
    this.#state = state;
    this.#hint = hint;
    this.#slots = new Slots(state, hint);
  }

  /** `door`: caps count, and refusals are counted. */
  admit(admission: Admission, door = true): Admitted {
    const { counts } = this.#state;
    const answer = judgeAdmission(this.#state, admission, []);
    if (answer?.kind === "refused" && answer.failure.code === "concurrency_conflict") counts.conflict += 1;
    if (answer !== null) return answer;
    const room = door ? judgeRoom(this.#state, admission) : { victim: null };
    if ("code" in room) {
      if (room.code === "queue_full") counts.queueFull += 1;
      else counts.tenantQueueFull += 1;
      return { kind: "refused", failure: room };
    }
    const { id, at } = admission;
    if (room.victim !== null) this.#drop(room.victim, admission);
    this.#enter(admission);
    for (const { key, limit, onConflict } of admission.request.slots ?? []) {
      if (onConflict === "cancel_older") this.#supersede({ id, at, key, keep: limit - 1 });
    }
    const created = { kind: "created", id } as const;
    return room.victim === null ? created : { ...created, dropped: [room.victim.id] };
  }

  #enter(admission: Admission): void {
    const { id, idempotency, at, weight = 1 } = admission;
    const request = copy(admission.request);
    const state = this.#state;
    const { tenant, priority } = request;
    const clock = JSON.stringify([tenant, priority]);
    const floor = state.floors.get(priority) ?? 0;
    const vt = nextShare({ floor, tenant: state.shares.get(clock) ?? 0, weight });
    state.shares.set(clock, vt);
    state.lastNo += 1;
    const run: MemoryRun = {
      no: state.lastNo,
      id,
      request,
      idempotency,
      vt,
      createdAt: at,
      facts: [{ kind: "run_queued", request, seq: 1, at }],
      lastToken: 0,
      endedSteps: new Set(),
      holds: new Set(),
      status: "queued",
      paused: false,
      startedAt: null,
      endedAt: null,
      output: null,
      failure: null,
      place: { at: "nowhere" },
      inbox: [],
    };
    state.runs.push(run);
    state.byNo.set(run.no, run);
    state.byId.set(id, run);
    for (const { key, limit } of request.slots ?? []) this.#slots.setCap(key, limit);
    this.#slots.ready(run);
    this.#hint({ kind: "facts", run: id });
  }

  #drop(run: MemoryRun, { request, at }: Admission): void {
    const why = droppedFor({ priority: run.request.priority, by: request.priority });
    run.facts.push({ kind: "run_failed", failure: why, seq: 2, at });
    this.#state.counts.dropped += 1;
    this.#end(run, { kind: "end", status: "failed", output: null, failure: why }, at);
    this.#hint({ kind: "facts", run: run.id });
  }

  /** Asks the older runs of a slot to stop, all but the newest `keep`. */
  #supersede({ id, at, key, keep }: { id: string; at: number; key: string; keep: number }): void {
    const older = usersOf(this.#state, key).filter((run) => run.id !== id);
    for (const run of older.slice(0, Math.max(0, older.length - keep))) {
      const body = { reason: supersededReason(id, key) };
      const named = { run: run.id, id: `superseded:${id}`, kind: "cancel", name: "cancel" } as const;
      this.post({ ...named, body, from: `run:${id}`, at });
    }
  }

  join(info: WorkerInfo, now: number): void {
    const joinedAt = this.#state.workers.get(info.id)?.joinedAt ?? now;
    this.#state.workers.set(info.id, { info, joinedAt, beatAt: now });
  }

  claim(worker: string, limit: number, now: number): Claim[] | null {
    const info = this.#state.workers.get(worker)?.info;
    if (info === undefined) return null;
    const taken: (Head & { readonly claim: Claim })[] = [];
    for (let parked = 0; taken.length < limit; ) {
      if (parked >= PARKED_PER_CLAIM) {
        this.#hint({ kind: "ready" });
        break;
      }
      const head = this.#firstReady(info.labels ?? []);
      if (head === null) break;
      const { run, place } = head;
      const full = place.gated ? this.#slots.firstFull(run) : null;
      if (full !== null) {
        this.#slots.park(run, full);
        parked += 1;
        continue;
      }
      taken.push({ ...head, claim: this.#lease(run, place, { worker, now }) });
    }
    return taken.sort(byPlace).map(({ claim }) => claim);
  }

  claimLate(worker: string, now: number, limit: number): Claim[] | null {
    const waits = this.#state.runs.filter(({ place }) => place.at === "ready" || place.at === "parked");
    const late = waits
      .map((run) => ({ run, due: dueOf(run) }))
      .filter(({ due }) => due <= now)
      .sort((a, b) => a.due - b.due || a.run.no - b.run.no)
      .slice(0, Math.max(0, limit));
    if (late.length === 0) return [];
    if (!this.#state.workers.has(worker)) return null;
    return late.map(({ run }) => {
      const offers = run.place.at === "ready" && run.place.gated;
      this.#state.fence += 1;
      const token = this.#state.fence;
      run.place = { at: "lease", token, worker, since: null };
      if (offers) this.#slots.passOn(run);
      return { no: run.no, run: run.id, token, worker };
    });
  }

  #firstReady(labels: readonly string[]): Head | null {
    let first: Head | null = null;
    for (const run of this.#state.runs) {
      const { place } = run;
      if (place.at !== "ready" || !hasLabels(labels, place.needs)) continue;
      const head = { run, place };
      if (first === null || byPlace(head, first) < 0) first = head;
    }
    return first;
  }

  #lease(run: MemoryRun, place: Head["place"], of: { worker: string; now: number }): Claim {
    const state = this.#state;
    if (place.gated) this.#slots.take(run);
    state.floors.set(place.priority, Math.max(state.floors.get(place.priority) ?? 0, place.vt));
    state.fence += 1;
    run.place = { at: "lease", token: state.fence, worker: of.worker, since: of.now };
    return { no: run.no, run: run.id, token: state.fence, worker: of.worker };
  }

  /** Takes a run out of its worker's hands. */
  #unlease(run: MemoryRun, now: number, ended: boolean): void {
    if (run.place.at !== "lease") return;
    const { since } = run.place;
    if (since !== null) {
      const ms = Math.max(0, now - since);
      this.#state.served = serve(this.#state.served, { runs: ended ? 1 : 0, ms, at: now });
    }
    run.place = { at: "nowhere" };
    this.#slots.release(run, ended ? "all" : "lease");
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
    const waits = run.place.at === "ready" || run.place.at === "parked";
    if (canceled && (waits || run.place.at === "rest")) this.#hurry(run);
    else if (run.place.at === "rest") this.#slots.ready(run);
    this.#hint({ kind: "inbox", run: run.id });
    return "accepted";
  }

  answer(given: Parameters<RunStore["answerApproval"]>[0]): Answered {
    const { approval: id, answer, by, comment, at } = given;
    const approval = this.#state.approvals.get(id);
    if (approval === undefined) return "not_found";
    if (approval.status !== "pending") return "already_answered";
    if (approval.expiresAt !== null && approval.expiresAt <= at) return "expired";
    const answered = { status: answer, answeredAt: at, answeredBy: by, comment };
    this.#state.approvals.set(id, { ...approval, ...answered });
    const message = { run: approval.run, id: `approval:${id}`, kind: "approval", name: id } as const;
    this.post({ ...message, body: { answer, by, comment }, from: by, at });
    return "accepted";
  }

  wakeDue(now: number, limit: number): number {
    const due = this.#state.runs.filter((run) => wakeAt(run) <= now);
    const woken = due.sort((a, b) => wakeAt(a) - wakeAt(b) || a.no - b.no).slice(0, Math.max(0, limit));
    for (const run of woken) this.#slots.ready(run);
    return woken.length;
  }

  /** Makes ready what unknown workers hold; returns the runs' ids. */
  requeueOrphans(): string[] {
    const { runs, workers } = this.#state;
    const orphans = runs.filter((run) => run.place.at === "lease" && !workers.has(run.place.worker));
    for (const run of orphans) {
      this.#slots.release(run, "lease");
      this.#slots.ready(run);
    }
    return orphans.map((run) => run.id);
  }

  resize(batch: Parameters<RunStore["resize"]>[0]): number {
    return batch.filter(({ key, limit }) => this.#slots.resize(key, limit)).length;
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

  /** Before all others, for whatever worker: it is only to be ended, and takes no slot for that. */
  #hurry(run: MemoryRun): void {
    const offers = run.place.at === "ready" && run.place.gated;
    run.place = { at: "ready", priority: 0, vt: 0, needs: [], gated: false };
    if (offers) this.#slots.passOn(run);
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
    for (const child of entry.children) this.admit(child, false);
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
    if (next.kind === "end") return this.#end(run, next, at);
    this.#unlease(run, at, false);
    if (next.kind === "yield" || called) this.#slots.ready(run);
    else run.place = { at: "rest", wakeAt: next.wakeAt, waitingFor: [...next.waitingFor] };
  }

  #end(run: MemoryRun, next: Extract<CommitNext, { kind: "end" }>, at: number): void {
    const offers = run.place.at === "ready" && run.place.gated;
    if (run.place.at === "lease") this.#unlease(run, at, true);
    else this.#slots.release(run, "all");
    run.place = { at: "nowhere" };
    if (offers) this.#slots.passOn(run);
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
