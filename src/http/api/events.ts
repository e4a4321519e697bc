import { z } from "zod";
import { RUN_STATUSES } from "../../domain/run.ts";
import { count, jsonObject, moment, paging } from "./shared.ts";

export const EventSchema = z
  .object({
    seq: z.int().min(1),
    at: moment(),
    kind: z.string(),
    step: z.string().nullable(),
    text: z
      .string()
      .nullable()
      .meta({ description: "One line for people; null for what only the engine reads." }),
    data: jsonObject().meta({ description: "The fact's own fields." }),
  })
  .meta({ id: "Event", description: "One fact of a run's journal." });
export type Event = z.infer<typeof EventSchema>;

export const EventPageSchema = z
  .object({
    events: z.array(EventSchema),
    next_after: count().meta({ description: "`after` of the next page." }),
    ended: z.boolean().meta({ description: "Nothing will ever follow this page." }),
  })
  .meta({ id: "EventPage" });
export type EventPage = z.infer<typeof EventPageSchema>;

export const LiveEventSchema = z
  .object({
    step: z.string(),
    name: z.enum(["heartbeat", "delta", "output", "progress"]),
    at: moment(),
    data: jsonObject(),
  })
  .meta({ id: "LiveEvent", description: "Data of `event: live` on the stream: seen now, not kept." });
export type LiveEvent = z.infer<typeof LiveEventSchema>;

export const StreamEndSchema = z
  .object({ status: z.enum(RUN_STATUSES), last_seq: count() })
  .meta({ id: "StreamEnd", description: "Data of the final `event: end` on the stream." });
export type StreamEnd = z.infer<typeof StreamEndSchema>;

export const EventQuery = z.strictObject({
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
  ...paging,
});
export const EventHeaders = z.looseObject({
  accept: z.string().optional(),
  "last-event-id": z
    .string()
    .regex(/^\d{1,15}$/, "expected the seq of an event, a whole number")
    .optional()
    .meta({ description: "Goes before `after`: the stream continues behind this seq." }),
});
