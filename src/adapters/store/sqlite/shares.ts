import { shareStep } from "../../../domain/fair-share.ts";
import type { Connection } from "./connection.ts";

export interface Class {
  readonly tenant: string;
  readonly priority: number;
}

/** Each tenant's clock in each class, and how many of its runs have not begun. */
export interface Shares {
  /** One run more: its virtual time. */
  advance(of: Class, weight: number): number;
  /** A run has begun, or ended without. */
  leave(of: Class): void;
  waitingOf(tenant: string): number;
}

export function createShares(connection: Connection): Shares {
  // What is in conflict was given the floor and one step: the tenant's own clock may be ahead of the floor.
  const advance = connection.one<{ vt: number }>(
    `INSERT INTO share (tenant, priority, vt, waiting)
     VALUES (?1, ?2, coalesce((SELECT vt FROM floor WHERE priority = ?2), 0) + ?3, 1)
     ON CONFLICT (tenant, priority) DO UPDATE SET vt = max(share.vt + ?3, excluded.vt), waiting = waiting + 1
     RETURNING vt`,
  );
  const leave = connection.run("UPDATE share SET waiting = waiting - 1 WHERE tenant = ? AND priority = ?");
  const waiting = connection.one<{ n: number }>(
    "SELECT coalesce(sum(waiting), 0) AS n FROM share WHERE tenant = ?",
  );
  return {
    advance({ tenant, priority }, weight) {
      const step = shareStep(weight);
      return advance(tenant, priority, step)?.vt ?? step;
    },
    leave: ({ tenant, priority }) => void leave(tenant, priority),
    waitingOf: (tenant) => waiting(tenant)?.n ?? 0,
  };
}
