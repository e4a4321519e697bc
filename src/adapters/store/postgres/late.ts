import type { Claim, RunNo, StoreHint } from "../../../contracts/run-store.ts";
import { HOLD_WORKER, LEASE } from "./claims.ts";
import type { Tx } from "./session.ts";
import { settleSlots } from "./slots.ts";
import { statement } from "./sql.ts";

const START_BY = "(run.sla::jsonb ->> 'startBy')::bigint";
const WAITS = `((SELECT true FROM ready WHERE ready.run_no = run.no) OR (SELECT true FROM parked WHERE parked.run_no = run.no))`;
/** The longest overdue first; what a worker holds is its own to end. */
const LATE = `(
     SELECT no, min(due) AS due FROM (
       (SELECT run.no, run.deadline_at AS due FROM run
        WHERE run.deadline_at IS NOT NULL AND run.ended_at IS NULL AND run.deadline_at <= $1 AND ${WAITS}
        ORDER BY run.deadline_at, run.no LIMIT $2)
       UNION ALL
       (SELECT run.no, ${START_BY} AS due FROM run
        WHERE run.status = 'queued' AND run.sla IS NOT NULL AND strpos(run.sla, '"startBy":null') = 0
          AND ${START_BY} <= $1 AND ${WAITS}
        ORDER BY ${START_BY}, run.no LIMIT $2)) AS missed
     GROUP BY no ORDER BY min(due), no LIMIT $2)`;
const ANY_LATE = statement(`SELECT true AS late FROM ${LATE} AS late LIMIT 1`);
/** What somebody has in hand at this moment is looked at in the next round. */
const LOCK_LATE = statement(
  `SELECT run.no, run.id FROM ${LATE} AS late JOIN run ON run.no = late.no
   WHERE run.ended_at IS NULL ORDER BY late.due, run.no FOR NO KEY UPDATE OF run SKIP LOCKED`,
);
const UNQUEUE = statement("DELETE FROM ready WHERE run_no = ANY($1::bigint[]) RETURNING run_no, gated");
const UNPARK = statement("DELETE FROM parked WHERE run_no = ANY($1::bigint[]) RETURNING run_no");
const COUNT = statement("UPDATE counter SET ready = ready + $2, parked = parked + $3 WHERE shard = $1");

interface Unqueued {
  readonly run_no: RunNo;
  readonly gated: boolean;
}

/** Nearly always not, which is then known without a transaction. */
export async function isAnyLate(
  reads: { readonly many: Tx["many"] },
  { now, limit }: { readonly now: number; readonly limit: number },
): Promise<boolean> {
  return limit > 0 && (await reads.many(ANY_LATE, [now, 1])).length > 0;
}

/**
 * Takes overdue runs out of the queue for a worker, whatever they need and without their slots. A claim may put a run
 * aside, and an end wake one, while this waits for it: so both places are looked at, and the first again.
 */
export async function claimLate(
  tx: Tx,
  of: { readonly worker: string; readonly now: number; readonly limit: number; readonly shard: number },
): Promise<{ readonly answer: readonly Claim[] | null; readonly hints: readonly StoreHint[] }> {
  const [known, late] = await Promise.all([
    tx.many(HOLD_WORKER, [of.worker]),
    tx.many<{ no: RunNo; id: string }>(LOCK_LATE, [of.now, of.limit]),
  ]);
  if (late.length === 0) return { answer: [], hints: [] };
  if (known.length === 0) return { answer: null, hints: [] };
  tx.identify();
  const runs = late.map(({ no }) => no);
  const [ready, parked, again] = await Promise.all([
    tx.many<Unqueued>(UNQUEUE, [runs]),
    tx.many<{ run_no: RunNo }>(UNPARK, [runs]),
    tx.many<Unqueued>(UNQUEUE, [runs]),
  ]);
  const left = [...ready, ...again];
  const taken = new Set([...left, ...parked].map((row) => row.run_no));
  const mine = late.filter(({ no }) => taken.has(no));
  if (mine.length === 0) return { answer: [], hints: [] };
  const leased = await tx.many<{ run_no: RunNo; token: number }>(LEASE, [
    mine.map(({ no }) => no),
    of.worker,
    0,
  ]);
  const woken = await settleSlots(
    tx,
    left.filter((row) => row.gated).map((row) => ({ kind: "pass", no: row.run_no, sure: true })),
  );
  await tx.run(COUNT, [of.shard, woken - left.length, -parked.length - woken]);
  const tokens = new Map(leased.map((row) => [row.run_no, row.token]));
  return {
    answer: mine.map(({ no, id }) => ({ no, run: id, token: tokens.get(no) ?? 0, worker: of.worker })),
    hints: woken > 0 ? [{ kind: "ready" }] : [],
  };
}
