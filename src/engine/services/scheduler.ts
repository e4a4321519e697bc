import type { Clock } from "../../base/clock.ts";
import type { Calendar } from "../../contracts/calendar.ts";
import type { Log } from "../../contracts/log.ts";
import type { RunStore } from "../../contracts/run-store.ts";
import type { ScheduleStore } from "../../contracts/schedule-store.ts";
import type { Chore } from "../../contracts/service.ts";
import { type Failure, FailureError, type Result } from "../../domain/errors.ts";
import type { RunRequest } from "../../domain/fact.ts";
import { LIMITS } from "../../domain/limits.ts";
import { type Firing, firingKey, planSchedule, type Schedule } from "../../domain/schedule.ts";

const ROUND_MS = 500;
const SCHEDULES = 100;
const FIRINGS = 1_000;
/** Looks of one round: a schedule that was missed for years is caught up with in several. */
const LOOKS = 100;

export interface SchedulerParts {
  readonly schedules: ScheduleStore;
  readonly calendar: Calendar;
  readonly store: Pick<RunStore, "admit" | "post">;
  readonly clock: Clock;
  readonly log: Log;
  readonly newRunId: () => string;
  /** Hex sha-256. */
  readonly hash: (text: string) => string;
  /** The checked request of a run of the workflow's newest version. */
  readonly prepare: (schedule: Schedule) => Promise<Result<RunRequest>>;
}

/**
 * Starts runs by the clock. Any number of processes may do it at the same time, and each may die at any instant: a
 * due time is one row, whoever writes it first; its decision and its run's id are written before the run is
 * admitted; and the admission is idempotent.
 */
export function scheduler(parts: SchedulerParts): Chore {
  return {
    name: "scheduler",
    everyMs: ROUND_MS,
    runOnce: async () => {
      for (let look = 0; look < LOOKS; look += 1) if (!(await advance(parts))) break;
      for (const firing of await parts.schedules.open(FIRINGS)) await carryOut(parts, firing);
    },
  };
}

/** Looks at what is due now; whether there may be more. */
async function advance(parts: SchedulerParts): Promise<boolean> {
  const { schedules, calendar, clock } = parts;
  const now = clock.now();
  const due = await schedules.due(now, SCHEDULES);
  let moved = false;
  for (const schedule of due) {
    const { cron, timezone } = schedule.spec;
    const plan = planSchedule(schedule, now, (after) => calendar.next(cron, timezone, after));
    if (await schedules.advance(schedule.id, { from: schedule.cursorAt, plan, at: now })) moved = true;
  }
  return moved;
}

/** One firing to its end; what goes wrong with it is its own affair, unless the store is gone. */
async function carryOut(parts: SchedulerParts, firing: Firing): Promise<void> {
  try {
    const schedule = await parts.schedules.byId(firing.schedule);
    if (schedule === null) return;
    const decided = firing.state === "due" ? await decide(parts, schedule, firing) : firing;
    if (decided?.state === "starting" && decided.run !== null)
      await begin(parts, schedule, { ...decided, run: decided.run });
  } catch (error) {
    if (error instanceof FailureError) throw error;
    parts.log.warn({ firing: firingKey(firing), error: String(error) }, "a firing failed and is tried again");
  }
}

/** Start or skip: written down before anything happens, so that all who look decide the same. */
async function decide(parts: SchedulerParts, schedule: Schedule, firing: Firing): Promise<Firing | null> {
  const { schedules, clock } = parts;
  const at = clock.now();
  const skip = (detail: string) =>
    schedules.settle(firing, ["due"], { state: "skipped", run: null, detail, at });
  if (schedule.status === "removed") return skip("the schedule was removed");
  if (schedule.spec.overlap === "skip") {
    const [open] = await schedules.openRuns(schedule.id, firing.dueAt);
    if (open !== undefined) return skip(`${open} had not ended`);
  }
  return schedules.settle(firing, ["due"], { state: "starting", run: parts.newRunId(), detail: null, at });
}

async function begin(
  parts: SchedulerParts,
  schedule: Schedule,
  firing: Firing & { readonly run: string },
): Promise<void> {
  const { clock, store } = parts;
  const prepared = await parts.prepare(schedule);
  if (!prepared.ok) return fail(parts, firing, prepared.failure);
  if (schedule.spec.overlap === "cancel_older") await cancelOlder(parts, firing);
  const key = firingKey(firing);
  const request = { ...prepared.value, schedule: { id: firing.schedule, dueAt: firing.dueAt } };
  const idempotency = { key, bodyHash: parts.hash(key) };
  const [admitted] = await store.admit([{ id: firing.run, request, idempotency, at: clock.now() }]);
  if (admitted === undefined) throw new Error("the store gave no answer to an admission");
  if (admitted.kind === "refused") return fail(parts, firing, admitted.failure);
  if (admitted.id !== firing.run) {
    const detail = `the idempotency key ${key} is ${admitted.id}'s`;
    return settle(parts, firing, { state: "refused", detail });
  }
  await settle(parts, firing, { state: "started", detail: null });
}

/** What may pass is tried again for a while. */
async function fail(parts: SchedulerParts, firing: Firing, failure: Failure): Promise<void> {
  const waited = parts.clock.now() - firing.at;
  if (failure.retryable && waited < LIMITS.scheduleRetryMs) return;
  parts.log.warn({ firing: firingKey(firing), ...failure }, "a scheduled run could not be started");
  await settle(parts, firing, { state: "refused", detail: `${failure.code}: ${failure.message}` });
}

async function settle(
  { schedules, clock }: SchedulerParts,
  firing: Firing,
  to: Pick<Firing, "state" | "detail">,
): Promise<void> {
  await schedules.settle(firing, ["starting"], { ...to, run: firing.run, at: clock.now() });
}

async function cancelOlder({ schedules, store, clock }: SchedulerParts, firing: Firing): Promise<void> {
  const open = await schedules.openRuns(firing.schedule, firing.dueAt);
  if (open.length === 0) return;
  const by = firingKey(firing);
  const message = { id: `${by}:cancel`, kind: "cancel", name: "cancel", from: by, at: clock.now() } as const;
  const body = { reason: "a later run of the same schedule begins" };
  await store.post(open.map((run) => ({ ...message, run, body })));
}
