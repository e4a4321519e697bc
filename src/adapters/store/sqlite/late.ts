import type { Claim, RunNo } from "../../../contracts/run-store.ts";
import type { Connection } from "./connection.ts";
import type { Lanes } from "./lanes.ts";
import type { Transaction } from "./transaction.ts";

interface Row {
  readonly no: RunNo;
  readonly id: string;
  readonly due: number;
}

/** Runs that wait in the queue although a promise about them is broken. */
export interface Late {
  find(now: number, limit: number): readonly Row[];
  /** For a worker that is known. */
  take(
    tx: Transaction,
    of: { readonly worker: string; readonly now: number; readonly limit: number },
  ): Claim[];
}

const WAITS = `(EXISTS (SELECT 1 FROM ready WHERE ready.run_no = run.no)
  OR EXISTS (SELECT 1 FROM parked WHERE parked.run_no = run.no))`;

export function createLate(connection: Connection, lanes: Lanes): Late {
  const byDeadline = connection.many<Row>(
    `SELECT no, id, deadline_at AS due FROM run INDEXED BY run_by_deadline
     WHERE deadline_at IS NOT NULL AND status IN ('queued', 'running') AND deadline_at <= ? AND ${WAITS}
     ORDER BY deadline_at, no LIMIT ?`,
  );
  const byStart = connection.many<Row>(
    `SELECT no, id, json_extract(sla, '$.startBy') AS due FROM run INDEXED BY run_by_start_by
     WHERE status = 'queued' AND sla IS NOT NULL AND instr(sla, '"startBy":null') = 0
       AND json_extract(sla, '$.startBy') <= ? AND ${WAITS}
     ORDER BY json_extract(sla, '$.startBy'), no LIMIT ?`,
  );
  const lease = connection.run("INSERT INTO lease (run_no, token, worker, at) VALUES (?, ?, ?, 0)");

  const find = (now: number, limit: number): readonly Row[] => {
    const first = new Map<RunNo, Row>();
    for (const row of [...byDeadline(now, limit), ...byStart(now, limit)]) {
      if (row.due < (first.get(row.no)?.due ?? Number.POSITIVE_INFINITY)) first.set(row.no, row);
    }
    return [...first.values()].sort((a, b) => a.due - b.due || a.no - b.no).slice(0, limit);
  };

  return {
    find,
    take: (tx, { worker, now, limit }) =>
      find(now, limit).map(({ no, id }) => {
        lanes.unqueue(tx, no);
        const token = tx.add("fence", 1);
        lease(no, token, worker);
        return { no, run: id, token, worker };
      }),
  };
}
