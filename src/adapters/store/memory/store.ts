import type { Clock } from "../../../base/clock.ts";
import type { RunReader, RunStore, StoreHint, WorkerInfo } from "../../../contracts/run-store.ts";
import type { WorkflowStore } from "../../../contracts/workflow-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { createMemoryReader } from "./reader.ts";
import { copy, emptyState } from "./state.ts";
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
  /** False when the worker is not known any more. There are no timers here: whoever simulates a worker beats for it. */
  beat(worker: string): boolean;
  close(): Promise<void>;
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
    const ready = hints.findIndex((hint) => hint.kind === "ready");
    for (const [index, hint] of hints.entries()) {
      if (hint.kind === "ready" && index !== ready) continue;
      for (const listener of listeners) queueMicrotask(() => listener(hint));
    }
    options.afterCommit?.(verb);
    return result;
  };

  const isDead = ({ info, beatAt }: { info: WorkerInfo; beatAt: number }, now: number): boolean =>
    beatAt < now - LIMITS.leaseTtlMs || (options.isGone?.(info) ?? false);

  const store: RunStore = {
    admit: (batch) => write("admit", () => batch.map((admission) => verbs.admit(admission))),
    join: (worker) => write("join", () => verbs.join(worker, clock.now())),
    leave: (worker) =>
      write("leave", () => {
        state.workers.delete(worker);
        verbs.requeueOrphans();
      }),
    claim: ({ worker, limit }) => write("claim", () => verbs.claim(worker, limit, clock.now())),
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
    reap: (now) =>
      write("reap", () => {
        for (const [id, worker] of state.workers) if (isDead(worker, now)) state.workers.delete(id);
        return verbs.requeueOrphans();
      }),
    async facts(no, after, limit) {
      const facts = (state.byNo.get(no)?.facts ?? []).filter((fact) => fact.seq > after);
      return copy(facts.slice(0, Math.max(0, limit)));
    },
    answerApproval: ({ approval: id, answer, by, comment, at }) =>
      write("answer", () => {
        const approval = state.approvals.get(id);
        if (approval === undefined) return "not_found";
        if (approval.status !== "pending") return "already_answered";
        state.approvals.set(id, { ...approval, status: answer, answeredAt: at, answeredBy: by, comment });
        const message = { run: approval.run, id: `approval:${id}`, kind: "approval", name: id } as const;
        verbs.post({ ...message, body: { answer, by, comment }, from: by, at });
        return "accepted";
      }),
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
    workflows: createMemoryWorkflows(),
    beat(worker) {
      const known = state.workers.get(worker);
      if (known !== undefined) known.beatAt = clock.now();
      return known !== undefined;
    },
    close: () => store.close(),
  };
}
