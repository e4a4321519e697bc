import type { WorkerView } from "../../../contracts/run-store.ts";

export interface WorkerRow {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly slots: number;
  /** JSON list. */
  readonly labels: string;
  readonly held: number;
  readonly joined_at: number;
  readonly beat_at: number;
}

export const WORKERS = `SELECT id, host, pid, slots, labels, joined_at, beat_at,
  (SELECT count(*) FROM lease WHERE lease.worker = worker.id) AS held FROM worker ORDER BY id`;

export function toWorker(row: WorkerRow): WorkerView {
  const { id, host, pid, slots, held } = row;
  const labels = JSON.parse(row.labels) as string[];
  return { id, host, pid, slots, labels, held, joinedAt: row.joined_at, beatAt: row.beat_at };
}
