import type { Json } from "../base/json.ts";
import type { Approval, ApprovalAnswer, ApprovalRequest } from "../domain/approval.ts";
import type { Failure } from "../domain/errors.ts";
import type { Fact, RunRequest } from "../domain/fact.ts";
import type { EndedRunStatus, RunStatus, RunSummary } from "../domain/run.ts";

/** The store's own short name of a run (a small integer): hot tables are keyed by it. Never shown to people. */
export type RunNo = number;

export interface Admission {
  /** Public id, `run_…`, chosen by the caller so that a lost answer can be asked again. */
  readonly id: string;
  readonly request: RunRequest;
  /** Per tenant; `bodyHash` tells the same request from another one under the same key. */
  readonly idempotency: { readonly key: string; readonly bodyHash: string } | null;
  /** ms since the epoch: `at` of the `run_queued` fact (seq 1), which admission writes. */
  readonly at: number;
  /** The tenant's share within a priority class, beside the others' (1 when absent); see `FAIR_SHARE`. */
  readonly weight?: number;
  /**
   * Most runs that may wait without having begun, this one counted: of its tenant, and in the whole queue. Checked
   * exactly, in the transaction that admits. `null` (or absent) is no bound.
   */
  readonly caps?: { readonly queue: number | null; readonly tenant: number | null };
}

export type Admitted =
  | {
      readonly kind: "created";
      readonly id: string;
      /**
       * Runs of less urgent classes that had not begun and gave way, because the queue was full: each has failed with
       * `dropped_low_priority`. Absent when there are none.
       */
      readonly dropped?: readonly string[];
    }
  /** The idempotency key was seen with the same body: `id` is the first run's. */
  | { readonly kind: "existing"; readonly id: string }
  /**
   * Nothing was written. `tenant_queue_full`, `queue_full`: over a cap. `concurrency_conflict`: one of its slots is in
   * use, and it does not wait; or an ancestor holds it. `idempotency_conflict`, `conflict`, `not_found`, `run_ended`.
   */
  | { readonly kind: "refused"; readonly failure: Failure };

export type ReapScope = "all" | "host";

export interface WorkerInfo {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  /** Tells a reused pid from the old process; "" where the system has no such thing. */
  readonly processStart: string;
  readonly slots: number;
  /** What it can do: it is given only runs whose `needs` are all among them. Absent means none. */
  readonly labels?: readonly string[];
}

export interface Claim {
  readonly no: RunNo;
  readonly run: string;
  /** Fence: strictly greater for every later claim of any run. Every write names it. */
  readonly token: number;
  readonly worker: string;
}

/** A message to a run: stored first, matched later. `id` makes a repeat harmless. */
export interface Posting {
  readonly run: string;
  readonly id: string;
  readonly kind: "cancel" | "pause" | "resume" | "signal" | "message" | "approval" | "child" | "reply";
  readonly name: string;
  readonly body: Json;
  /** Who or what sent it: `api`, `cli`, `run:run_…`, a principal. */
  readonly from: string;
  readonly at: number;
}

export type Posted = "accepted" | "duplicate" | "unknown_run" | "run_ended" | "inbox_full";

export interface InboxMessage extends Posting {
  /** Order of arrival within the store, ascending. */
  readonly order: number;
}

export type CommitNext =
  /** Keep driving. */
  | { readonly kind: "hold" }
  /** Give the lease back until a message arrives or `wakeAt`. If an unconsumed message is there already, the run is ready at once. */
  | { readonly kind: "rest"; readonly wakeAt: number | null; readonly waitingFor: readonly string[] }
  /** Give the lease back, ready at once for any worker (draining). */
  | { readonly kind: "yield" }
  /** The run is over: lease, timer, inbox and pending approvals go; the parent, if any, gets a `child` message. */
  | {
      readonly kind: "end";
      readonly status: EndedRunStatus;
      readonly output: Json;
      readonly failure: Failure | null;
    };

export type Answered = "accepted" | "not_found" | "already_answered" | "expired";

/** What one run has to write, in one transaction with whatever else is in the batch. All or nothing per entry. */
export interface Commit {
  readonly claim: Claim;
  /** Dense: the first has the journal's last seq + 1. May be empty. */
  readonly facts: readonly Fact[];
  readonly next: CommitNext;
  /** First commit of a run: status becomes `running`. */
  readonly started: boolean;
  readonly paused: boolean;
  /** Ids of inbox messages that `facts` account for; ids that are not there are ignored. */
  readonly consumed: readonly string[];
  /** Their `request.parent.run` is this run. One that is refused refuses the whole entry. */
  readonly children: readonly Admission[];
  readonly posts: readonly Posting[];
  readonly approvals: readonly { readonly step: string; readonly request: ApprovalRequest }[];
  /** Approvals that are no longer asked. */
  readonly closedApprovals: readonly { readonly id: string; readonly status: "expired" | "withdrawn" }[];
}

