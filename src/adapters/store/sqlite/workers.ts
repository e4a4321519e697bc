import type { ReapScope, WorkerInfo } from "../../../contracts/run-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { isProcessGone } from "../sql/process.ts";
import type { Connection } from "./connection.ts";
import type { Lanes } from "./lanes.ts";
import type { Transaction } from "./transaction.ts";

export interface Workers {
  join(worker: WorkerInfo, now: number): void;
  isKnown(worker: string): boolean;
  /** False when the worker is not known any more. */
  beat(worker: string, now: number): boolean;
  markStalled(worker: string, now: number): void;
  forget(worker: string): void;
  /** Ids of the workers that are surely dead. */
  dead(now: number, host: string, scope: ReapScope): string[];
  hasOrphans(): boolean;
  /** Makes every run ready that is held by a worker nobody knows; returns their public ids. */
  requeueOrphans(tx: Transaction): string[];
}

interface Row {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly process_start: string;
  readonly beat_at: number;
}

const ORPHANS = `FROM lease WHERE NOT EXISTS (SELECT 1 FROM worker WHERE worker.id = lease.worker)`;

export function createWorkers(connection: Connection, lanes: Lanes): Workers {
  const join = connection.run(
    `INSERT INTO worker (id, host, pid, process_start, slots, labels, joined_at, beat_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET host = excluded.host, pid = excluded.pid,
       process_start = excluded.process_start, slots = excluded.slots,
       labels = excluded.labels, beat_at = excluded.beat_at`,
  );
  const known = connection.one("SELECT 1 FROM worker WHERE id = ?");
  const beat = connection.run("UPDATE worker SET beat_at = ? WHERE id = ?");
  const markStalled = connection.run("UPDATE worker SET stalled_at = ? WHERE id = ?");
  const forget = connection.run("DELETE FROM worker WHERE id = ?");
  const all = connection.many<Row>("SELECT id, host, pid, process_start, beat_at FROM worker ORDER BY id");
  const anyOrphan = connection.one(`SELECT 1 ${ORPHANS} LIMIT 1`);
  const orphans = connection.many<{ run_no: number; id: string }>(
    `SELECT lease.run_no, (SELECT id FROM run WHERE no = lease.run_no) AS id ${ORPHANS} ORDER BY lease.run_no`,
  );

  return {
    join: ({ id, host, pid, processStart, slots, labels }, now) =>
      void join(id, host, pid, processStart, slots, JSON.stringify(labels ?? []), now, now),
    isKnown: (worker) => known(worker) !== undefined,
    beat: (worker, now) => beat(now, worker) > 0,
    markStalled: (worker, now) => void markStalled(now, worker),
    forget: (worker) => void forget(worker),
    dead: (now, host, scope) =>
      all()
        .filter((row) => {
          if (scope === "all" && row.beat_at < now - LIMITS.leaseTtlMs) return true;
          return row.host === host && isProcessGone(row.pid, row.process_start);
        })
        .map((row) => row.id),
    hasOrphans: () => anyOrphan() !== undefined,
    requeueOrphans: (tx) =>
      orphans().map((row) => {
        lanes.release(row.run_no);
        lanes.enqueue(tx, row.run_no, "own");
        return row.id;
      }),
  };
}
