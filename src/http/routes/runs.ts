import type { Json } from "../../base/json.ts";
import type { RunFilter } from "../../contracts/run-store.ts";
import { glance } from "../../operations/admission/glance.ts";
import { listRuns } from "../../operations/runs/list-runs.ts";
import { runDetail } from "../../operations/runs/run-detail.ts";
import { startRun } from "../../operations/runs/start-run.ts";
import {
  RunDetailSchema,
  RunListQuery,
  RunPageSchema,
  RunParams,
  RunSchema,
  StartRunHeaders,
  StartRunSchema,
} from "../api.ts";
import { valueOrThrow } from "../errors.ts";
import type { App, RouteParts } from "../parts.ts";
import { presentDetail, presentListedRun, presentRun } from "../present.ts";
import { wishesIn } from "../wishes.ts";
import { failures } from "./responses.ts";

const tags = ["runs"];

export function runRoutes(app: App, parts: RouteParts): void {
  app.post(
    "/runs",
    {
      schema: {
        tags,
        operationId: "startRun",
        summary: "Start a run",
        description: "Accepted when answered: the run is stored and will be driven. `Location` names it.",
        headers: StartRunHeaders,
        body: StartRunSchema,
        response: { 202: RunSchema, ...failures(400, 404, 409, 413, 415, 422, 429, 503) },
      },
    },
    async (request, reply) => {
      const { inputs, budget } = request.body;
      const key = request.headers["idempotency-key"];
      const started = valueOrThrow(
        await startRun(parts, {
          workflow: request.body.workflow,
          inputs: inputs as Json,
          ...wishesIn(request.body),
          ...(key === undefined ? {} : { idempotencyKey: key }),
          ...(budget === undefined ? {} : { budget }),
          caller: request.caller,
        }),
      );
      reply.header("location", `/runs/${started.run.id}`);
      if (!started.created) reply.header("idempotency-replayed", "true");
      return reply.code(202).send(presentRun(started.run, await glance(parts)));
    },
  );

  app.get(
    "/runs",
    {
      schema: {
        tags,
        operationId: "listRuns",
        summary: "List runs, newest first",
        querystring: RunListQuery,
        response: { 200: RunPageSchema, ...failures(400, 503) },
      },
    },
    async (request) => {
      const { status, workflow, tenant, parent, after, limit } = request.query;
      const filter: RunFilter = {
        ...(status === undefined ? {} : { status }),
        ...(workflow === undefined ? {} : { workflow }),
        ...(tenant === undefined ? {} : { tenant }),
        ...(parent === undefined ? {} : { parent }),
      };
      const page = valueOrThrow(
        await listRuns(parts, {
          filter,
          ...(after === undefined ? {} : { after }),
          ...(limit === undefined ? {} : { limit }),
        }),
      );
      const seen = await glance(parts);
      return { runs: page.runs.map((run) => presentListedRun(run, seen)), next_after: page.nextAfter };
    },
  );

  app.get(
    "/runs/:id",
    {
      schema: {
        tags,
        operationId: "getRun",
        summary: "A run with its steps, waits, approvals, artifacts, usage and progress",
        params: RunParams,
        response: { 200: RunDetailSchema, ...failures(404, 503) },
      },
    },
    async (request) =>
      presentDetail(valueOrThrow(await runDetail(parts, request.params.id)), await glance(parts)),
  );
}
