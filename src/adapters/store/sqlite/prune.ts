import type { RunNo } from "../../../contracts/run-store.ts";
import type { EndedRunStatus } from "../../../domain/run.ts";
import type { Connection } from "./connection.ts";
import type { Transaction } from "./transaction.ts";

/**
 * Deletes up to `limit` runs that ended before `before` (ms since the epoch), oldest end first, with all that is
 * theirs; returns how many. Their ids and idempotency keys are free again.
 */
export type Prune = (tx: Transaction, before: number, limit: number) => number;

interface Ended {
  readonly no: RunNo;
  readonly status: EndedRunStatus;
  readonly result_blob: Uint8Array | null;
}

export function createPrune(connection: Connection): Prune {
  const ended = connection.many<Ended>(
    `SELECT no, status, result_blob FROM run WHERE ended_at IS NOT NULL AND ended_at < ? ORDER BY ended_at, no LIMIT ?`,
  );
  const open = connection.run("INSERT INTO pruning (run_no) VALUES (?)");
  const close = connection.run("DELETE FROM pruning");
  const blobs = connection.many<{ blob: Uint8Array }>(
    "SELECT blob FROM journal WHERE run_no = ? AND blob IS NOT NULL",
  );
  const dropFacts = connection.run("DELETE FROM journal WHERE run_no = ?");
  const dropApprovals = connection.run("DELETE FROM approval WHERE run_no = ?");
  const dropRun = connection.run("DELETE FROM run WHERE no = ?");
  const dropBlob = connection.run(
    `DELETE FROM blob WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM journal WHERE blob = ?1)
       AND NOT EXISTS (SELECT 1 FROM run WHERE result_blob = ?1)`,
  );

  return (tx, before, limit) => {
    const runs = ended(before, limit);
    const hashes = new Map<string, Uint8Array>();
    const note = (hash: Uint8Array) => hashes.set(Buffer.from(hash).toString("hex"), hash);
    for (const { no, status, result_blob } of runs) {
      open(no);
      for (const { blob } of blobs(no)) note(blob);
      if (result_blob !== null) note(result_blob);
      dropFacts(no);
      dropApprovals(no);
      dropRun(no);
      tx.add(status, -1);
    }
    for (const hash of hashes.values()) dropBlob(hash);
    close();
    return runs.length;
  };
}
