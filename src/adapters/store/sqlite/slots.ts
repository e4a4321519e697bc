import type { RunNo } from "../../../contracts/run-store.ts";
import type { Slot } from "../../../domain/fact.ts";
import type { Connection } from "./connection.ts";
import type { Ready } from "./ready.ts";
import type { Transaction } from "./transaction.ts";

/** What few runs may hold at a time, and the runs put aside for it. */
export interface Slots {
  /** What a run that is admitted will need; the latest limit of a key counts from now on. */
  name(tx: Transaction, no: RunNo, slots: readonly Slot[]): void;
  /** False when no open run names the key, or its limit is that already. */
  resize(tx: Transaction, key: string, limit: number): boolean;
  /** The first slot, by key, that the run lacks and that is full; `null` when it can have all. */
  firstFull(no: RunNo): string | null;
  /** Takes what the run lacks; its lease is there already. */
  take(no: RunNo): void;
  /** Gives back what goes with the lease, or everything there is of an ended run; the next in line are ready. */
  release(tx: Transaction, no: RunNo, what: "lease" | "all"): void;
  /** Puts a run aside that is in no place; true when another run is ready for that. */
  park(tx: Transaction, no: RunNo, key: string): boolean;
  /** False when it was not parked. */
  unpark(tx: Transaction, no: RunNo): boolean;
  /** A run left the queue without taking its slots: the next in line for each has its chance. True when one is ready. */
  passOn(tx: Transaction, no: RunNo): boolean;
  /** Public ids of the open runs that name a key, the oldest first. */
  users(key: string, limit: number): string[];
}

/** The runs that were put aside, for each key one line a lane. */
function createLines(connection: Connection, ready: Ready) {
  const park = connection.run(
    "INSERT INTO parked (key, lane, priority, vt, run_no) SELECT ?, lane, priority, vt, no FROM run WHERE no = ?",
  );
  const unpark = connection.run("DELETE FROM parked WHERE run_no = ?");
  const nextLane = connection.one<{ lane: number }>(
    "SELECT lane FROM parked WHERE key = ? AND lane > ? ORDER BY lane LIMIT 1",
  );
  const next = connection.many<{ run_no: number }>(
    "SELECT run_no FROM parked WHERE key = ? AND lane = ? ORDER BY priority, vt, run_no LIMIT ?",
  );
  const lines = {
    add(tx: Transaction, no: RunNo, key: string): void {
      park(key, no);
      tx.add("parked", 1);
    },
    remove(tx: Transaction, no: RunNo): boolean {
      if (unpark(no) === 0) return false;
      tx.add("parked", -1);
      return true;
    },
    wake(tx: Transaction, of: { key: string; lane: number; amount: number }): boolean {
      const rows = next(of.key, of.lane, of.amount);
      for (const { run_no: no } of rows) {
        lines.remove(tx, no);
        ready.enter(tx, no);
      }
      return rows.length > 0;
    },
    /** In every lane as many as there is more room: which lane's worker comes first, nobody knows. */
    wakeEachLane(tx: Transaction, key: string, amount: number): void {
      if (amount <= 0) return;
      for (let lane = nextLane(key, -1)?.lane; lane !== undefined; lane = nextLane(key, lane)?.lane) {
        lines.wake(tx, { key, lane, amount });
      }
    },
  };
  return lines;
}

export function createSlots(connection: Connection, ready: Ready): Slots {
  const lines = createLines(connection, ready);
  const find = connection.one<{ cap: number; held: number }>("SELECT cap, held FROM slot WHERE key = ?");
  const add = connection.run("INSERT INTO slot (key, cap) VALUES (?, ?)");
  const setCap = connection.run("UPDATE slot SET cap = ? WHERE key = ?");
  const name = connection.run("INSERT INTO run_slot (run_no, key, cap, hold) VALUES (?, ?, ?, ?)");
  const wanted = connection.many<{ key: string; free: number }>(
    `SELECT run_slot.key, slot.cap - slot.held AS free FROM run_slot CROSS JOIN slot ON slot.key = run_slot.key
     WHERE run_slot.run_no = ? AND run_slot.held = 0 ORDER BY run_slot.key`,
  );
  const take = connection.run("UPDATE run_slot SET held = 1 WHERE run_no = ? AND held = 0");
  const held = connection.many<{ key: string; hold: string }>(
    "SELECT key, hold FROM run_slot WHERE run_no = ? AND held = 1 ORDER BY key",
  );
  const give = connection.run("UPDATE run_slot SET held = 0 WHERE run_no = ? AND key = ?");
  const named = connection.many<{ key: string }>("SELECT key FROM run_slot WHERE run_no = ?");
  const forget = connection.run("DELETE FROM run_slot WHERE run_no = ?");
  const drop = connection.run(
    "DELETE FROM slot WHERE key = ?1 AND NOT EXISTS (SELECT 1 FROM run_slot WHERE run_slot.key = ?1)",
  );
  const laneOf = connection.one<{ lane: number }>("SELECT lane FROM run WHERE no = ?");
  const users = connection.many<{ id: string }>(
    `SELECT run.id FROM run_slot CROSS JOIN run ON run.no = run_slot.run_no
     WHERE run_slot.key = ? ORDER BY run_slot.run_no LIMIT ?`,
  );

  const free = (key: string): number => {
    const slot = find(key);
    return slot === undefined ? 0 : Math.max(0, slot.cap - slot.held);
  };
  const slots: Slots = {
    name(tx, no, all) {
      for (const { key, limit, hold } of all) {
        if (find(key) === undefined) add(key, limit);
        else slots.resize(tx, key, limit);
        name(no, key, limit, hold);
      }
    },
    resize(tx, key, limit) {
      const slot = find(key);
      if (slot === undefined || slot.cap === limit) return false;
      const before = free(key);
      setCap(limit, key);
      lines.wakeEachLane(tx, key, free(key) - before);
      return true;
    },
    firstFull: (no) => wanted(no).find((slot) => slot.free <= 0)?.key ?? null,
    take: (no) => void take(no),
    release(tx, no, what) {
      for (const { key, hold } of held(no)) {
        if (what === "lease" && hold === "run") continue;
        const before = free(key);
        give(no, key);
        lines.wakeEachLane(tx, key, free(key) - before);
      }
      if (what === "lease") return;
      const keys = named(no);
      forget(no);
      for (const { key } of keys) drop(key);
    },
    park(tx, no, key) {
      lines.add(tx, no, key);
      return slots.passOn(tx, no);
    },
    unpark: (tx, no) => lines.remove(tx, no),
    passOn(tx, no) {
      const lane = laneOf(no)?.lane ?? 0;
      let woken = false;
      for (const slot of wanted(no)) {
        if (slot.free > 0) woken = lines.wake(tx, { key: slot.key, lane, amount: 1 }) || woken;
      }
      return woken;
    },
    users: (key, limit) => users(key, limit).map((row) => row.id),
  };
  return slots;
}
