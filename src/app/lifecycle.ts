import { hostname } from "node:os";
import { processStart } from "../adapters/store/sql/process.ts";
import type { SteadyClock } from "../base/steady-clock.ts";
import type { Member, Role } from "../contracts/fleet.ts";
import type { Log } from "../contracts/log.ts";
import type { WorkerInfo } from "../contracts/run-store.ts";
import type { Chore, Service } from "../contracts/service.ts";
import type { Result } from "../domain/errors.ts";
import type { EngineParts } from "../engine/parts.ts";
import { latecomers } from "../engine/services/latecomers.ts";
import { createLeadership } from "../engine/services/leadership.ts";
import { createMembership } from "../engine/services/membership.ts";
import { pruner } from "../engine/services/pruner.ts";
import { repeat } from "../engine/services/repeat.ts";
import { rescuer } from "../engine/services/rescuer.ts";
import { timers } from "../engine/services/timers.ts";
import { Worker } from "../engine/worker.ts";
import type { Steering } from "../operations/fleet/steering.ts";
import type { Config } from "./config.ts";
import type { Database } from "./database.ts";
import { labelsOf } from "./labels.ts";
import { createReload, type Reloadable } from "./reload.ts";
import { ticks } from "./system-clock.ts";
import { productVersion } from "./version.ts";

/** What one process does with its house, from its first breath to its last. */
export interface Life {
  readonly worker: Worker;
  readonly steering: Steering;
  /** The settings in force. */
  config(): Config;
  /** Joins the others and begins what the roles say; those of the settings when absent. */
  start(roles?: readonly Role[]): Promise<void>;
  /** Takes nothing new; what is under way ends within the time for it, or goes on elsewhere. May be called twice. */
  drain(): Promise<void>;
  /** Drains and takes leave. May be called twice. */
  stop(): Promise<void>;
}

export interface LifeParts {
  readonly id: string;
  readonly config: Config;
  /** Reads the settings again; absent where there is nowhere to read them from. */
  readonly settings?: () => Promise<Result<Config>>;
  readonly database: Database;
  readonly clock: SteadyClock;
  readonly log: Log;
  readonly engine: EngineParts;
  /** Of every process that drives runs, for what is only on its own machine. */
  readonly localChores: readonly Chore[];
  /** Of the one process that keeps house, beside timers, rescuer, latecomers and pruner. */
  readonly houseChores: readonly Chore[];
  /** Beside slots, labels, drain and retention. */
  readonly reloadables: readonly Reloadable[];
}

/** The one duty there is: all that must be done once, however many processes there are. */
const HOUSEKEEPING = "housekeeping";
/** A difference of the clocks that somebody should know of. */
const WRONG_CLOCK_MS = 2_000;

export async function createLife(parts: LifeParts): Promise<Life> {
  const { id, database, clock, log, engine } = parts;
  let config = parts.config;
  let roles: readonly Role[] = [];
  let draining = false;
  let drained: Promise<void> | null = null;
  const self = { host: hostname(), pid: process.pid, processStart: processStart(process.pid) };
  const worker = new Worker(engine, { id, ...self, slots: config.slots, labels: await labelsOf(config) });
  const works = () => roles.includes("worker");

  const reload = createReload({
    ...parts,
    worker,
    current: () => config,
    accept: (next) => {
      config = next;
    },
  });
  const membership = createMembership({
    fleet: database.fleet,
    clock,
    log,
    ticks,
    member: () => ({ id, ...self, ...toldOf(worker, roles), draining }),
    onLook: (look) => {
      const moved = clock.correct(look);
      if (Math.abs(moved) >= WRONG_CLOCK_MS)
        log.warn({ ms: Math.round(moved) }, "the database's clock was moved");
    },
    onSlots: (slots) => {
      log.info({ from: worker.slots, to: slots }, "slots changed, as was asked for");
      worker.resize(slots);
    },
    onReload: () => void reload(),
  });
  const leadership = createLeadership({
    leaders: database.leaders,
    clock,
    log,
    duty: HOUSEKEEPING,
    candidate: { member: id, ...self },
    chores: houseChores(parts, self, () => config.retentionMs),
  });
  const neighbours = rescuer(engine, "host");
  const local: readonly Service[] = [neighbours, ...parts.localChores].map((chore) => repeat(engine, chore));

  const drain = async () => {
    // Told at once, so that nobody counts on this process.
    await membership.runOnce().catch(() => undefined);
    await Promise.all([
      leadership.stop(),
      ...local.map((service) => service.stop()),
      worker.stop(config.drainMs),
    ]);
  };
  const life: Life = {
    worker,
    steering: { member: id, draining: () => draining, reload },
    config: () => config,
    async start(asked = config.roles) {
      roles = asked;
      membership.start();
      if (roles.includes("services")) leadership.start();
      if (!works()) return;
      await neighbours.runOnce();
      for (const service of local) service.start();
      worker.start();
    },
    drain() {
      draining = true;
      drained ??= drain();
      return drained;
    },
    async stop() {
      await life.drain();
      await membership.stop();
    },
  };
  return life;
}

function toldOf(
  worker: Worker,
  roles: readonly Role[],
): Pick<Member, "version" | "roles" | "labels" | "slots" | "held"> {
  const { held } = worker;
  const base = { version: productVersion(), roles, held };
  return roles.includes("worker")
    ? { ...base, labels: worker.labels, slots: worker.slots }
    : { ...base, labels: [], slots: 0 };
}

/** What is done once, however many processes there are. */
function houseChores(
  parts: LifeParts,
  self: Pick<WorkerInfo, "host" | "pid" | "processStart">,
  retentionMs: () => number | null,
): readonly Chore[] {
  const { engine, database, clock, log } = parts;
  const prune = pruner({ store: database.store, clock, log, retentionMs });
  const late = latecomers(engine, { id: `${parts.id}.late`, ...self, slots: 0 });
  return [rescuer(engine, "all"), timers(engine), late, prune, ...parts.houseChores];
}
