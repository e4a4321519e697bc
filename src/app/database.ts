import { join } from "node:path";
import type { Logger } from "pino";
import { openPostgresStore } from "../adapters/store/postgres/open.ts";
import { openSqliteStore } from "../adapters/store/sqlite/open.ts";
import type { LiveRelay } from "../contracts/live.ts";
import type { RunReader, RunStore } from "../contracts/run-store.ts";
import type { SpendLedger } from "../contracts/spend-ledger.ts";
import type { WorkflowStore } from "../contracts/workflow-store.ts";
import type { Config } from "./config.ts";
import { systemClock } from "./system-clock.ts";

/** What every database offers, whichever it is. */
export interface Database {
  readonly store: RunStore;
  readonly reader: RunReader;
  readonly workflows: WorkflowStore;
  readonly live: LiveRelay;
  readonly spend: SpendLedger;
  close(): Promise<void>;
}

export const SQLITE_FILE = "agent-runner.db";

/** PostgreSQL where an address is configured, a file in the data folder otherwise. */
export function openDatabase(config: Config, log: Logger): Promise<Database> {
  const onBeatFailure = (worker: string, error: string) =>
    log.warn({ worker, error }, "a beat failed; the lease is at risk");
  const clock = systemClock;
  if (config.databaseUrl === null) {
    return openSqliteStore({ path: join(config.dataDir, SQLITE_FILE), clock, onBeatFailure });
  }
  return openPostgresStore({
    url: config.databaseUrl,
    clock,
    onBeatFailure,
    onPolling: (why) => log.warn({ why }, "waiting runs are found by polling"),
  });
}
