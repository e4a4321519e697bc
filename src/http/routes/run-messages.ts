import { z } from "zod";
import type { Json } from "../../base/json.ts";
import { glance } from "../../operations/admission/glance.ts";
import { cancelRun } from "../../operations/runs/cancel-run.ts";
import { pauseRun } from "../../operations/runs/pause-run.ts";
import { replyToRun } from "../../operations/runs/reply-to-run.ts";
import { resumeRun } from "../../operations/runs/resume-run.ts";
import { sendSignal } from "../../operations/runs/send-signal.ts";
import { CancelRunSchema, EmptyBodySchema, ReplySchema, RunParams, RunSchema, SignalSchema } from "../api.ts";
import { valueOrThrow } from "../errors.ts";
import { doerOf } from "../identity.ts";
import type { App, RouteParts } from "../parts.ts";
import { presentRun } from "../present.ts";
import { failures } from "./responses.ts";

/** A body that may be left out altogether. */
const orNothing = <T extends z.ZodType>(schema: T) => z.preprocess((body) => body ?? {}, schema);

const described = {
  tags: ["runs"],
  description: "Stored when answered; the run acts on it at its next safe point.",
  params: RunParams,
  response: { 202: RunSchema, ...failures(400, 404, 409, 413, 415, 429, 503) },
};

/** What can be said to a run that exists: each leaves a message, none waits for what comes of it. */
export function runMessageRoutes(app: App, parts: RouteParts): void {
  app.post(
    "/runs/:id/cancel",
    {
      schema: {
        ...described,
        operationId: "cancelRun",
        summary: "Cancel a run",
        body: orNothing(CancelRunSchema),
      },
    },
    async (request, reply) => {
      const { reason } = request.body;
      const given = reason === undefined ? {} : { reason };
      const run = await cancelRun(parts, { run: request.params.id, from: doerOf(request), ...given });
      return reply.code(202).send(presentRun(valueOrThrow(run), await glance(parts)));
    },
  );

  for (const [name, summary, operation] of [
    ["pause", "Pause a run: no further step begins", pauseRun],
    ["resume", "Resume a paused run", resumeRun],
  ] as const) {
    app.post(
      `/runs/:id/${name}`,
      {
        schema: { ...described, operationId: `${name}Run`, summary, body: orNothing(EmptyBodySchema) },
      },
      async (request, reply) => {
        const run = await operation(parts, { run: request.params.id, from: doerOf(request) });
        return reply.code(202).send(presentRun(valueOrThrow(run), await glance(parts)));
      },
    );
  }

  app.post(
    "/runs/:id/signals",
    {
      schema: { ...described, operationId: "sendSignal", summary: "Send a run a signal", body: SignalSchema },
    },
    async (request, reply) => {
      const { name, body, id } = request.body;
      const known = id === undefined ? {} : { id };
      const run = await sendSignal(parts, {
        run: request.params.id,
        name,
        body: body as Json,
        ...known,
        from: doerOf(request),
      });
      return reply.code(202).send(presentRun(valueOrThrow(run), await glance(parts)));
    },
  );

  app.post(
    "/runs/:id/replies",
    {
      schema: { ...described, operationId: "replyToRun", summary: "Reply to a live run", body: ReplySchema },
    },
    async (request, reply) => {
      const { text, id } = request.body;
      const known = id === undefined ? {} : { id };
      const run = await replyToRun(parts, { run: request.params.id, text, ...known, from: doerOf(request) });
      return reply.code(202).send(presentRun(valueOrThrow(run), await glance(parts)));
    },
  );
}
