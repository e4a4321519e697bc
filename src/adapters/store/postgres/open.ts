import type { Clock } from "../../../base/clock.ts";
import type { Fleet } from "../../../contracts/fleet.ts";
import type { HealthBoard } from "../../../contracts/health-board.ts";
import type { Leaders } from "../../../contracts/leader.ts";
import type { LiveRelay } from "../../../contracts/live.ts";
import type { RateLimitStore } from "../../../contracts/rate-limit-store.ts";
import type { RunReader } from "../../../contracts/run-store.ts";
import type { ScheduleStore } from "../../../contracts/schedule-store.ts";
import type { SpendLedger } from "../../../contracts/spend-ledger.ts";
import type { WorkflowStore } from "../../../contracts/workflow-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import type { MigrateMode } from "../sql/migrations.ts";
import { CONNECTIONS, openConnections } from "./connections.ts";
import { storeFailure } from "./failures.ts";
import { createFleet } from "./fleet.ts";
import { createHealthBoard } from "./health-board.ts";
import { Hints } from "./hints.ts";
import { createLeaders } from "./leaders.ts";
import { createLiveRelay } from "./live.ts";
import { migrate } from "./migrate.ts";
import { createPostgresRates } from "./rates.ts";
import { createRunReader } from "./reader.ts";
import { createScheduleStore } from "./schedules.ts";
import { Session } from "./session.ts";
import { createSpendLedger } from "./spend.ts";
import { createRunStore, type PostgresRunStore, type StoreOptions } from "./store.ts";
import { createWorkflowStore } from "./workflows.ts";

export interface OpenPostgres extends Partial<Omit<StoreOptions, "clock">> {
  /** `postgres://user:password@host:5432/database`; its parameters (`sslmode=…`) are the driver's. */
  readonly url: string;
  readonly clock: Clock;
  /** A counter of ms that only grows; for tests with a clock of their own. */
  readonly ticks?: () => number;
  /** `off` refuses a database with an older schema (`store_outdated`) instead of bringing it up to date. */
  readonly migrate?: MigrateMode;
  /** How long a verb waits for a database that is gone before it rejects with `unavailable`, in ms. */
  readonly patienceMs?: number;
  /** Most connections of this process, from `CONNECTIONS.least` to `most`; `usual` when absent. */
  readonly connections?: number;
  /** Notifications do not arrive, so waiting runs are looked for; told once a connection. */
  readonly onPolling?: (why: string) => void;
}

export interface PostgresStore {
  readonly store: PostgresRunStore;
  readonly reader: RunReader;
  readonly workflows: WorkflowStore;
  readonly schedules: ScheduleStore;
  readonly live: LiveRelay;
  readonly health: HealthBoard;
  readonly spend: SpendLedger;
  readonly fleet: Fleet;
  readonly leaders: Leaders;
  /** One count for all processes of the database. */
  readonly rates: RateLimitStore;
  /** `poll` when notifications do not arrive, as through a connection pooler in transaction mode. */
  wakeUp(): "notify" | "poll";
  /** Ends the beats, the hints and all connections. */
  close(): Promise<void>;
}

const STALL_NOTICE_MS = 2_000;
const BEAT_ANSWER_MS = 3_000;
const PATIENCE_MS = 5_000;
/** For what calls do not wait for, and what is old in a second. */
const HEALTH_PATIENCE_MS = 1_000;
const HEALTH_ANSWER_MS = 2_000;

const warnOfBeat = (worker: string, message: string): void =>
  process.emitWarning(`worker ${worker} could not beat and tries again: ${message}`, "BeatWarning");
const warnOfPolling = (why: string): void => process.emitWarning(why, "PollingWarning");

/**
 * Opens (and brings up to date) the database at `url`. Rejects with a `FailureError`: `store_incompatible`, `store_outdated`, `copy_unfinished`,
 * `invalid_config` (no such database, user or password), `read_only`, `disk_full` or `unavailable`.
 */
export async function openPostgresStore(options: OpenPostgres): Promise<PostgresStore> {
  const { url, clock } = options;
  await migrate(url, { mode: options.migrate ?? "auto" });
  const patienceMs = options.patienceMs ?? PATIENCE_MS;
  const sessions = openConnections({
    url,
    patienceMs,
    connections: options.connections ?? CONNECTIONS.usual,
  });
  const { doors, reads } = sessions;
  // One more where models' health is shared: what is told there may not wait as long as the rest.
  const news = new Session({
    url,
    name: "health",
    patienceMs: HEALTH_PATIENCE_MS,
    answerMs: HEALTH_ANSWER_MS,
  });
  const hints = new Hints({ url, session: reads.session, onPolling: options.onPolling ?? warnOfPolling });
  const store = createRunStore(sessions, hints, {
    url,
    clock,
    busyTimeoutMs: options.busyTimeoutMs ?? BEAT_ANSWER_MS,
    beats: options.beats ?? "thread",
    beatMs: options.beatMs ?? LIMITS.beatMs,
    stallNoticeMs: options.stallNoticeMs ?? STALL_NOTICE_MS,
    stallMs: options.stallMs ?? LIMITS.stallMs,
    onBeatFailure: options.onBeatFailure ?? warnOfBeat,
  });
  try {
    await hints.start();
  } catch (error) {
    await store.close();
    throw storeFailure(error, doors.database);
  }
  const now = () => (options.beats === "none" ? clock.now() : null);
  const leaders = createLeaders({
    url,
    now,
    ticks: options.ticks ?? (() => performance.now()),
    ownSessions: () => hints.mode === "notify",
  });
  return {
    store,
    reader: createRunReader(reads),
    workflows: createWorkflowStore(doors, reads),
    schedules: createScheduleStore(doors, reads),
    live: createLiveRelay(sessions.live, reads),
    health: createHealthBoard(news, now),
    spend: createSpendLedger({
      session: sessions.spend,
      reads,
      clock: options.beats === "none" ? () => clock.now() : null,
    }),
    fleet: createFleet({ doors, reads }, now),
    leaders,
    rates: createPostgresRates(sessions.rates, clock),
    wakeUp: () => hints.mode,
    async close() {
      await Promise.all([leaders.close(), news.close(), store.close()]);
      await sessions.closeRest();
    },
  };
}
