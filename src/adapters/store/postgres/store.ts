import type { Clock } from "../../../base/clock.ts";
import type { Answered, RunStore, StoreHint } from "../../../contracts/run-store.ts";
import { type Answer, answerMessage } from "../sql/approval-row.ts";
import { type BeatsOptions, createBeats } from "../sql/beats.ts";
import { type InboxRow, toMessage } from "../sql/messages.ts";
import { ADMIT, applyAll, commitKind, POST, runBatch } from "./batch.ts";
import { storeFailure } from "./failures.ts";
import type { Hints } from "./hints.ts";
import { createIntake } from "./intake.ts";
import { type JournalRow, READ_FACTS, toFact } from "./journal.ts";
import { claimLate, isAnyLate } from "./late.ts";
import { prune } from "./prune.ts";
import type { Reads } from "./reads.ts";
import type { Session, Tx } from "./session.ts";
import { resizeSlots } from "./slots.ts";
import { statement } from "./sql.ts";
import * as workers from "./workers.ts";

export interface StoreOptions extends BeatsOptions {
  readonly clock: Clock;
  /** `thread` beats for every joined worker; `none` leaves it to `beat` and takes `clock` for the database's. */
  readonly beats: "thread" | "none";
}

export interface PostgresRunStore extends RunStore {
  /** For stores opened with `beats: "none"`. False when the worker is not known any more. */
  beat(worker: string): Promise<boolean>;
}

/** Each has its own connection, so that none waits for another's commit. */
export interface Sessions {
  readonly commits: Session;
  readonly claims: Session;
  /** All other writes. */
  readonly doors: Session;
  readonly reads: Reads;
}

/** From source this file is TypeScript and so is the thread; in the build both are JavaScript. */
const BEAT_THREAD = new URL(
  `./beat-thread.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`,
  import.meta.url,
);

const SHARDS = 64;

const INBOX = statement(
  `SELECT inbox.run_no AS no, inbox.ord, inbox.id, inbox.kind, inbox.name, inbox.body, inbox.sender, inbox.at,
     run.id AS run
   FROM inbox JOIN run ON run.no = inbox.run_no
   WHERE inbox.run_no = ANY($1::bigint[]) AND NOT inbox.consumed ORDER BY inbox.ord`,
);
const LOCK_ASKING = statement(
  `SELECT id AS run FROM run WHERE no = (SELECT run_no FROM approval WHERE approval.id = $1) FOR NO KEY UPDATE`,
);
const ANSWER = statement(
  `UPDATE approval SET status = $2, answered_at = $3, answered_by = $4, comment = $5
   WHERE id = $1 AND status = 'pending' AND (expires_at IS NULL OR expires_at > $3)`,
);
const IS_PENDING = statement("SELECT true AS pending FROM approval WHERE id = $1 AND status = 'pending'");

const READY: StoreHint = { kind: "ready" };

