import { hostname } from "node:os";
import type { Clock } from "../../../base/clock.ts";
import type { Claim, RunStore, StoreHint } from "../../../contracts/run-store.ts";
import { type Answer, answerMessage } from "../sql/approval-row.ts";
import { type BeatsOptions, createBeats } from "../sql/beats.ts";
import { type InboxRow, toMessage } from "../sql/messages.ts";
import { ADMIT, applyAll, commitKind, POST, runBatch } from "./batch.ts";
import { type ClaimOrder, claim, LOOK } from "./claims.ts";
import { storeFailure } from "./failures.ts";
import type { Hints } from "./hints.ts";
import { type JournalRow, READ_FACTS, toFact } from "./journal.ts";
import { prune } from "./prune.ts";
import type { Reads } from "./reads.ts";
import type { Session, Tx } from "./session.ts";
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
   WHERE id = $1 AND status = 'pending'`,
);

const READY: StoreHint = { kind: "ready" };

type Answered = "accepted" | "not_found" | "already_answered";

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
  const host = hostname();
  const now = () => (ownClock ? clock.now() : null);
  /** This process made runs ready since it last claimed: no need to look first. */
  let ours = false;

  const guarded = guardOf(doors.database);
  const write = <T>(session: Session, work: (tx: Tx) => Promise<T>) =>
    guarded(() => session.transaction(work));
  const batch = <Entry, Given>(
    session: Session,
    kind: Parameters<typeof runBatch<Entry, Given>>[1],
    entries: readonly Entry[],
  ) =>
    guarded(async () => {
      const done = await runBatch(session, kind, { entries, shard });
      ours ||= done.hints.some(({ kind }) => kind === "ready");
      hints.publish(done.hints);
      return done.answers;
    });
  const bury = async (dead: readonly string[]): Promise<readonly string[]> => {
    const freed = await write(doors, (tx) => workers.bury(tx, dead, shard));
    if (freed.length > 0) hints.publish([READY]);
    return freed;
  };

  return {
    admit: (entries) => batch(doors, ADMIT, entries),
    commit: (entries) => batch(commits, commitKind(clock.now()), entries),
    post: (entries) => batch(doors, POST, entries),
    async join(worker) {
      const asked = process.hrtime.bigint();
      await write(doors, (tx) => workers.join(tx, worker, now()));
      if (options.beats === "thread") await beats.start(worker, asked);
    },
    async leave(worker) {
      await beats.stop(worker);
      await bury([worker]);
    },
    holds: (worker) => ownClock || beats.holds(worker),
    claim({ worker, limit }) {
      const sure = ours;
      ours = false;
      return claimReady({ claims, reads, hints }, { worker, limit, shard, now: clock.now(), sure }, guarded);
    },
    async inbox(runs) {
      return (await reads.many<InboxRow>(INBOX, [[...runs]])).map(toMessage);
    },
    async wakeDue(at, limit) {
      const due = limit > 0 && (await reads.many(workers.ANY_DUE, [at])).length > 0;
      const woken = due ? await write(doors, (tx) => workers.wake(tx, { now: at, limit, shard })) : 0;
      if (woken > 0) hints.publish([READY]);
      const [next] = await reads.many<{ wake_at: number }>(workers.NEXT_DUE, []);
      return { woken, nextAt: next?.wake_at ?? null };
    },
    async reap(at, scope = "all") {
      const of = { host, now: ownClock ? at : null, scope };
      const { dead, orphans } = await workers.findDead(reads, of);
      if (dead.length === 0 && !orphans) return [];
      const freed = await bury(dead);
      for (const worker of dead) if (beats.has(worker)) hints.publish([{ kind: "lost", worker }]);
      return freed;
    },
    async facts(no, after, limit) {
      return (await reads.many<JournalRow>(READ_FACTS, [no, after, Math.max(0, limit)])).map(toFact);
    },
    async answerApproval(answer) {
      const done = await write(doors, (tx) => answerIn(tx, answer, shard));
      hints.publish(done.hints);
      return done.answered;
    },
    watch: (listener) => hints.watch(listener),
    async close() {
      await beats.close();
      await hints.close();
      await Promise.all([commits, claims, doors, reads].map((one) => one.close()));
    },
    prune: (before, limit) => write(doors, (tx) => prune(tx, { before, limit, shard })),
    beat: (worker) => write(doors, (tx) => workers.beat(tx, worker, now())),
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

async function claimReady(
  { claims, reads, hints }: Pick<Sessions, "claims" | "reads"> & { readonly hints: Hints },
  of: ClaimOrder & { readonly sure: boolean },
  guarded: <T>(work: () => Promise<T>) => Promise<T>,
): Promise<readonly Claim[] | null> {
  // Most looks find nothing: they write nothing.
  if (!of.sure || of.limit <= 0) {
    const [look] = await reads.many<{ known: boolean; waits: boolean }>(LOOK, [of.worker]);
    if (!look?.known) return null;
    if (!look.waits || of.limit <= 0) return [];
  }
  const claimed = await guarded(() =>
    claims.transaction((tx) => {
      tx.identify();
      return claim(tx, of);
    }),
  );
  if (claimed?.more) hints.publish([READY]);
  return claimed?.claims ?? null;
}

/** The run is locked before its approval is changed, as everywhere. */
async function answerIn(
  tx: Tx,
  answer: Answer,
  shard: number,
): Promise<{ readonly answered: Answered; readonly hints: readonly StoreHint[] }> {
  const [asked] = await tx.many<{ run: string }>(LOCK_ASKING, [answer.approval]);
  if (asked === undefined) return { answered: "not_found", hints: [] };
  const { approval, answer: status, at, by, comment } = answer;
  const first = await tx.run(ANSWER, [approval, status, at, by, comment]);
  if (first === 0) return { answered: "already_answered", hints: [] };
  const message = answerMessage(asked.run, answer);
  const { hints } = await applyAll(tx, POST, { entries: [message], shard });
  return { answered: "accepted", hints };
}