export type Committed =
  | { readonly kind: "ok" }
  /** The lease is not this claim's any more; nothing of this entry was written. */
  | { readonly kind: "fenced" }
  /** The entry broke a constraint; nothing of it was written, its neighbours were. */
  | { readonly kind: "refused"; readonly failure: Failure };

export type StoreHint =
  | { readonly kind: "ready" }
  | { readonly kind: "inbox"; readonly run: string }
  | { readonly kind: "facts"; readonly run: string }
  /** The event loop stood still for `ms`; the lease was kept. */
  | { readonly kind: "stalled"; readonly worker: string; readonly ms: number }
  /** The worker is not known any more (reaped, or its loop stood still for too long): it holds nothing; join anew. */
  | { readonly kind: "lost"; readonly worker: string };

/**
 * The engine's side of the store. Every verb takes a batch. Promises reject only when the store as a whole
 * failed (`FailureError` with `disk_full`, `read_only`, `unavailable`, …); then nothing of the batch was written.
 */
export interface RunStore {
  admit(batch: readonly Admission[]): Promise<readonly Admitted[]>;
  /** Makes the worker known and starts its beat; the beat does not depend on the caller's event loop. Joining twice is one join. */
  join(worker: WorkerInfo): Promise<void>;
  /** Gives back everything the worker holds and forgets it. */
  leave(worker: string): Promise<void>;
  /**
   * Whether the worker's lease is surely its own at this moment, by this process's steady clock: a last look before
   * something happens that nobody can take back. False after a suspension, until it is known again.
   */
  holds(worker: string): boolean;
  /**
   * Most urgent class first, within a class by fair share (each tenant's oldest first); a run that was canceled, before
   * all. Runs whose `needs` the worker lacks are left to others; a run whose slot is full is put aside until it frees.
   * Empty when nothing is ready; `null` when the worker is not known (any more): it was reaped, and joins anew.
   *
   * `standing`: until it claims again, a run that this process admits while nobody waits before it may be leased to the
   * worker with its admission, up to what is left of `limit`. A `ready` hint says so, and the next claim has such runs,
   * whatever its own limit.
   */
  claim(request: {
    readonly worker: string;
    readonly limit: number;
    readonly standing?: boolean;
  }): Promise<readonly Claim[] | null>;
  /**
   * Takes runs that wait in the queue although a promise about them is broken (`start_by` of one that has not begun, the
   * deadline of any), the longest overdue first: only to be ended, and so whatever they need and without their slots; they
   * do not count as served. Empty when there are none; `null` when there are and the worker is not known. `now` in ms.
   */
  claimLate(request: {
    readonly worker: string;
    readonly now: number;
    readonly limit: number;
  }): Promise<readonly Claim[] | null>;
  commit(batch: readonly Commit[]): Promise<readonly Committed[]>;
  post(batch: readonly Posting[]): Promise<readonly Posted[]>;
  /** Unconsumed messages of the given runs, oldest first. */
  inbox(runs: readonly RunNo[]): Promise<readonly (InboxMessage & { readonly no: RunNo })[]>;
  /** Makes resting runs whose `wakeAt` has come ready; returns how many, and when the next is due. */
  wakeDue(now: number, limit: number): Promise<{ readonly woken: number; readonly nextAt: number | null }>;
  /**
   * Gives back the runs of workers that are dead (no beat within the lease time, or their process is gone):
   * the ids of the runs that are ready again. `host`: only of those whose process is gone from this host.
   */
  reap(now: number, scope?: ReapScope): Promise<readonly string[]>;
  /** Facts of a run with `seq > after`, ascending. */
  facts(no: RunNo, after: number, limit: number): Promise<readonly Fact[]>;
  /**
   * Answers once; the run gets an `approval` message in the same transaction. `expired`: it is still pending, and was to be
   * answered before `at`.
   */
  answerApproval(answer: {
    readonly approval: string;
    readonly answer: ApprovalAnswer;
    readonly by: string;
    readonly comment: string;
    readonly at: number;
  }): Promise<Answered>;
  /**
   * Gives slots another limit at once: what waits for one that has more room is ready, and whoever holds one keeps it.
   * Returns how many have another limit now; keys that no open run names are left out.
   */
  resize(batch: readonly Pick<SlotView, "key" | "limit">[]): Promise<number>;
  /**
   * Deletes up to `limit` runs that ended before `before` (ms since the epoch), oldest end first, with all that is
   * theirs; returns how many. Their ids and idempotency keys are free again.
   */
  prune(before: number, limit: number): Promise<number>;
  /** Hints only: a lost one costs a poll, never a run. Returns the unsubscribe. */
  watch(listener: (hint: StoreHint) => void): () => void;
  close(): Promise<void>;
}

