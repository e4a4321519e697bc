import type { Json } from "../base/json.ts";
import { LIMITS } from "./limits.ts";

/** What is done about due times that nobody was there for: nothing, the last of them, or all (up to a limit). */
export const CATCH_UP = ["none", "last", "all"] as const;
/** What is done when an earlier run of the same schedule has not ended. */
export const OVERLAP = ["allow", "skip", "cancel_older"] as const;

/** When runs start by themselves: in a workflow's file, or given through the API. */
export interface Trigger {
  /** Five fields: minute, hour, day of month, month, day of week. */
  readonly cron: string;
  /** An IANA name. */
  readonly timezone: string;
  readonly catchUp: (typeof CATCH_UP)[number];
  /** Each due time starts up to so much later, by an offset of its own that never changes. */
  readonly jitterMs: number;
  readonly overlap: (typeof OVERLAP)[number];
  readonly inputs: Json;
}

export interface ScheduleSpec extends Trigger {
  readonly tenant: string;
  readonly queue: string;
  readonly priority: number;
  /** Of its runs; absent: the workflow's own. */
  readonly title?: string;
}

export interface Schedule {
  /** `sch_…` */
  readonly id: string;
  /** Its newest version is started. */
  readonly workflow: string;
  readonly origin: "workflow" | "api";
  readonly spec: ScheduleSpec;
  readonly status: "active" | "paused" | "removed";
  readonly createdAt: number;
  readonly createdBy: string;
  /** The last due time that was decided; only grows. */
  readonly cursorAt: number;
  /** When to look again; `null` when no due time will come. */
  readonly nextAt: number | null;
}

/**
 * One due time that came. `due`: nobody has decided yet; `starting`: the run is chosen and not surely admitted;
 * `started`; `skipped`: an earlier run was open; `refused`: it could not be started.
 */
export interface Firing {
  readonly schedule: string;
  readonly dueAt: number;
  readonly state: "due" | "starting" | "started" | "skipped" | "refused";
  readonly run: string | null;
  /** Why it was skipped or refused. */
  readonly detail: string | null;
  /** Of the last change. */
  readonly at: number;
}

export interface ScheduleEvent {
  readonly seq: number;
  readonly at: number;
  readonly kind: "created" | "paused" | "resumed" | "removed" | "missed";
  readonly by: string;
  readonly detail: string | null;
}

/** What a look at a schedule comes to. */
export interface SchedulePlan {
  /** Due times to fire, ascending. */
  readonly fire: readonly number[];
  /** Due times that are let go, and the first and last of them; `null` for none. */
  readonly missed: { readonly count: number; readonly first: number; readonly last: number } | null;
  readonly cursorAt: number;
  readonly nextAt: number | null;
}

/** Where runs of a workflow's own triggers stand. */
export const TRIGGERED = { tenant: "default", queue: "default", priority: 5 } as const;

const FNV_OFFSET = 2_166_136_261;
const FNV_PRIME = 16_777_619;

/** How much later than its due time a firing starts: below `jitterMs`, and always before the next due time. */
export function jitterOf(schedule: Pick<Schedule, "id" | "spec">, due: number, next: number | null): number {
  const room = Math.min(schedule.spec.jitterMs, next === null ? Number.POSITIVE_INFINITY : next - due);
  if (room <= 0) return 0;
  let hash = FNV_OFFSET;
  for (const char of `${schedule.id} ${due}`) {
    hash = Math.imul(hash ^ (char.codePointAt(0) as number), FNV_PRIME) >>> 0;
  }
  return hash % room;
}

/** Looks at a schedule at `now`: what fires, what is let go, and when to look again. `next` is the calendar's. */
export function planSchedule(
  schedule: Pick<Schedule, "id" | "spec" | "cursorAt">,
  now: number,
  next: (after: number) => number | null,
): SchedulePlan {
  const came: { readonly due: number; readonly late: boolean }[] = [];
  let cursorAt = schedule.cursorAt;
  let due = next(cursorAt);
  let nextAt: number | null = null;
  while (due !== null) {
    const following = next(due);
    const startAt = due + jitterOf(schedule, due, following);
    nextAt = startAt;
    if (startAt > now || came.length === LIMITS.scheduleScan) break;
    came.push({ due, late: now - startAt > LIMITS.scheduleGraceMs });
    cursorAt = due;
    due = following;
    nextAt = null;
  }
  // More have come than one look takes: the next look decides about the last of them.
  const more = nextAt !== null && nextAt <= now;
  const fire = choose(schedule.spec.catchUp, came, more).slice(-LIMITS.scheduleCatchUp);
  const chosen = new Set(fire);
  const gone = came.filter((one) => !chosen.has(one.due)).map((one) => one.due);
  const [first] = gone;
  const last = gone.at(-1);
  const missed = first === undefined || last === undefined ? null : { count: gone.length, first, last };
  return { fire, missed, cursorAt, nextAt };
}

function choose(
  catchUp: Trigger["catchUp"],
  came: readonly { readonly due: number; readonly late: boolean }[],
  more: boolean,
): readonly number[] {
  const all = came.map((one) => one.due);
  if (catchUp === "none") return came.filter((one) => !one.late).map((one) => one.due);
  if (more) return [];
  return catchUp === "last" ? all.slice(-1) : all;
}

/** The idempotency key of a firing's run: however often it is admitted, it is one run. */
export function firingKey(firing: Pick<Firing, "schedule" | "dueAt">): string {
  return `schedule:${firing.schedule}:${firing.dueAt}`;
}

/** What the newest version of a workflow makes of the schedules that earlier ones left. */
export function reconcileSchedules(
  known: readonly Pick<Schedule, "id" | "status">[],
  wanted: readonly string[],
): {
  readonly add: readonly string[];
  readonly revive: readonly string[];
  readonly retire: readonly string[];
} {
  const status = new Map(known.map((one) => [one.id, one.status]));
  return {
    add: wanted.filter((id) => !status.has(id)),
    revive: wanted.filter((id) => status.get(id) === "removed"),
    retire: known.flatMap(({ id, status: is }) => (is === "removed" || wanted.includes(id) ? [] : [id])),
  };
}
