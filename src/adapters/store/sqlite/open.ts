import type { Clock } from "../../../base/clock.ts";
import type { Fleet } from "../../../contracts/fleet.ts";
import type { HealthBoard } from "../../../contracts/health-board.ts";
import type { Leaders } from "../../../contracts/leader.ts";
import type { LiveRelay } from "../../../contracts/live.ts";
import type { RunReader } from "../../../contracts/run-store.ts";
import type { ScheduleStore } from "../../../contracts/schedule-store.ts";
import type { SpendLedger } from "../../../contracts/spend-ledger.ts";
import type { WorkflowStore } from "../../../contracts/workflow-store.ts";
import { FailureError, failure } from "../../../domain/errors.ts";
import { LIMITS } from "../../../domain/limits.ts";
import type { MigrateMode } from "../sql/migrations.ts";
import { Connection } from "./connection.ts";
import { createFleet } from "./fleet.ts";
import { createHealthBoard } from "./health-board.ts";
import { createLeaders } from "./leaders.ts";
import { createLiveRelay } from "./live.ts";
import { migrate } from "./migrate.ts";
import { createRunReader } from "./reader.ts";
import { createScheduleStore } from "./schedules.ts";
import { createSpendLedger } from "./spend.ts";
import { createRunStore, type SqliteRunStore, type StoreOptions } from "./store.ts";
import { createWorkflowStore } from "./workflows.ts";
import { Writer } from "./writer.ts";

export { processStart } from "../sql/process.ts";

export interface OpenSqlite extends Partial<Omit<StoreOptions, "clock">> {
  /** A file on a local disk; made when it is not there. */
  readonly path: string;
  readonly clock: Clock;
  /** A counter of ms that only grows; for tests with a clock of their own. */
  readonly ticks?: () => number;
  /** `off` refuses a database with an older schema (`store_outdated`) instead of bringing it up to date. */
  readonly migrate?: MigrateMode;
}

export interface SqliteStore {
  readonly store: SqliteRunStore;
  readonly reader: RunReader;
  readonly workflows: WorkflowStore;
  readonly schedules: ScheduleStore;
  readonly live: LiveRelay;
  readonly health: HealthBoard;
  readonly spend: SpendLedger;
  readonly fleet: Fleet;
  readonly leaders: Leaders;
  /** Ends the beats, the hints and both connections. */
  close(): Promise<void>;
}

const STALL_NOTICE_MS = 2_000;
const BUSY_TIMEOUT_MS = 5_000;

const warnOfBeat = (worker: string, message: string): void =>
  process.emitWarning(`worker ${worker} could not beat and tries again: ${message}`, "BeatWarning");

/**
 * Opens (and brings up to date) the database at `path`. Rejects with a `FailureError`: `store_incompatible`, `store_outdated`, `copy_unfinished`,
 * `store_corrupt`, `read_only`, `disk_full` or `unavailable`.
 */
export async function openSqliteStore(options: OpenSqlite): Promise<SqliteStore> {
  const { path, clock } = options;
  if (path === "" || path === ":memory:") {
    throw new FailureError(failure("invalid_config", `the store needs a file, not ${JSON.stringify(path)}`));
  }
  const busyTimeoutMs = options.busyTimeoutMs ?? BUSY_TIMEOUT_MS;
  const write = new Connection({ path, busyTimeoutMs });
  let read: Connection | null = null;
  try {
    migrate(write, { mode: options.migrate ?? "auto" });
    read = new Connection({ path, busyTimeoutMs, readOnly: true });
    const store = createRunStore(write, {
      clock,
      busyTimeoutMs,
      beats: options.beats ?? "thread",
      beatMs: options.beatMs ?? LIMITS.beatMs,
      stallNoticeMs: options.stallNoticeMs ?? STALL_NOTICE_MS,
      stallMs: options.stallMs ?? LIMITS.stallMs,
      onBeatFailure: options.onBeatFailure ?? warnOfBeat,
    });
    const writer = new Writer(write);
    const now = () => (options.beats === "none" ? clock.now() : null);
    const ticks = options.ticks ?? (() => performance.now());
    const reading = read;
    const health = createHealthBoard(path, now);
    const close = async (): Promise<void> => {
      // The writer goes last: only a connection that may write folds the log into the file and takes it away.
      reading.close();
      health.close();
      await store.close();
    };
    return {
      store: { ...store, close },
      reader: createRunReader(read),
      workflows: createWorkflowStore(write, read),
      schedules: createScheduleStore(write, read),
      live: createLiveRelay(write, read, () => clock.now()),
      health,
      spend: createSpendLedger(write, read, clock),
      fleet: createFleet(write, writer, now),
      leaders: createLeaders(write, writer, { now, ticks }),
      close,
    };
  } catch (error) {
    read?.close();
    write.close();
    throw error;
  }
}