export function createRunStore(
  { commits, claims, doors, reads }: Sessions,
  hints: Hints,
  options: StoreOptions & { readonly url: string },
): PostgresRunStore {
  const { clock } = options;
  const ownClock = options.beats === "none";
  const shard = Math.floor(Math.random() * SHARDS);
  const beats = createBeats(
    { database: options.url, thread: BEAT_THREAD },
    (all) => hints.publish(all),
    options,
  );
  const now = () => (ownClock ? clock.now() : null);

  const guarded = guardOf(doors.database);
  const { write, told } = writesOf(doors, { hints, guarded });
  const batch = <Entry, Given>(
    session: Session,
    kind: Parameters<typeof runBatch<Entry, Given>>[1],
    entries: readonly Entry[],
  ) =>
    guarded(async () => {
      const { answers, hints: told } = await runBatch(session, kind, { entries, shard });
      hints.publish(told);
      return answers;
    });
  const intake = createIntake({
    sessions: { claims, doors, reads },
    hints,
    shard,
    now: () => clock.now(),
    guarded,
    admitAll: (entries) => batch(doors, ADMIT, entries),
  });
  const bury = async (dead: readonly string[]): Promise<readonly string[]> => {
    const freed = await write((tx) => workers.bury(tx, dead, shard));
    if (freed.length > 0) hints.publish([READY]);
    return freed;
  };

  return {
    admit: intake.admit,
    claim: intake.claim,
    commit: (entries) => batch(commits, commitKind(clock.now()), entries),
    post: (entries) => batch(doors, POST, entries),
    async join(worker) {
      const asked = process.hrtime.bigint();
      await write((tx) => workers.join(tx, worker, now()));
      if (options.beats === "thread") await beats.start(worker, asked);
    },
    async leave(worker) {
      intake.forget(worker);
      await beats.stop(worker);
      await bury([worker]);
    },
    holds: (worker) => ownClock || beats.holds(worker),
    claimLate: async (asked) =>
      (await isAnyLate(reads, asked)) ? told((tx) => claimLate(tx, { ...asked, shard })) : [],
    inbox: async (runs) => (await reads.many<InboxRow>(INBOX, [[...runs]])).map(toMessage),
    async wakeDue(at, limit) {
      const due = limit > 0 && (await workers.isAnyDue(reads, at));
      const woken = due ? await write((tx) => workers.wake(tx, { now: at, limit, shard })) : 0;
      if (woken > 0) hints.publish([READY]);
      return { woken, nextAt: await workers.nextDue(reads) };
    },
    async reap(at, scope = "all") {
      const { dead, orphans } = await workers.findDead(reads, { now: ownClock ? at : null, scope });
      if (dead.length === 0 && !orphans) return [];
      const freed = await bury(dead);
      for (const worker of dead) if (beats.has(worker)) hints.publish([{ kind: "lost", worker }]);
      return freed;
    },
    facts: async (no, after, limit) =>
      (await reads.many<JournalRow>(READ_FACTS, [no, after, Math.max(0, limit)])).map(toFact),
    answerApproval: (answer) => told((tx) => answerIn(tx, answer, shard)),
    resize: (asked) => told((tx) => resizeSlots(tx, asked, shard)),
    watch: (listener) => hints.watch(listener),
    async close() {
      await beats.close();
      await hints.close();
      await Promise.all([commits, claims, doors, reads].map((one) => one.close()));
    },
    prune: (before, limit) => write((tx) => prune(tx, { before, limit, shard })),
    beat: (worker) => write((tx) => workers.beat(tx, worker, now())),
  };
}

/** What fails in PostgreSQL's words is told in ours. */
function guardOf(database: string) {
  return async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw storeFailure(error, database);
    }
  };
}

/** Writes that have no batch: `told` passes their hints on. */
function writesOf(
  session: Session,
  { hints, guarded }: { readonly hints: Hints; readonly guarded: ReturnType<typeof guardOf> },
) {
  const write = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => guarded(() => session.transaction(work));
  const told = async <T>(work: (tx: Tx) => Promise<{ answer: T; hints: readonly StoreHint[] }>) => {
    const done = await write(work);
    hints.publish(done.hints);
    return done.answer;
  };
  return { write, told };
}

/** The run is locked before its approval is changed, as everywhere. */
async function answerIn(
  tx: Tx,
  given: Answer,
  shard: number,
): Promise<{ readonly answer: Answered; readonly hints: readonly StoreHint[] }> {
  const [asked] = await tx.many<{ run: string }>(LOCK_ASKING, [given.approval]);
  if (asked === undefined) return { answer: "not_found", hints: [] };
  const { approval, answer: status, at, by, comment } = given;
  const first = await tx.run(ANSWER, [approval, status, at, by, comment]);
  if (first === 0) {
    const pending = (await tx.many(IS_PENDING, [approval])).length > 0;
    return { answer: pending ? "expired" : "already_answered", hints: [] };
  }
  const message = answerMessage(asked.run, given);
  const { hints } = await applyAll(tx, POST, { entries: [message], shard });
  return { answer: "accepted", hints };
}
