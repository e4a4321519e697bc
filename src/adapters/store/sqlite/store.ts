import { hostname } from "node:os";
import type { Clock } from "../../../base/clock.ts";
import type { Admitted, Commit, Committed, RunStore } from "../../../contracts/run-store.ts";
import type { Failure } from "../../../domain/errors.ts";
import { answerMessage } from "../sql/approval-row.ts";
import { type BeatsOptions, createBeats } from "../sql/beats.ts";
import { createAdmit } from "./admissions.ts";
import { createApprovals } from "./approvals.ts";
import { createBodies } from "./bodies.ts";
import { createCommit } from "./commits.ts";
import type { Connection } from "./connection.ts";
import { createInbox } from "./inbox.ts";
import { createJournal } from "./journal.ts";
import { createLanes } from "./lanes.ts";
import { createPrune } from "./prune.ts";
import type { Transaction } from "./transaction.ts";
import { createWorkers } from "./workers.ts";
import { Writer } from "./writer.ts";

export interface StoreOptions extends BeatsOptions {
  readonly clock: Clock;
  /** `thread` beats for every joined worker; `none` leaves it to `beat` (tests with a clock of their own). */
  readonly beats: "thread" | "none";
}

export interface SqliteRunStore extends RunStore {
  /** For stores opened with `beats: "none"`. False when the worker is not known any more. */
  beat(worker: string): boolean;
  /** Deletes up to `limit` runs that ended before `before`, with all that is theirs; returns how many. */
  prune(before: number, limit: number): Promise<number>;
}

// From source this file is TypeScript and so is the thread; in the build both are JavaScript.
const BEAT_THREAD = new URL(
  `./beat-thread.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`,
  import.meta.url,
);

const refused = (failure: Failure): Admitted & Committed => ({ kind: "refused", failure });

/** The statements of each concern, prepared once and wired to one another. */
function createParts(connection: Connection) {
  const bodies = createBodies(connection);
  const journal = createJournal(connection, bodies);
  const lanes = createLanes(connection);
  const inbox = createInbox(connection, lanes);
  const approvals = createApprovals(connection);
  const workers = createWorkers(connection, lanes);
  const admit = createAdmit(connection, { journal, lanes });
  const commitOne = createCommit(connection, { admit, approvals, bodies, inbox, journal, lanes });
  return { journal, lanes, inbox, approvals, workers, admit, commitOne, prune: createPrune(connection) };
}

export function createRunStore(connection: Connection, options: StoreOptions): SqliteRunStore {
  const writer = new Writer(connection);
  const { journal, lanes, inbox, approvals, workers, admit, commitOne, prune } = createParts(connection);
  const beats = createBeats(
    { database: connection.path, thread: BEAT_THREAD },
    writer.hints.publish,
    options,
  );
  const host = hostname();

  return {
    async admit(batch) {
      return writer.batch<(typeof batch)[number], Admitted>(batch, admit, refused);
    },
    async join(worker) {
      const asked = process.hrtime.bigint();
      writer.write(() => workers.join(worker, options.clock.now()));
      if (options.beats === "thread") await beats.start(worker, asked);
    },
    async leave(worker) {
      await beats.stop(worker);
      writer.write((tx) => {
        workers.forget(worker);
        workers.requeueOrphans(tx);
      });
    },
    holds: (worker) => options.beats === "none" || beats.holds(worker),
    async claim({ worker, limit }) {
      // Most looks find nothing: they take no write lock.
      const { known, ready } = writer.read(() => ({
        known: workers.isKnown(worker),
        ready: lanes.anyReady(),
      }));
      if (!known) return null;
      if (!ready || limit <= 0) return [];
      return writer.relaxed((tx) => (workers.isKnown(worker) ? lanes.take(tx, worker, limit) : null));
    },
    async commit(batch) {
      const now = options.clock.now();
      return writer.batch<Commit, Committed>(batch, (tx, entry) => commitOne(tx, entry, now), refused);
    },
    async post(batch) {
      if (batch.length === 0) return [];
      return writer.write((tx) => batch.map((posting) => inbox.post(tx, posting)));
    },
    async inbox(runs) {
      return writer.read(() => runs.flatMap((no) => inbox.open(no)).sort((a, b) => a.order - b.order));
    },
    async wakeDue(now, limit) {
      const due = writer.read(() => lanes.due(now, 1).length > 0 && limit > 0);
      const wake = (tx: Transaction) =>
        lanes.due(now, limit).filter((no) => lanes.wake(tx, no, "own")).length;
      const woken = due ? writer.relaxed(wake) : 0;
      return { woken, nextAt: writer.read(() => lanes.nextDue()) };
    },
    async reap(now, scope = "all") {
      if (writer.read(() => workers.dead(now, host, scope).length === 0 && !workers.hasOrphans())) return [];
      // Two statements on purpose, the workers first: whatever was claimed before a worker is gone is an orphan after.
      return writer.write((tx) => {
        for (const worker of workers.dead(now, host, scope)) {
          workers.forget(worker);
          if (beats.has(worker)) tx.hint({ kind: "lost", worker });
        }
        return workers.requeueOrphans(tx);
      });
    },
    async facts(no, after, limit) {
      return writer.read(() => journal.read(no, after, limit));
    },
    async answerApproval(answer) {
      return writer.write((tx) => {
        const answered = approvals.answer(answer);
        if (typeof answered === "string") return answered;
        inbox.post(tx, answerMessage(answered.run, answer));
        return "accepted";
      });
    },
    watch: (listener) => writer.hints.watch(listener),
    async close() {
      await beats.close();
      writer.hints.close();
      connection.close();
    },
    prune: async (before, limit) => writer.write((tx) => prune(tx, before, limit)),
    beat: (worker) => writer.write(() => workers.beat(worker, options.clock.now())),
  };
}
