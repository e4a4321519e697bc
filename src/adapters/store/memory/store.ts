import type { Clock } from "../../../base/clock.ts";
import type { Fleet } from "../../../contracts/fleet.ts";
import type { Leaders } from "../../../contracts/leader.ts";
import type { RunReader, RunStore, StoreHint, WorkerInfo } from "../../../contracts/run-store.ts";
import type { ScheduleStore } from "../../../contracts/schedule-store.ts";
import type { SpendLedger } from "../../../contracts/spend-ledger.ts";
import type { WorkflowStore } from "../../../contracts/workflow-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { createMemoryFleet, createMemoryLeaders } from "./fleet.ts";
import { createMemoryReader } from "./reader.ts";
import { MemorySchedules } from "./schedules.ts";
import { createMemorySpend } from "./spend.ts";
import { copy, emptyState, type MemoryState, type MemoryWorker } from "./state.ts";
import { nextDue, Verbs } from "./verbs.ts";
import { createMemoryWorkflows } from "./workflows.ts";

export type WriteVerb =
  | "admit"
  | "join"
  | "leave"
  | "claim"
  | "commit"
  | "post"
  | "wakeDue"
  | "reap"
  | "answer"
  | "resize"
  | "prune";

export interface MemoryOptions {
  readonly clock: Clock;
  /** Called before a write is applied: what it throws rejects the verb, and nothing was written. */
  readonly beforeCommit?: (verb: WriteVerb) => void;
  /** Called after a write was applied: what it throws rejects the verb although everything was written. */
  readonly afterCommit?: (verb: WriteVerb) => void;
  /** Whether a worker's process is gone, where the store can tell; by default it never can. */
  readonly isGone?: (worker: WorkerInfo) => boolean;
}

export interface MemoryStore {
  readonly store: RunStore;
  readonly reader: RunReader;
  readonly workflows: WorkflowStore;
  readonly schedules: ScheduleStore;
  readonly spend: SpendLedger;
  readonly fleet: Fleet;
  readonly leaders: Leaders;
  /** False when the worker is not known any more. There are no timers here: whoever simulates a worker beats for it. */
  beat(worker: string): boolean;
  close(): Promise<void>;
}

const isSilent = (worker: MemoryWorker | undefined, now: number): boolean =>
  worker === undefined || worker.beatAt < now - LIMITS.leaseTtlMs;

/** That runs are ready is said once a write. */
function saidOnce(hints: readonly StoreHint[]): readonly StoreHint[] {
  const ready = hints.findIndex((hint) => hint.kind === "ready");
  return hints.filter((hint, index) => hint.kind !== "ready" || index === ready);
}

/** The store's contract in plain values, without a database: the model other stores are compared with. */
export function createMemoryStore(options: MemoryOptions): MemoryStore {
  const { clock } = options;
  const state = emptyState();
  const listeners = new Set<(hint: StoreHint) => void>();
  let pending: StoreHint[] = [];
  const verbs = new Verbs(state, (hint) => void pending.push(hint));

  const write = async <T>(verb: WriteVerb, work: () => T): Promise<T> => {
    options.beforeCommit?.(verb);
    const result = work();
    const hints = pending;
    pending = [];
    for (const hint of saidOnce(hints)) for (const tell of listeners) queueMicrotask(() => tell(hint));
    options.afterCommit?.(verb);
    return result;
  };

  const store: RunStore = {
    admit: (batch) => write("admit", () => batch.map((admission) => verbs.admit(admission))),
    join: (worker) => write("join", () => verbs.join(worker, clock.now())),
    leave: (worker) =>
      write("leave", () => {
        state.workers.delete(worker);
        verbs.requeueOrphans();
      }),
    holds: (worker) => !isSilent(state.workers.get(worker), clock.now()),
    claim: ({ worker, limit }) => write("claim", () => verbs.claim(worker, limit, clock.now())),
    claimLate: ({ worker, now, limit }) => write("claim", () => verbs.claimLate(worker, now, limit)),
    commit: (batch) => write("commit", () => batch.map((entry) => verbs.commit(entry, clock.now()))),
    post: (batch) => write("post", () => batch.map((posting) => verbs.post(posting))),
    async inbox(runs) {
      const open = runs.flatMap((no) => {
        const messages = (state.byNo.get(no)?.inbox ?? []).filter((message) => !message.consumed);
        return messages.map(({ message }) => ({ ...copy(message), no }));
      });
      return open.sort((a, b) => a.order - b.order);
    },
    wakeDue: (now, limit) =>
      write("wakeDue", () => ({ woken: verbs.wakeDue(now, limit), nextAt: nextDue(state) })),
    reap: (now, scope = "all") =>
      write("reap", () => {
        for (const [id, worker] of state.workers) {
          const silent = scope === "all" && isSilent(worker, now);
          if (silent || options.isGone?.(worker.info)) state.workers.delete(id);
        }
        return verbs.requeueOrphans();
      }),
    async facts(no, after, limit) {
      const facts = (state.byNo.get(no)?.facts ?? []).filter((fact) => fact.seq > after);
      return copy(facts.slice(0, Math.max(0, limit)));
    },
    answerApproval: (answer) => write("answer", () => verbs.answer(answer)),
    resize: (batch) => write("resize", () => verbs.resize(batch)),
    prune: (before, limit) => write("prune", () => verbs.prune(before, limit)),
    watch(listener) {
      const own = (hint: StoreHint) => listener(hint);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    async close() {
      listeners.clear();
    },
  };

  return {
    store,
    reader: createMemoryReader(state),
    ...besideRuns(state, clock),
    beat(worker) {
      const known = state.workers.get(worker);
      if (known !== undefined) known.beatAt = clock.now();
      return known !== undefined;
    },
    close: () => store.close(),
  };
}

/** What else a store keeps, each of it for itself. */
function besideRuns(state: MemoryState, clock: Clock) {
  const schedules = new MemorySchedules(state);
  return {
    workflows: createMemoryWorkflows(schedules),
    schedules,
    spend: createMemorySpend(clock),
    fleet: createMemoryFleet(clock),
    leaders: createMemoryLeaders(clock),
  };
}
