import { fail, ok, type Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import { type Firing, jitterOf, type Schedule, type ScheduleEvent } from "../../domain/schedule.ts";
import { asResult } from "../as-result.ts";
import { pageLimit } from "../page-limit.ts";
import type { Parts } from "../parts.ts";

/** A due time ahead, and when its run starts: later by its jitter. */
export interface Ahead {
  readonly dueAt: number;
  readonly startAt: number;
}

export interface ScheduleView {
  readonly schedule: Schedule;
  /** Due times ahead; none of a schedule that is not active. */
  readonly ahead: readonly Ahead[];
}

export interface ScheduleDetail extends ScheduleView {
  /** Newest due time first. */
  readonly firings: readonly Firing[];
  /** Newest first. */
  readonly events: readonly ScheduleEvent[];
}

type Needs = Pick<Parts, "clock" | "schedules" | "calendar">;

const SHOWN_ONE = 1;
const SHOWN_FIRINGS = 20;

export function listSchedules(
  parts: Needs,
  query: { readonly workflow?: string; readonly after?: string; readonly limit?: number },
): Promise<Result<{ readonly schedules: readonly ScheduleView[]; readonly nextAfter: string | null }>> {
  return asResult(async () => {
    const { workflow, after } = query;
    const limit = pageLimit(query.limit);
    const found = await parts.schedules.list({
      ...(workflow === undefined ? {} : { workflow }),
      after: after ?? null,
      limit,
    });
    const schedules = found.map((schedule) => viewOf(parts, schedule, SHOWN_ONE));
    return ok({ schedules, nextAfter: found.length < limit ? null : (found.at(-1)?.id ?? null) });
  });
}

/** One schedule with what it did and what it will do; `next` due times ahead. */
export function showSchedule(parts: Needs, id: string, next?: number): Promise<Result<ScheduleDetail>> {
  return asResult(async () => {
    const schedule = await parts.schedules.byId(id);
    if (schedule === null) return unknownSchedule(id);
    const count = Math.min(next ?? 5, LIMITS.scheduleAhead);
    return ok({
      ...viewOf(parts, schedule, count),
      firings: await parts.schedules.firings(id, SHOWN_FIRINGS),
      events: await parts.schedules.events(id, SHOWN_FIRINGS),
    });
  });
}

export function viewOf({ clock, calendar }: Needs, schedule: Schedule, count: number): ScheduleView {
  const ahead: Ahead[] = [];
  if (schedule.status !== "active") return { schedule, ahead };
  const { cron, timezone } = schedule.spec;
  // What is due and not looked at yet is not ahead.
  let due = calendar.next(cron, timezone, Math.max(schedule.cursorAt, clock.now()));
  while (due !== null && ahead.length < count) {
    const following = calendar.next(cron, timezone, due);
    ahead.push({ dueAt: due, startAt: due + jitterOf(schedule, due, following) });
    due = following;
  }
  return { schedule, ahead };
}

export function unknownSchedule(id: string): Result<never> {
  return fail("not_found", `There is no schedule ${JSON.stringify(id)}.`, { schedule: id });
}
