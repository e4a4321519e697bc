import type { Claim } from "../../../contracts/run-store.ts";
import { PARKED_PER_CLAIM } from "../../../domain/queue.ts";
import type { Connection } from "./connection.ts";
import { type Head, inClaimOrder, type Ready } from "./ready.ts";
import type { Slots } from "./slots.ts";
import type { Transaction } from "./transaction.ts";

interface Taking {
  readonly worker: string;
  readonly labels: readonly string[];
  readonly limit: number;
  readonly now: number;
}

/** Takes up to `limit` ready runs for a worker, which must be known. */
export type Take = (tx: Transaction, of: Taking) => Claim[];

interface Taken {
  readonly head: Head;
  readonly claim: Claim;
}

/** Heads looked at at once after some had to be put aside. */
const NEXT_HEADS = 128;

export function createTake(connection: Connection, parts: { ready: Ready; slots: Slots }): Take {
  const { ready, slots } = parts;
  const unqueue = connection.run("DELETE FROM ready WHERE run_no = ?");
  const lease = connection.run("INSERT INTO lease (run_no, token, worker, at) VALUES (?, ?, ?, ?)");
  const raiseFloor = connection.run(
    `INSERT INTO floor (priority, vt) VALUES (?, ?)
     ON CONFLICT (priority) DO UPDATE SET vt = excluded.vt WHERE excluded.vt > floor.vt`,
  );

  /** Takes or puts aside the heads of the queue, in order; how many it put aside. */
  const takeHeads = (tx: Transaction, heads: readonly Head[], into: Taken[], of: Taking): number => {
    let parked = 0;
    for (const head of heads) {
      if (into.length >= of.limit) break;
      const { run_no: no } = head;
      const full = head.gated === 1 ? slots.firstFull(no) : null;
      unqueue(no);
      tx.add("ready", -1);
      if (full === null) {
        const token = tx.add("fence", 1);
        lease(no, token, of.worker, of.now);
        if (head.gated === 1) slots.take(no);
        into.push({ head, claim: { no, run: head.id, token, worker: of.worker } });
        continue;
      }
      parked += 1;
      // Whoever is ready for that may stand before the heads that were read.
      if (slots.park(tx, no, full)) break;
    }
    return parked;
  };

  const raiseFloors = (taken: readonly Taken[]): void => {
    const floors = new Map<number, number>();
    for (const { head } of taken) {
      if (head.vt > (floors.get(head.priority) ?? 0)) floors.set(head.priority, head.vt);
    }
    for (const [priority, vt] of floors) raiseFloor(priority, vt);
  };

  return (tx, of) => {
    const taken: Taken[] = [];
    let parked = 0;
    for (let wanted = of.limit; taken.length < of.limit; wanted = NEXT_HEADS) {
      if (parked >= PARKED_PER_CLAIM) {
        // The rest of them is for the next claim.
        tx.hint({ kind: "ready" });
        break;
      }
      const most = Math.min(wanted, PARKED_PER_CLAIM - parked);
      const heads = ready.heads(ready.lanesOf(of.labels), most);
      const aside = takeHeads(tx, heads, taken, of);
      parked += aside;
      if (aside === 0 && heads.length < most) break;
    }
    raiseFloors(taken);
    return taken.sort((a, b) => inClaimOrder(a.head, b.head)).map(({ claim }) => claim);
  };
}
