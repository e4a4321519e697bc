import { join } from "node:path";
import type { Logger } from "pino";
import { createMemoryRates } from "../adapters/store/memory/rates.ts";
import { openPostgresStore } from "../adapters/store/postgres/open.ts";
import { openSqliteStore } from "../adapters/store/sqlite/open.ts";
import { SteadyClock } from "../base/steady-clock.ts";
import type { Fleet } from "../contracts/fleet.ts";
import type { HealthBoard } from "../contracts/health-board.ts";
import type { Leaders } from "../contracts/leader.ts";
import type { LiveRelay } from "../contracts/live.ts";
import type { RateLimitStore } from "../contracts/rate-limit-store.ts";
import type { RunReader, RunStore } from "../contracts/run-store.ts";
import type { ScheduleStore } from "../contracts/schedule-store.ts";
import type { SpendLedger } from "../contracts/spend-ledger.ts";
import type { WorkflowStore } from "../contracts/workflow-store.ts";
import type { Config } from "./config.ts";
import { systemClock, ticks } from "./system-clock.ts";

/** What every database offers, whichever it is. */
export interface Database {
  readonly store: RunStore;
  readonly reader: RunReader;
  readonly workflows: WorkflowStore;
  readonly schedules: ScheduleStore;
  readonly live: LiveRelay;
  readonly health: HealthBoard;
  readonly spend: SpendLedger;
  readonly fleet: Fleet;
  readonly leaders: Leaders;
  /** The database's time, which all processes share, whatever their own clocks say. */
  readonly clock: SteadyClock;
  /** Shared by all processes of a PostgreSQL; of one process otherwise. */
  readonly rates: RateLimitStore;
  close(): Promise<void>;
}

export const SQLITE_FILE = "agent-runner.db";
/** A machine whose clock is further from the database's is worth a word. */
const WRONG_CLOCK_MS = 2_000;

/** PostgreSQL where an address is configured, a file in the data folder otherwise. */
export async function openDatabase(config: Config, log: Logger): Promise<Database> {
  const onBeatFailure = (worker: string, error: string) =>
    log.warn({ worker, error }, "a beat failed; the lease is at risk");
  const clock = new SteadyClock({ local: systemClock, ticks });
  const { migrate } = config;
  const opened =
    config.databaseUrl === null
      ? {
          ...(await openSqliteStore({
            path: join(config.dataDir, SQLITE_FILE),
            clock,
            migrate,
            onBeatFailure,
          })),
          rates: createMemoryRates(clock),
        }
      : await openPostgresStore({
          url: config.databaseUrl,
          connections: config.databaseConnections,
          clock,
          migrate,
          onBeatFailure,
          onPolling: (why) => log.warn({ why }, "waiting runs are found by polling"),
        });
  try {
    const asked = ticks();
    const said = await opened.fleet.now();
    const moved = clock.correct({ asked, answered: ticks(), said });
    if (Math.abs(moved) >= WRONG_CLOCK_MS)
      log.warn({ ms: Math.round(moved) }, "this machine's clock is not the database's, which counts");
  } catch (error) {
    await opened.close();
    throw error;
  }
  return { ...opened, clock };
}
