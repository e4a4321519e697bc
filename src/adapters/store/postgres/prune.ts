import type { EndedRunStatus } from "../../../domain/run.ts";
import type { Tx } from "./session.ts";
import { statement } from "./sql.ts";

const ENDED = statement(
  `SELECT no, status, result_blob FROM run WHERE ended_at IS NOT NULL AND ended_at < $1
   ORDER BY ended_at, no LIMIT $2 FOR UPDATE SKIP LOCKED`,
);
const OPEN = statement("INSERT INTO pruning (run_no) SELECT unnest($1::bigint[])");
const CLOSE = statement("DELETE FROM pruning WHERE run_no = ANY($1::bigint[])");
const BLOBS = statement(
  "SELECT DISTINCT blob FROM journal WHERE run_no = ANY($1::bigint[]) AND blob IS NOT NULL",
);
const DROP_FACTS = statement("DELETE FROM journal WHERE run_no = ANY($1::bigint[])");
const DROP_APPROVALS = statement("DELETE FROM approval WHERE run_no = ANY($1::bigint[])");
const DROP_RUNS = statement("DELETE FROM run WHERE no = ANY($1::bigint[])");
/** Nobody may be about to name a blob that is there while it is looked for who names it. */
const BLOBS_LOCK = statement("SELECT pg_advisory_xact_lock(4715, 2)");
const DROP_BLOBS = statement(
  `DELETE FROM blob WHERE hash = ANY($1::bytea[])
     AND (SELECT true FROM journal WHERE journal.blob = blob.hash LIMIT 1) IS NULL
     AND (SELECT true FROM run WHERE run.result_blob = blob.hash LIMIT 1) IS NULL`,
);
const COUNT = statement(
  "UPDATE counter SET completed = completed - $2, failed = failed - $3, canceled = canceled - $4 WHERE shard = $1",
);

/**
 * Deletes up to `limit` runs that ended before `before` (ms since the epoch), oldest end first, with all that is
 * theirs; returns how many. Their ids and idempotency keys are free again.
 */
export async function prune(
  tx: Tx,
  of: { readonly before: number; readonly limit: number; readonly shard: number },
): Promise<number> {
  const runs = await tx.many<{ no: number; status: EndedRunStatus; result_blob: Uint8Array | null }>(ENDED, [
    of.before,
    of.limit,
  ]);
  if (runs.length === 0) return 0;
  const numbers = runs.map(({ no }) => no);
  tx.run(OPEN, [numbers]);
  const named = (await tx.many<{ blob: Uint8Array }>(BLOBS, [numbers])).map(({ blob }) => blob);
  for (const { result_blob } of runs) if (result_blob !== null) named.push(result_blob);
  tx.identify();
  for (const drop of [DROP_FACTS, DROP_APPROVALS, DROP_RUNS]) tx.run(drop, [numbers]);
  if (named.length > 0) {
    tx.many(BLOBS_LOCK, []);
    tx.run(DROP_BLOBS, [named]);
  }
  tx.run(CLOSE, [numbers]);
  const ended = (status: EndedRunStatus) => runs.filter((run) => run.status === status).length;
  await tx.run(COUNT, [of.shard, ended("completed"), ended("failed"), ended("canceled")]);
  return runs.length;
}
