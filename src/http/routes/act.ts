import type { FastifyReply } from "fastify";
import { z } from "zod";
import { parseDuration } from "../../base/duration.ts";
import type { JsonObject } from "../../base/json.ts";
import type { Fact } from "../../domain/fact.ts";
import { LIMITS } from "../../domain/limits.ts";
import { hasRunEnded } from "../../domain/run.ts";
import { glance } from "../../operations/admission/glance.ts";
import { act } from "../../operations/intake/act.ts";
import { type FoundAct, findAct } from "../../operations/intake/find-act.ts";
import { waitForEnd } from "../../operations/runs/wait-for-end.ts";
import {
  ActParams,
  ActQuery,
  ActRequestHeaders,
  ActRequestSchema,
  ActSchema,
  EventHeaders,
  EventSchema,
  LiveEventSchema,
  StreamEndSchema,
} from "../api.ts";
import { valueOrThrow } from "../errors.ts";
import type { App, RouteParts } from "../parts.ts";
import { readPrefer } from "../prefer.ts";
import { actPath, presentAct } from "../present-act.ts";
import { nothingFollows, streamRun, takePlace, wantsStream } from "../stream-run.ts";
import { wishesIn } from "../wishes.ts";
import { failures } from "./responses.ts";

const tags = ["act"];
const MS = 1_000;
const MOST_SECONDS = LIMITS.longPollMs / MS;

const POST_DESCRIPTION = `Finds the workflow or agent that a request is for and starts it: \`202\`, and \`Location\` says where its state is.
How it was understood, with every candidate's score, is kept in the run. When it is not sure it starts nothing and asks:
\`intent_ambiguous\` with the candidates, or \`intent_unknown\`. With \`Prefer: wait=N\` the answer waits for the end, N seconds
at most, and is \`200\` when it came in time.`;
const GET_DESCRIPTION = `\`accepted\` → \`running\` → \`completed\`, \`failed\` or \`canceled\`. \`wait\` holds the answer until the end, for a while.
With \`Accept: text/event-stream\` the events of the run as at \`/runs/{id}/events\`, and \`event: state\` (data: Act, no id) at
the beginning and whenever the state has changed.`;

export function actRoutes(app: App, parts: RouteParts): void {
  postAct(app, parts);
  getAct(app, parts);
}

function postAct(app: App, parts: RouteParts): void {
  app.post(
    "/v1/act",
    {
      schema: {
        tags,
        operationId: "act",
        summary: "Do what is asked for, in free words or by name",
        description: POST_DESCRIPTION,
        headers: ActRequestHeaders,
        body: ActRequestSchema,
        response: {
          200: ActSchema.meta({ description: "It had ended within the time of `Prefer: wait`." }),
          202: ActSchema,
          ...failures(400, 404, 409, 413, 415, 422, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const { text, workflow, agent, inputs, budget } = request.body;
      const key = request.headers["idempotency-key"];
      const prefer = readPrefer(request.headers.prefer, MOST_SECONDS);
      const acted = valueOrThrow(
        await act(parts, {
          inputs: inputs as JsonObject,
          ...(text === undefined ? {} : { text }),
          ...(workflow === undefined ? {} : { workflow }),
          ...(agent === undefined ? {} : { agent }),
          ...wishesIn(request.body),
          ...(budget === undefined ? {} : { budget }),
          ...(key === undefined ? {} : { idempotencyKey: key }),
          caller: request.caller,
        }),
      );
      reply.header("location", actPath(acted.run.id));
      if (!acted.created) reply.header("idempotency-replayed", "true");
      const { waitSeconds, respondAsync } = prefer;
      if (waitSeconds === null) {
        if (respondAsync) reply.header("preference-applied", "respond-async");
        return reply.code(202).send(presentAct(acted, await glance(parts)));
      }
      const found = await held(parts, reply, { found: acted, ms: waitSeconds * MS });
      reply.header("preference-applied", `wait=${waitSeconds}`);
      return reply
        .code(hasRunEnded(found.run.status) ? 200 : 202)
        .send(presentAct(found, await glance(parts)));
    },
  );
}

function getAct(app: App, parts: RouteParts): void {
  app.get(
    "/v1/act/:id",
    {
      exposeHeadRoute: false,
      schema: {
        tags,
        operationId: "getAct",
        summary: "The state of a request",
        description: GET_DESCRIPTION,
        params: ActParams,
        querystring: ActQuery,
        headers: EventHeaders,
        response: {
          200: {
            description: "The state, or the stream.",
            content: {
              "application/json": { schema: ActSchema },
              "text/event-stream": {
                schema: z.union([ActSchema, EventSchema, LiveEventSchema, StreamEndSchema]),
              },
            },
          },
          204: z.null().meta({ description: "The run has ended, and nothing follows Last-Event-ID." }),
          ...failures(400, 404, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const found = valueOrThrow(await findAct(parts, request.params.id));
      if (wantsStream(request.headers.accept)) {
        return stream(parts, reply, { found, lastId: request.headers["last-event-id"] });
      }
      const { wait } = request.query;
      if (wait === undefined) return presentAct(found, await glance(parts));
      return presentAct(
        await held(parts, reply, { found, ms: parseDuration(wait) ?? 0 }),
        await glance(parts),
      );
    },
  );
}

/** As it is at its end or after `ms`; it was stored, so whoever cannot be held any more is told how it stands now. */
async function held(
  parts: RouteParts,
  reply: FastifyReply,
  { found, ms }: { readonly found: FoundAct; readonly ms: number },
): Promise<FoundAct> {
  if (hasRunEnded(found.run.status) || ms === 0 || parts.streams.size >= LIMITS.eventStreams) return found;
  const place = takePlace(parts);
  reply.raw.once("close", () => place.abort());
  try {
    const { signal } = place;
    return { ...found, run: valueOrThrow(await waitForEnd(parts, { run: found.run.id, ms, signal })) };
  } finally {
    parts.streams.delete(place);
  }
}

async function stream(
  parts: RouteParts,
  reply: FastifyReply,
  { found, lastId }: { readonly found: FoundAct; readonly lastId: string | undefined },
): Promise<FastifyReply> {
  const run = found.run.id;
  const after = Number(lastId ?? 0);
  if (lastId !== undefined && (await nothingFollows(parts, run, after))) return reply.code(204).send(null);
  let told: string | null = null;
  const beside = async (fact: Fact | null) => {
    if (fact !== null && !fact.kind.startsWith("run_")) return null;
    const now = presentAct(
      fact === null ? found : valueOrThrow(await findAct(parts, run)),
      await glance(parts),
    );
    if (now.state === told) return null;
    told = now.state;
    return { event: "state", data: now };
  };
  return streamRun(parts, reply, { run, after, beside });
}
