import type { Firing, Schedule, ScheduleEvent, SchedulePlan } from "../domain/schedule.ts";

/**
 * Schedules, the moments that came, and who changed what. Those of a workflow's file come and go with its newest
 * version: `WorkflowStore.save` writes them in the transaction that makes a version the newest. They begin at that
 * moment, a paused one stays paused, and one that comes back goes on from then.
 */
export interface ScheduleStore {
  /** Resolves to `false` when the id is known: then nothing is changed. */
  add(schedule: Schedule): Promise<boolean>;
  byId(id: string): Promise<Schedule | null>;
  /** By id, from after `after`; without those that were removed. */
  list(query: {
    readonly workflow?: string;
    readonly after: string | null;
    readonly limit: number;
  }): Promise<readonly Schedule[]>;
  /**
   * Pauses, resumes or removes; what it is already, it stays, without an event. A resumed one goes on from `at`: what
   * was due meanwhile is not made up for. Resolves to the schedule as it is then; `null` when it is not known or was removed.
   */
  change(
    id: string,
    to: { readonly status: Schedule["status"]; readonly by: string; readonly at: number },
  ): Promise<Schedule | null>;
  /** Active ones with `nextAt` at or before `now`, the earliest first. */
  due(now: number, limit: number): Promise<readonly Schedule[]>;
  /**
   * Writes what a look came to: a firing for each due time, and the cursor; in one transaction, and only if the
   * schedule is active and its cursor is still at `from`. Resolves to whether it was written.
   */
  advance(
    id: string,
    plan: { readonly from: number; readonly plan: SchedulePlan; readonly at: number },
  ): Promise<boolean>;
  /** Firings in state `due` or `starting`, the earliest first. */
  open(limit: number): Promise<readonly Firing[]>;
  /** Moves a firing forward if it is in one of `from`; resolves to the firing as it is then, `null` when there is none. */
  settle(
    firing: Pick<Firing, "schedule" | "dueAt">,
    from: readonly Firing["state"][],
    to: Pick<Firing, "state" | "run" | "detail" | "at">,
  ): Promise<Firing | null>;
  /** Public ids of runs of this schedule that have not ended, of due times before `dueAt`. */
  openRuns(schedule: string, dueAt: number): Promise<readonly string[]>;
  /** Newest due time first. */
  firings(schedule: string, limit: number): Promise<readonly Firing[]>;
  /** Newest first. */
  events(schedule: string, limit: number): Promise<readonly ScheduleEvent[]>;
}
