import type { RunNo } from "../../../contracts/run-store.ts";
import { hasLabels, laneOf } from "../../../domain/labels.ts";
import { LIMITS } from "../../../domain/limits.ts";
import type { Connection } from "./connection.ts";
import type { Transaction } from "./transaction.ts";

export interface Head {
  readonly priority: number;
  readonly vt: number;
  readonly run_no: RunNo;
  readonly gated: number;
  readonly id: string;
}

/** The queue itself: who may be claimed, in the order of the claim, one lane for each set of labels. */
export interface Ready {
  /** To the run's own place. */
  enter(tx: Transaction, no: RunNo): void;
  /** Before all others, for whatever worker; it takes no slot. */
  enterFirst(tx: Transaction, no: RunNo): void;
  /** `null` when it is not ready. */
  leave(tx: Transaction, no: RunNo): { readonly gated: boolean } | null;
  /** Number of the lane of runs with these needs; `null` when there are too many lanes. */
  laneFor(needs: readonly string[]): number | null;
  /** The lanes that a worker serves and in which somebody waits. */
  lanesOf(labels: readonly string[]): number[];
  heads(lanes: readonly number[], limit: number): Head[];
}

export function inClaimOrder(
  a: Pick<Head, "priority" | "vt" | "run_no">,
  b: Pick<Head, "priority" | "vt" | "run_no">,
): number {
  return a.priority - b.priority || a.vt - b.vt || a.run_no - b.run_no;
}

export function createReady(connection: Connection): Ready {
  const enter = connection.run(
    "INSERT INTO ready (lane, priority, vt, run_no, gated) SELECT lane, priority, vt, no, gated FROM run WHERE no = ?",
  );
  const enterFirst = connection.run(
    "INSERT INTO ready (lane, priority, vt, run_no, gated) VALUES (0, 0, 0, ?, 0)",
  );
  const leave = connection.one<{ gated: number }>("DELETE FROM ready WHERE run_no = ? RETURNING gated");
  // CROSS JOIN: `ready` leads, whatever statistics somebody may have gathered while it was empty.
  const heads = connection.many<Head>(
    `SELECT ready.priority, ready.vt, ready.run_no, ready.gated, run.id
     FROM ready CROSS JOIN run ON run.no = ready.run_no
     WHERE ready.lane = ? ORDER BY ready.priority, ready.vt, ready.run_no LIMIT ?`,
  );
  const anyIn = connection.one("SELECT 1 FROM ready WHERE lane = ? LIMIT 1");
  const lanes = connection.many<{ id: number; labels: string }>(
    "SELECT id, labels FROM lane WHERE id > ? ORDER BY id",
  );
  const lane = connection.one<{ id: number }>("SELECT id FROM lane WHERE labels = ?");
  const addLane = connection.run("INSERT INTO lane (labels) SELECT ? WHERE (SELECT max(id) FROM lane) < ?");

  // Lanes are added, by whatever process, and never changed.
  const known = new Map<number, readonly string[]>();
  let newest = -1;
  const allLanes = () => {
    for (const { id, labels } of lanes(newest)) {
      known.set(id, JSON.parse(labels) as string[]);
      newest = id;
    }
    return known;
  };

  return {
    enter(tx, no) {
      enter(no);
      tx.add("ready", 1);
      tx.hint({ kind: "ready" });
    },
    enterFirst(tx, no) {
      enterFirst(no);
      tx.add("ready", 1);
      tx.hint({ kind: "ready" });
    },
    leave(tx, no) {
      const row = leave(no);
      if (row === undefined) return null;
      tx.add("ready", -1);
      return { gated: row.gated === 1 };
    },
    laneFor(needs) {
      if (needs.length === 0) return 0;
      const labels = laneOf(needs);
      const found = lane(labels);
      if (found !== undefined) return found.id;
      return addLane(labels, LIMITS.lanes) === 0 ? null : (lane(labels)?.id ?? null);
    },
    lanesOf(labels) {
      const served: number[] = [];
      for (const [id, needs] of allLanes()) {
        if (hasLabels(labels, needs) && anyIn(id) !== undefined) served.push(id);
      }
      return served;
    },
    heads(of, limit) {
      const [only] = of;
      if (of.length === 1 && only !== undefined) return heads(only, limit);
      return of
        .flatMap((id) => heads(id, limit))
        .sort(inClaimOrder)
        .slice(0, limit);
    },
  };
}
