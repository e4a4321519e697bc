import type { FastifyReply } from "fastify";
import { fail } from "../domain/errors.ts";
import type { Fact } from "../domain/fact.ts";
import { LIMITS } from "../domain/limits.ts";
import { hasRunEnded } from "../domain/run.ts";
import { findRun } from "../operations/runs/find-run.ts";
import { followRun, type RunEvent } from "../operations/runs/follow-run.ts";
import { runEvents } from "../operations/runs/run-events.ts";
import { valueOrThrow } from "./errors.ts";
import type { RouteParts } from "./parts.ts";
import { presentLive } from "./present.ts";
import { presentEvent } from "./present-event.ts";
import { type EventStream, openEventStream } from "./sse.ts";

export interface RunStream {
  readonly run: string;
  /** Facts with a greater seq are told. */
  readonly after: number;
  /** What else is told: once before anything (`null`) and after each fact. */
  readonly beside?: (fact: Fact | null) => Promise<{ readonly event: string; readonly data: unknown } | null>;
}

export function wantsStream(accept: string | undefined): boolean {
  return accept?.toLowerCase().includes("text/event-stream") ?? false;
}

/** Whether a reader that has seen facts up to `after` has seen all that will ever be. */
export async function nothingFollows(parts: RouteParts, run: string, after: number): Promise<boolean> {
  const page = valueOrThrow(await runEvents(parts, { run, after, limit: 1 }));
  return page.ended && page.facts.length === 0;
}

/** A reader of a stream or of an answer that is waited for holds a place until it is answered. */
export function takePlace(parts: RouteParts): AbortController {
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
  return controller;
}

/** Answers with a run's events as they come, until its end. */
export async function streamRun(
  parts: RouteParts,
  reply: FastifyReply,
  of: RunStream,
): Promise<FastifyReply> {
  const { run, after } = of;
  const controller = takePlace(parts);
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
      await pump(parts, sse, { ...of, events, signal });
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
  follow: RunStream & {
    readonly events: AsyncGenerator<RunEvent>;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  let lastSeq = follow.after;
  const tell = async (fact: Fact | null) => {
    const message = (await follow.beside?.(fact)) ?? null;
    return message === null || (await stream.send(message));
  };
  if (!(await tell(null))) return;
  for await (const event of follow.events) {
    const taken =
      event.kind === "fact"
        ? await stream.send({ id: event.fact.seq, event: event.fact.kind, data: presentEvent(event.fact) })
        : await stream.send({ event: "live", data: presentLive(event.event) });
    if (!taken) return;
    if (event.kind !== "fact") continue;
    lastSeq = event.fact.seq;
    if (!(await tell(event.fact))) return;
  }
  if (follow.signal.aborted) return;
  const run = valueOrThrow(await findRun(parts, follow.run));
  if (hasRunEnded(run.status))
    await stream.send({ event: "end", data: { status: run.status, last_seq: lastSeq } });
}

/** Headers that hooks have set (request id, security): a hijacked answer must carry them itself. */
export function headersOf(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]));
}
