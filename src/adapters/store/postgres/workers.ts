import { hostname } from "node:os";
import type { ReapScope, WorkerInfo } from "../../../contracts/run-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { isProcessGone } from "../sql/process.ts";
import { at } from "./now.ts";
import type { Tx } from "./session.ts";
import { COUNT_WOKEN, settleSlots } from "./slots.ts";
import { statement } from "./sql.ts";

const JOIN = statement(
  `INSERT INTO worker (id, host, pid, process_start, slots, labels, joined_at, beat_at)
   VALUES ($1, $2, $3, $4, $5, $7, ${at("$6")}, ${at("$6")})
   ON CONFLICT (id) DO UPDATE SET host = excluded.host, pid = excluded.pid,
     process_start = excluded.process_start, slots = excluded.slots,
     labels = excluded.labels, beat_at = excluded.beat_at`,
);
const BEAT = statement(`UPDATE worker SET beat_at = ${at("$2")} WHERE id = $1`);
const MARK_STALLED = statement(`UPDATE worker SET stalled_at = ${at("$2")} WHERE id = $1`);
/** Waits for claims in flight, which hold the worker's row. */
const FORGET = statement("DELETE FROM worker WHERE id = ANY($1::text[])");
/** While the database was down nobody could beat: its own start counts as a beat of all. */
const ALL = statement(
  `SELECT id, host, pid, process_start,
     greatest(beat_at, CASE WHEN $1::bigint IS NULL
       THEN (extract(epoch FROM pg_postmaster_start_time()) * 1000)::bigint ELSE 0 END)
       < ${at("$1")} - $2 AS silent
   FROM worker ORDER BY id`,
);
const ORPHANS = "FROM lease WHERE NOT EXISTS (SELECT 1 FROM worker WHERE worker.id = lease.worker)";
const ANY_ORPHAN = statement(`SELECT true AS orphan ${ORPHANS} LIMIT 1`);
const LOCK_ORPHANS = statement(
  `SELECT no, id, gated FROM run WHERE no = ANY(ARRAY(SELECT lease.run_no ${ORPHANS})) ORDER BY no FOR NO KEY UPDATE`,
);
const REQUEUE = statement(
  `WITH gone AS (
     DELETE FROM lease WHERE run_no = ANY($1::bigint[])
       AND NOT EXISTS (SELECT 1 FROM worker WHERE worker.id = lease.worker) RETURNING run_no),
   counted AS (
     UPDATE counter SET ready = ready + (SELECT count(*) FROM gone) WHERE shard = $2
       AND EXISTS (SELECT 1 FROM gone))
   INSERT INTO ready (lane, priority, vt, run_no, gated)
   SELECT run.lane, run.priority, run.vt, run.no, run.gated FROM gone JOIN run ON run.no = gone.run_no RETURNING run_no`,
);
const WAKE = statement(
  `WITH due AS MATERIALIZED (
     SELECT run_no FROM rest WHERE wake_at IS NOT NULL AND wake_at <= $1 ORDER BY wake_at, run_no LIMIT $2
     FOR UPDATE SKIP LOCKED),
   gone AS (DELETE FROM rest USING due WHERE rest.run_no = due.run_no RETURNING rest.run_no),
   counted AS (
     UPDATE counter SET ready = ready + (SELECT count(*) FROM gone) WHERE shard = $3
       AND EXISTS (SELECT 1 FROM gone))
   INSERT INTO ready (lane, priority, vt, run_no, gated)
   SELECT run.lane, run.priority, run.vt, run.no, run.gated FROM gone JOIN run ON run.no = gone.run_no`,
);
const NEXT_DUE = statement("SELECT wake_at FROM rest WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1");
const ANY_DUE = statement(
  "SELECT true AS due FROM rest WHERE wake_at IS NOT NULL AND wake_at <= $1 ORDER BY wake_at LIMIT 1",
);

type Reader = { readonly many: Tx["many"] };

/** `now` is `null` where the database's clock counts, which is everywhere but in tests. */
export async function join(tx: Tx, worker: WorkerInfo, now: number | null): Promise<void> {
  const { id, host, pid, processStart, slots, labels } = worker;
  await tx.run(JOIN, [id, host, pid, processStart, slots, now, JSON.stringify(labels ?? [])]);
}

/** False when the worker is not known any more. */
export async function beat(tx: Tx, worker: string, now: number | null): Promise<boolean> {
  return (await tx.run(BEAT, [worker, now])) > 0;
}

export async function markStalled(tx: Tx, worker: string): Promise<void> {
  await tx.run(MARK_STALLED, [worker, null]);
}

interface WorkerRow {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly process_start: string;
  readonly silent: boolean;
}

export async function findDead(
  sql: Reader,
  of: { readonly now: number | null; readonly scope: ReapScope },
): Promise<{ readonly dead: string[]; readonly orphans: boolean }> {
  const [workers, orphans] = await Promise.all([
    sql.many<WorkerRow>(ALL, [of.now, LIMITS.leaseTtlMs]),
    sql.many(ANY_ORPHAN, []),
  ]);
  const dead = workers.filter(
    (row) =>
      (of.scope === "all" && row.silent) ||
      (row.host === hostname() && isProcessGone(row.pid, row.process_start)),
  );
  return { dead: dead.map((row) => row.id), orphans: orphans.length > 0 };
}

/**
 * Forgets workers, then makes ready what no known worker holds; the runs' public ids. Several statements on purpose:
 * a claim in flight holds its worker's row, so whatever it took is there to be seen once the row is gone.
 */
export async function bury(tx: Tx, workers: readonly string[], shard: number): Promise<string[]> {
  if (workers.length > 0) await tx.run(FORGET, [workers]);
  tx.identify();
  const locked = await tx.many<{ no: number; id: string; gated: boolean }>(LOCK_ORPHANS, []);
  if (locked.length === 0) return [];
  const slotted = locked.filter((run) => run.gated);
  const woken = await settleSlots(
    tx,
    slotted.map(({ no }) => ({ kind: "release", no, what: "lease" })),
  );
  const freed = await tx.many<{ run_no: number }>(REQUEUE, [locked.map(({ no }) => no), shard]);
  if (woken > 0) await tx.run(COUNT_WOKEN, [shard, woken]);
  const numbers = new Set(freed.map((row) => row.run_no));
  return locked.filter(({ no }) => numbers.has(no)).map(({ id }) => id);
}

export async function wake(
  tx: Tx,
  of: { readonly now: number; readonly limit: number; readonly shard: number },
): Promise<number> {
  return tx.run(WAKE, [of.now, of.limit, of.shard]);
}

export async function isAnyDue(sql: Reader, now: number): Promise<boolean> {
  return (await sql.many(ANY_DUE, [now])).length > 0;
}

/** ms since the epoch. */
export async function nextDue(sql: Reader): Promise<number | null> {
  const [next] = await sql.many<{ wake_at: number }>(NEXT_DUE, []);
  return next?.wake_at ?? null;
}
