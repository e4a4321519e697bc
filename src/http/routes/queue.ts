import type { FastifyReply } from "fastify";
import { z } from "zod";
import { LIMITS } from "../../domain/limits.ts";
import type { DeskEvent } from "../../operations/admission/desk.ts";
import { queueState } from "../../operations/admission/queue-state.ts";
import { scrape } from "../../operations/metrics/scrape.ts";
import { QueueEventSchema, QueueSchema } from "../api.ts";
import { valueOrThrow } from "../errors.ts";
import type { App, RouteParts } from "../parts.ts";
import { presentQueue, presentQueueEvent } from "../present-queue.ts";
import { openEventStream } from "../sse.ts";
import { headersOf, takePlace } from "../stream-run.ts";
import { failures } from "./responses.ts";

const tags = ["queue"];
const EVENTS = `\`throttled\` for what was turned away, \`dropped_low_priority\` for runs that gave way (data: QueueEvent), as they
happen in the process that answers. They are seen now and not kept; \`/v1/queue\` and \`/metrics\` have their numbers. A slow
reader loses the oldest.`;

export function queueRoutes(app: App, parts: RouteParts): void {
  app.get(
    "/v1/queue",
    {
      schema: {
        tags,
        operationId: "getQueue",
        summary: "How full the queue is, how long it takes, and what was turned away",
        response: { 200: QueueSchema, ...failures(503) },
      },
    },
    async () => presentQueue(valueOrThrow(await queueState(parts))),
  );

  app.get(
    "/v1/queue/events",
    {
      exposeHeadRoute: false,
      schema: {
        tags,
        operationId: "queueEvents",
        summary: "What is turned away, as it happens",
        description: EVENTS,
        response: {
          200: {
            description: "The stream.",
            content: { "text/event-stream": { schema: QueueEventSchema } },
          },
          ...failures(429, 503),
        },
      },
    },
    async (_request, reply) => streamDesk(parts, reply),
  );

  app.get(
    "/metrics",
    {
      exposeHeadRoute: false,
      schema: {
        tags: ["health"],
        operationId: "metrics",
        summary: "Figures of this process and of the queue, in Prometheus' text format",
        response: {
          200: { description: "Figures.", content: { "text/plain": { schema: z.string() } } },
        },
      },
    },
    async (_request, reply) => {
      const { contentType, body } = valueOrThrow(await scrape(parts));
      return reply.type(contentType).serializer(String).send(body);
    },
  );
}

async function streamDesk(parts: RouteParts, reply: FastifyReply): Promise<FastifyReply> {
  const place = takePlace(parts);
  const { signal } = place;
  const waiting: DeskEvent[] = [];
  let wake = () => {};
  const unwatch = parts.desk.watch((event) => {
    waiting.push(event);
    if (waiting.length > LIMITS.liveBuffer) waiting.shift();
    wake();
  });
  try {
    reply.hijack();
    const sse = openEventStream(reply.raw, {
      ...parts.times,
      clock: parts.clock,
      headers: headersOf(reply),
      onGone: () => place.abort(),
    });
    signal.addEventListener("abort", () => wake(), { once: true });
    while (!signal.aborted) {
      const event = waiting.shift();
      if (event === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else if (!(await sse.send({ event: event.kind, data: presentQueueEvent(event) }))) break;
    }
    sse.close();
    return reply;
  } finally {
    unwatch();
    parts.streams.delete(place);
  }
}
