import { z } from "zod";
import { runEvents } from "../../operations/runs/run-events.ts";
import {
  EventHeaders,
  EventPageSchema,
  EventQuery,
  EventSchema,
  LiveEventSchema,
  RunParams,
  StreamEndSchema,
} from "../api.ts";
import { valueOrThrow } from "../errors.ts";
import type { App, RouteParts } from "../parts.ts";
import { presentEvent } from "../present-event.ts";
import { nothingFollows, streamRun, wantsStream } from "../stream-run.ts";
import { failures } from "./responses.ts";

const DESCRIPTION = `The run's journal. By default a page of JSON. With \`Accept: text/event-stream\` a stream that goes on
until the run has ended: each fact has its \`seq\` as \`id\` and its kind as \`event\`, its data is an Event.
\`event: live\` (data: LiveEvent) has no id: it is seen now and not kept. The last event is \`end\` (data: StreamEnd).
A reader that lost its connection sends \`Last-Event-ID\` and misses nothing; once it has seen all of a run that has
ended it is answered 204, which tells an EventSource to stop.`;

export function eventRoutes(app: App, parts: RouteParts): void {
  app.get(
    "/runs/:id/events",
    {
      exposeHeadRoute: false,
      schema: {
        tags: ["runs"],
        operationId: "runEvents",
        summary: "The events of a run, as a page or as a stream",
        description: DESCRIPTION,
        params: RunParams,
        querystring: EventQuery,
        headers: EventHeaders,
        response: {
          200: {
            description: "A page, or the stream.",
            content: {
              "application/json": { schema: EventPageSchema },
              "text/event-stream": { schema: z.union([EventSchema, LiveEventSchema, StreamEndSchema]) },
            },
          },
          204: z.null().meta({ description: "The run has ended, and nothing follows Last-Event-ID." }),
          ...failures(400, 404, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const run = request.params.id;
      const lastId = request.headers["last-event-id"];
      const after = lastId === undefined ? request.query.after : Number(lastId);
      if (!wantsStream(request.headers.accept)) {
        const { limit } = request.query;
        const page = await runEvents(parts, { run, after, ...(limit === undefined ? {} : { limit }) });
        const { facts, nextAfter, ended } = valueOrThrow(page);
        return { events: facts.map(presentEvent), next_after: nextAfter, ended };
      }
      if (lastId !== undefined && (await nothingFollows(parts, run, after)))
        return reply.code(204).send(null);
      return streamRun(parts, reply, { run, after });
    },
  );
}