export interface RunFilter {
  readonly status?: readonly RunStatus[];
  readonly workflow?: string;
  readonly tenant?: string;
  readonly parent?: string;
}

/** A key that few runs may share, while open runs name it. */
export interface SlotView {
  readonly key: string;
  /** How many runs may hold it; after a limit was lowered more may still do. */
  readonly limit: number;
  readonly held: number;
}

/** A worker as others see it. */
export interface WorkerView {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly slots: number;
  readonly labels: readonly string[];
  /** Runs it drives now. */
  readonly held: number;
  /** ms since the epoch, by the store's clock. */
  readonly joinedAt: number;
  readonly beatAt: number;
}

/** How full the queue is, and how fast it empties. A few hundred rows at most are read for it, never the history. */
export interface QueueLoad {
  /** Accepted and not yet begun. */
  readonly queued: number;
  /** Of those, by priority, most urgent first; classes without any are left out. */
  readonly byClass: readonly { readonly priority: number; readonly queued: number }[];
  /** Of those, by tenant, the fullest first, at most `LIMITS.loadTenants`. */
  readonly byTenant: readonly {
    readonly tenant: string;
    readonly priority: number;
    readonly queued: number;
  }[];
  /** Open runs by place: free to be claimed; put aside for a slot; driven by a worker; at rest. */
  readonly ready: number;
  readonly parked: number;
  readonly leased: number;
  readonly resting: number;
  readonly workers: number;
  /** Of all live workers together. */
  readonly slots: number;
  /** How long runs that ended lately were driven, on average, each by all its leases; `null` before the first end. */
  readonly serviceMs: number | null;
  /** Runs that ended a second, lately. */
  readonly drainedPerSecond: number;
  /** Since the store was made. */
  readonly refused: {
    readonly queueFull: number;
    readonly tenantQueueFull: number;
    readonly conflict: number;
  };
  readonly dropped: number;
}

/** Runs that are ready and need labels which no live worker has together. */
export interface Unserved {
  /** Sorted, each once. */
  readonly needs: readonly string[];
  /** Counted up to `LIMITS.unservedRuns`. */
  readonly queued: number;
}

/** The readers' side: doors, screens and reports. Never blocks the engine's writes. */
export interface RunReader {
  run(id: string): Promise<RunSummary | null>;
  /** Newest first. `after` is the last id of the previous page. */
  runs(query: {
    readonly filter: RunFilter;
    readonly after: string | null;
    readonly limit: number;
  }): Promise<readonly RunSummary[]>;
  /** `null` for an unknown run. */
  factsOf(
    run: string,
    query: { readonly after: number; readonly limit: number },
  ): Promise<readonly Fact[] | null>;
  /** The run that a tenant's key started, and the hash of what was asked for; `null` when the key is free. */
  byIdempotencyKey(
    tenant: string,
    key: string,
  ): Promise<{ readonly id: string; readonly bodyHash: string } | null>;
  approval(id: string): Promise<Approval | null>;
  approvals(query: {
    readonly status?: Approval["status"];
    readonly run?: string;
    readonly after: string | null;
    readonly limit: number;
  }): Promise<readonly Approval[]>;
  counts(): Promise<{
    readonly byStatus: Readonly<Record<RunStatus, number>>;
    readonly ready: number;
    readonly resting: number;
    readonly leased: number;
    readonly workers: number;
  }>;
  /** `now` in ms since the epoch: the rates are of that moment. */
  load(now: number): Promise<QueueLoad>;
  /** By what they need, the most first, at most `LIMITS.unservedSets`. */
  unserved(): Promise<readonly Unserved[]>;
  /** Those whose key begins with `prefix`, by key. `after` is the last key of the previous page. */
  slots(query: {
    readonly prefix: string;
    readonly after: string | null;
    readonly limit: number;
  }): Promise<readonly SlotView[]>;
  /** Those that are not known to be dead, by id. */
  workers(): Promise<readonly WorkerView[]>;
}
