import { join } from "node:path";
import type { Logger } from "pino";
import { createMemoryRates } from "../adapters/store/memory/rates.ts";
import { openPostgresStore } from "../adapters/store/postgres/open.ts";
import { openSqliteStore } from "../adapters/store/sqlite/open.ts";
import type { RateLimitStore } from "../contracts/rate-limit-store.ts";
import type { RunReader, RunStore } from "../contracts/run-store.ts";
import type { WorkflowStore } from "../contracts/workflow-store.ts";
import type { Config } from "./config.ts";
import { systemClock } from "./system-clock.ts";

/** What every database offers, whichever it is. */
export interface Database {
  readonly store: RunStore;
  readonly reader: RunReader;
  readonly workflows: WorkflowStore;
  /** Shared by all processes of a PostgreSQL; of one process otherwise. */
  readonly rates: RateLimitStore;
  close(): Promise<void>;
}

export const SQLITE_FILE = "agent-runner.db";

/** PostgreSQL where an address is configured, a file in the data folder otherwise. */
export async function openDatabase(config: Config, log: Logger): Promise<Database> {
  const onBeatFailure = (worker: string, error: string) =>
    log.warn({ worker, error }, "a beat failed; the lease is at risk");
  const clock = systemClock;
  if (config.databaseUrl === null) {
    const opened = await openSqliteStore({ path: join(config.dataDir, SQLITE_FILE), clock, onBeatFailure });
    return { ...opened, rates: createMemoryRates(clock) };
  }
  return openPostgresStore({
    url: config.databaseUrl,
    clock,
    onBeatFailure,
    onPolling: (why) => log.warn({ why }, "waiting runs are found by polling"),
  });
}
