import type { FastifyReply } from "fastify";
import { z } from "zod";
import { fail } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import { hasRunEnded } from "../../domain/run.ts";
import { findRun } from "../../operations/runs/find-run.ts";
import { followRun, type RunEvent } from "../../operations/runs/follow-run.ts";
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
import { presentLive } from "../present.ts";
import { presentEvent } from "../present-event.ts";
import { type EventStream, openEventStream } from "../sse.ts";
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
      return stream(parts, reply, { run, after });
    },
  );
}

function wantsStream(accept: string | undefined): boolean {
  return accept?.toLowerCase().includes("text/event-stream") ?? false;
}

async function nothingFollows(parts: RouteParts, run: string, after: number): Promise<boolean> {
  const page = valueOrThrow(await runEvents(parts, { run, after, limit: 1 }));
  return page.ended && page.facts.length === 0;
}

async function stream(
  parts: RouteParts,
  reply: FastifyReply,
  { run, after }: { readonly run: string; readonly after: number },
): Promise<FastifyReply> {
  if (parts.streams.size >= LIMITS.eventStreams) {
    return valueOrThrow(
      fail(
        "too_many_streams",
        `${parts.streams.size} event streams are open, which is as many as there may be.`,
      ),
    );
  }
  const controller = new AbortController();
  parts.streams.add(controller);
  try {
    const { signal } = controller;
    const events = valueOrThrow(await followRun(parts, { run, after, live: true, signal }));
    reply.hijack();
    const sse = openEventStream(reply.raw, {
      ...parts.times,
      clock: parts.clock,
      headers: headersOf(reply),
      onGone: () => controller.abort(),
    });
    // Wakes a stream that waits for a slow reader when the server stops.
    signal.addEventListener("abort", () => sse.close(), { once: true });
    try {
      await pump(parts, sse, { run, after, events, signal });
    } catch (error) {
      // The answer has begun, so that no status can tell it any more: the reader comes again and is told then.
      reply.log.error({ err: error, run }, "event stream broken off");
    }
    sse.close();
    return reply;
  } finally {
    parts.streams.delete(controller);
  }
}

async function pump(
  parts: RouteParts,
  stream: EventStream,
  follow: {
    readonly run: string;
    readonly after: number;
    readonly events: AsyncGenerator<RunEvent>;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  let lastSeq = follow.after;
  for await (const event of follow.events) {
    const taken =
      event.kind === "fact"
        ? await stream.send({ id: event.fact.seq, event: event.fact.kind, data: presentEvent(event.fact) })
        : await stream.send({ event: "live", data: presentLive(event.event) });
    if (!taken) return;
    if (event.kind === "fact") lastSeq = event.fact.seq;
  }
  if (follow.signal.aborted) return;
  const run = valueOrThrow(await findRun(parts, follow.run));
  if (hasRunEnded(run.status))
    await stream.send({ event: "end", data: { status: run.status, last_seq: lastSeq } });
}

/** Headers that hooks have set (request id, security): a hijacked answer must carry them itself. */
function headersOf(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]));
}
