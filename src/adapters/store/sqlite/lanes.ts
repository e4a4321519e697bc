import type { RunNo } from "../../../contracts/run-store.ts";
import type { Connection } from "./connection.ts";
import type { Ready } from "./ready.ts";
import type { Slots } from "./slots.ts";
import type { Transaction } from "./transaction.ts";

/** Where a run that becomes ready stands: where its admission put it, or before all others. */
export type Place = "own" | "first";

/** The four places an open run can be in (ready, parked, held, at rest), and the ways between them. */
export interface Lanes {
  enqueue(tx: Transaction, no: RunNo, place: Place): void;
  /** Moves a run that waits in the queue before all others; nothing happens to one that does not. */
  hurry(tx: Transaction, no: RunNo): void;
  /** Takes a run that waits out of the queue, without its slots; nothing happens to one that does not. */
  unqueue(tx: Transaction, no: RunNo): void;
  rest(no: RunNo, wakeAt: number | null, waitingFor: readonly string[]): void;
  /** Makes a resting run ready; false when it does not rest. */
  wake(tx: Transaction, no: RunNo, place: Place): boolean;
  /** Takes a run out of its worker's hands; `at` is `null` when nobody knows for how long it was really driven. */
  release(tx: Transaction, no: RunNo, of: { readonly at: number | null; readonly ended: boolean }): void;
  /** Takes a run that waits out of the queue for good, with its slots; nothing happens to one that does not. */
  withdraw(tx: Transaction, no: RunNo): void;
  due(now: number, limit: number): RunNo[];
  nextDue(): number | null;
}

export function createLanes(connection: Connection, parts: { ready: Ready; slots: Slots }): Lanes {
  const { ready, slots } = parts;
  const unlease = connection.one<{ at: number }>("DELETE FROM lease WHERE run_no = ? RETURNING at");
  const isGated = connection.one<{ gated: number }>("SELECT gated FROM run WHERE no = ?");
  const rest = connection.run("INSERT INTO rest (run_no, wake_at, waiting_for) VALUES (?, ?, ?)");
  const unrest = connection.run("DELETE FROM rest WHERE run_no = ?");
  const due = connection.many<{ run_no: number }>(
    `SELECT run_no FROM rest WHERE wake_at IS NOT NULL AND wake_at <= ? ORDER BY wake_at, run_no LIMIT ?`,
  );
  const nextDue = connection.one<{ wake_at: number }>(
    "SELECT wake_at FROM rest WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1",
  );

  /** Out of the queue; true when it was there. */
  const unqueue = (tx: Transaction, no: RunNo): boolean => {
    const left = ready.leave(tx, no);
    if (left?.gated) slots.passOn(tx, no);
    return left !== null || slots.unpark(tx, no);
  };

  return {
    enqueue(tx, no, place) {
      if (place === "first") ready.enterFirst(tx, no);
      else ready.enter(tx, no);
    },
    hurry(tx, no) {
      if (unqueue(tx, no)) ready.enterFirst(tx, no);
    },
    unqueue: (tx, no) => void unqueue(tx, no),
    rest: (no, wakeAt, waitingFor) => void rest(no, wakeAt, JSON.stringify(waitingFor)),
    wake(tx, no, place) {
      if (unrest(no) === 0) return false;
      if (place === "first") ready.enterFirst(tx, no);
      else ready.enter(tx, no);
      return true;
    },
    release(tx, no, { at, ended }) {
      if (isGated(no)?.gated === 1) slots.release(tx, no, ended ? "all" : "lease");
      const row = unlease(no);
      // Nobody knows since when, or it was held only to be ended.
      if (row === undefined || at === null || row.at === 0) return;
      tx.serve({ runs: ended ? 1 : 0, ms: Math.max(0, at - row.at), at });
    },
    withdraw(tx, no) {
      if (unqueue(tx, no)) slots.release(tx, no, "all");
    },
    due: (now, limit) => due(now, limit).map((row) => row.run_no),
    nextDue: () => nextDue()?.wake_at ?? null,
  };
}
