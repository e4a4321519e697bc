import type { Claim, RunNo } from "../../../contracts/run-store.ts";
import type { Connection } from "./connection.ts";
import type { Transaction } from "./transaction.ts";

/** Where a run that becomes ready stands: where its admission put it, or before all others. */
export type Place = "own" | "first";

/** The three places an open run can be in (ready, held, at rest), and the ways between them. */
export interface Lanes {
  enqueue(tx: Transaction, no: RunNo, place: Place): void;
  /** Moves a ready run before all others; nothing happens to a run that is not ready. */
  hurry(no: RunNo): void;
  rest(no: RunNo, wakeAt: number | null, waitingFor: readonly string[]): void;
  /** Makes a resting run ready; false when it does not rest. */
  wake(tx: Transaction, no: RunNo, place: Place): boolean;
  /** Takes up to `limit` ready runs for a worker, which must be known. */
  take(tx: Transaction, worker: string, limit: number): Claim[];
  /** Takes a run out of its worker's hands. */
  release(no: RunNo): void;
  due(now: number, limit: number): RunNo[];
  nextDue(): number | null;
  anyReady(): boolean;
}

interface Head {
  readonly priority: number;
  readonly vt: number;
  readonly run_no: number;
  readonly id: string;
}

export function createLanes(connection: Connection): Lanes {
  const enqueueOwn = connection.run(
    "INSERT INTO ready (priority, vt, run_no) SELECT priority, vt, no FROM run WHERE no = ?",
  );
  const enqueueFirst = connection.run("INSERT INTO ready (priority, vt, run_no) VALUES (0, 0, ?)");
  const unqueue = connection.run("DELETE FROM ready WHERE run_no = ?");
  // CROSS JOIN: `ready` leads, whatever statistics somebody may have gathered while it was empty.
  const heads = connection.many<Head>(
    `SELECT ready.priority, ready.vt, ready.run_no, run.id FROM ready CROSS JOIN run ON run.no = ready.run_no
     ORDER BY ready.priority, ready.vt, ready.run_no LIMIT ?`,
  );
  const takeOne = connection.run("DELETE FROM ready WHERE priority = ? AND vt = ? AND run_no = ?");
  const lease = connection.run("INSERT INTO lease (run_no, token, worker) VALUES (?, ?, ?)");
  const unlease = connection.run("DELETE FROM lease WHERE run_no = ?");
  const rest = connection.run("INSERT INTO rest (run_no, wake_at, waiting_for) VALUES (?, ?, ?)");
  const unrest = connection.run("DELETE FROM rest WHERE run_no = ?");
  const due = connection.many<{ run_no: number }>(
    `SELECT run_no FROM rest WHERE wake_at IS NOT NULL AND wake_at <= ? ORDER BY wake_at, run_no LIMIT ?`,
  );
  const nextDue = connection.one<{ wake_at: number }>(
    "SELECT wake_at FROM rest WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1",
  );
  const anyReady = connection.one("SELECT 1 FROM ready LIMIT 1");

  const lanes: Lanes = {
    enqueue(tx, no, place) {
      if (place === "first") enqueueFirst(no);
      else enqueueOwn(no);
      tx.add("ready", 1);
      tx.hint({ kind: "ready" });
    },
    hurry(no) {
      if (unqueue(no) > 0) enqueueFirst(no);
    },
    rest: (no, wakeAt, waitingFor) => void rest(no, wakeAt, JSON.stringify(waitingFor)),
    wake(tx, no, place) {
      if (unrest(no) === 0) return false;
      lanes.enqueue(tx, no, place);
      return true;
    },
    take(tx, worker, limit) {
      const claims: Claim[] = [];
      for (const head of heads(limit)) {
        takeOne(head.priority, head.vt, head.run_no);
        const token = tx.add("fence", 1);
        lease(head.run_no, token, worker);
        claims.push({ no: head.run_no, run: head.id, token, worker });
      }
      tx.add("ready", -claims.length);
      return claims;
    },
    release: (no) => void unlease(no),
    due: (now, limit) => due(now, limit).map((row) => row.run_no),
    nextDue: () => nextDue()?.wake_at ?? null,
    anyReady: () => anyReady() !== undefined,
  };
  return lanes;
}
