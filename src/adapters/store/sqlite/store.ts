import { hostname } from "node:os";
import type { Clock } from "../../../base/clock.ts";
import type { Admission, Admitted, Commit, Committed, RunStore } from "../../../contracts/run-store.ts";
import type { Failure } from "../../../domain/errors.ts";
import { type Answer, answerMessage } from "../sql/approval-row.ts";
import { type BeatsOptions, createBeats } from "../sql/beats.ts";
import { createAdmit } from "./admissions.ts";
import { createApprovals } from "./approvals.ts";
import { createBodies } from "./bodies.ts";
import { createTake } from "./claims.ts";
import { createCommit } from "./commits.ts";
import type { Connection } from "./connection.ts";
import { createEnd } from "./ends.ts";
import { createInbox } from "./inbox.ts";
import { createJournal } from "./journal.ts";
import { createLanes } from "./lanes.ts";
import { createLate } from "./late.ts";
import { createPrune } from "./prune.ts";
import { createReady } from "./ready.ts";
import { createRoom } from "./room.ts";
import { createShares } from "./shares.ts";
import { createSlots } from "./slots.ts";
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
  const ready = createReady(connection);
  const slots = createSlots(connection, ready);
  const shares = createShares(connection);
  const lanes = createLanes(connection, { ready, slots });
  const inbox = createInbox(connection, lanes);
  const approvals = createApprovals(connection);
  const workers = createWorkers(connection, lanes);
  const end = createEnd(connection, { approvals, bodies, inbox, shares });
  const room = createRoom(connection, { end, journal, lanes, shares });
  const admit = createAdmit(connection, { inbox, journal, lanes, ready, room, shares, slots });
  const commitOne = createCommit(connection, { admit, approvals, end, inbox, journal, lanes, shares });
  const take = createTake(connection, { ready, slots });
  const late = createLate(connection, lanes);
  const prune = createPrune(connection);
  const answerIn = (tx: Transaction, answer: Answer) => {
    const answered = approvals.answer(answer);
    if (typeof answered === "string") return answered;
    inbox.post(tx, answerMessage(answered.run, answer));
    return "accepted";
  };
  return {
    journal,
    lanes,
    late,
    inbox,
    workers,
    admit,
    commitOne,
    prune,
    queue: ready,
    slots,
    take,
    answerIn,
  };
}

export function createRunStore(connection: Connection, options: StoreOptions): SqliteRunStore {
  const writer = new Writer(connection);
  const { journal, lanes, late, inbox, workers, admit, commitOne, prune, queue, slots, take, answerIn } =
    createParts(connection);
  const beats = createBeats(
    { database: connection.path, thread: BEAT_THREAD },
    writer.hints.publish,
    options,
  );
  const host = hostname();

  return {
    async admit(batch) {
      return writer.batch<Admission, Admitted>(batch, (tx, entry) => admit(tx, entry, true), refused);
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
      const look = writer.read(() => {
        const labels = workers.labelsOf(worker);
        return { known: labels !== null, ready: labels !== null && queue.lanesOf(labels).length > 0 };
      });
      if (!look.known) return null;
      if (!look.ready || limit <= 0) return [];
      const now = options.clock.now();
      return writer.relaxed((tx) => {
        const labels = workers.labelsOf(worker);
        return labels === null ? null : take(tx, { worker, labels, limit, now });
      });
    },
    async claimLate({ worker, now, limit }) {
      if (limit <= 0 || writer.read(() => late.find(now, 1).length === 0)) return [];
      return writer.relaxed((tx) =>
        workers.labelsOf(worker) === null ? null : late.take(tx, { worker, now, limit }),
      );
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
    answerApproval: async (answer) => writer.write((tx) => answerIn(tx, answer)),
    resize: async (batch) =>
      writer.write((tx) => batch.filter(({ key, limit }) => slots.resize(tx, key, limit)).length),
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
