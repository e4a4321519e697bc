import { z } from "zod";
import { LIMITS } from "../../domain/limits.ts";
import { CATCH_UP, OVERLAP } from "../../domain/schedule.ts";
import { count, json, jsonObject, moment, paging } from "./shared.ts";

const scheduleId = z.string().min(1).max(100);

export const AddScheduleSchema = z
  .strictObject({
    workflow: z
      .string()
      .min(1)
      .max(200)
      .meta({ description: "Name; its newest version is started each time." }),
    cron: z
      .string()
      .min(1)
      .max(200)
      .meta({ description: "Minute, hour, day of month, month, day of week: `0 3 * * MON-FRI`." }),
    timezone: z.string().min(1).max(100).optional().meta({ description: "An IANA name; `UTC` when absent." }),
    catch_up: z
      .enum(CATCH_UP)
      .optional()
      .meta({ description: "What becomes of due times that nobody was there for; `last` when absent." }),
    jitter: z.string().min(1).max(64).optional().meta({ description: "A duration of at most 24h." }),
    overlap: z
      .enum(OVERLAP)
      .optional()
      .meta({ description: "What happens while an earlier run is open; `skip` when absent." }),
    inputs: jsonObject().default({}),
    title: z.string().min(1).max(LIMITS.titleChars).optional(),
    priority: z
      .int()
      .min(0)
      .max(LIMITS.priorities - 1)
      .optional(),
  })
  .meta({ id: "AddSchedule" });
export type AddScheduleBody = z.input<typeof AddScheduleSchema>;

const scheduleFields = {
  id: scheduleId,
  workflow: z.string(),
  origin: z.enum(["workflow", "api"]),
  status: z.enum(["active", "paused", "removed"]),
  cron: z.string(),
  timezone: z.string(),
  catch_up: z.enum(CATCH_UP),
  jitter_ms: count(),
  overlap: z.enum(OVERLAP),
  inputs: json(),
  created_at: moment(),
  created_by: z.string(),
  /** The last due time that was decided. */
  decided_until: moment(),
  next: z
    .array(z.object({ due_at: moment(), start_at: moment() }))
    .meta({ description: "Due times ahead, and when their runs start: later by the jitter." }),
};

export const ScheduleSchema = z.object(scheduleFields).meta({ id: "Schedule" });
export type Schedule = z.infer<typeof ScheduleSchema>;

export const ScheduleDetailSchema = z
  .object({
    ...scheduleFields,
    firings: z.array(
      z.object({
        due_at: moment(),
        state: z
          .enum(["due", "starting", "started", "skipped", "refused"])
          .meta({ description: "`starting`: its run is chosen and not surely admitted yet." }),
        run: z.string().nullable(),
        detail: z.string().nullable(),
        at: moment(),
      }),
    ),
    events: z.array(
      z.object({
        seq: count(),
        at: moment(),
        kind: z.enum(["created", "paused", "resumed", "removed", "missed"]),
        by: z.string(),
        detail: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: "ScheduleDetail" });
export type ScheduleDetail = z.infer<typeof ScheduleDetailSchema>;

export const ScheduleListQuery = z.strictObject({
  workflow: z.string().min(1).max(200).optional(),
  after: scheduleId.optional().meta({ description: "The last id of the page before." }),
  ...paging,
});
export const SchedulePageSchema = z
  .object({ schedules: z.array(ScheduleSchema), next_after: scheduleId.nullable() })
  .meta({ id: "SchedulePage" });
export type SchedulePage = z.infer<typeof SchedulePageSchema>;

export const ScheduleParams = z.object({ id: scheduleId });
export const ScheduleQuery = z.strictObject({
  next: z.coerce
    .number()
    .int()
    .min(0)
    .max(LIMITS.scheduleAhead)
    .optional()
    .meta({ description: "How many due times ahead; 5 when absent." }),
});
