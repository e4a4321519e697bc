import type { HealthBoard } from "../../../contracts/health-board.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { HEALTH_KEPT_MS, type HealthRow, healthValues, swapSql, toSharedHealth } from "../sql/health-row.ts";
import { Connection } from "./connection.ts";
import { storeFailure } from "./failures.ts";
import { sqlNow } from "./now.ts";

/** Other writers are not waited for: calls to models go on in this thread meanwhile. */
const BUSY_MS = 20;

export interface SqliteHealthBoard extends HealthBoard {
  close(): void;
}

/**
 * The board in the file, over a connection of its own, which is opened when it is used first. Writes do not wait for the
 * disk.
 */
export function createHealthBoard(path: string, now: () => number | null): SqliteHealthBoard {
  let opened: ReturnType<typeof open> | null = null;
  const use = async <T>(work: (board: ReturnType<typeof open>) => T): Promise<T> => {
    try {
      opened ??= open(path);
      return work(opened);
    } catch (error) {
      throw storeFailure(error, path);
    }
  };
  return {
    read: () => use((board) => board.read(LIMITS.sharedModels).map(toSharedHealth)),
    swap: (rows) =>
      use((board) =>
        board.connection.relaxed(() => {
          const at = now();
          board.drop(at);
          return rows.map((row) => {
            const values = healthValues(row).map((value) =>
              typeof value === "boolean" ? Number(value) : value,
            );
            const written = board.swap(...values, row.version, at);
            return written === undefined ? null : toSharedHealth(written);
          });
        }),
      ),
    lease: ({ account, model, phase, by, ms }) =>
      use((board) =>
        board.connection.relaxed(() => {
          const leased = board.lease(account, model, phase, by, ms, now());
          return leased === undefined ? null : toSharedHealth(leased);
        }),
      ),
    close: () => opened?.connection.close(),
  };
}

function open(path: string) {
  const connection = new Connection({ path, busyTimeoutMs: BUSY_MS });
  const time = sqlNow("?6");
  return {
    connection,
    read: connection.many<HealthRow>("SELECT * FROM model_health ORDER BY at DESC LIMIT ?"),
    drop: connection.run(`DELETE FROM model_health WHERE at < ${sqlNow("?1")} - ${HEALTH_KEPT_MS}`),
    swap: connection.one<HealthRow>(swapSql(sqlNow("?14"), (n) => `?${n}`)),
    lease: connection.one<HealthRow>(
      `UPDATE model_health SET probe_by = ?4, probe_until = ${time} + ?5, version = version + 1, at = ${time}
       WHERE account = ?1 AND model = ?2 AND phase = ?3 AND open_until <= ${time}
         AND (probe_until <= ${time} OR probe_by = ?4) RETURNING *`,
    ),
  };
}
