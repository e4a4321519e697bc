import type { Json } from "../../base/json.ts";
import type { Schedule } from "../../domain/schedule.ts";
import type { Caller } from "../../operations/caller.ts";
import { addSchedule } from "../../operations/schedules/add-schedule.ts";
import { changeSchedule } from "../../operations/schedules/change-schedule.ts";
import {
  listSchedules,
  type ScheduleDetail,
  type ScheduleView,
  showSchedule,
} from "../../operations/schedules/list-schedules.ts";
import type * as api from "../api.ts";
import {
  AddScheduleSchema,
  ScheduleDetailSchema,
  ScheduleListQuery,
  SchedulePageSchema,
  ScheduleParams,
  ScheduleQuery,
  ScheduleSchema,
} from "../api.ts";
import { valueOrThrow } from "../errors.ts";
import { doerOf } from "../identity.ts";
import { moment } from "../moments.ts";
import type { App, RouteParts } from "../parts.ts";
import { failures } from "./responses.ts";

const tags = ["schedules"];

export function scheduleRoutes(app: App, parts: RouteParts): void {
  readRoutes(app, parts);
  addRoute(app, parts);
  const change = {
    tags,
    params: ScheduleParams,
    response: { 200: ScheduleSchema, ...failures(404, 409, 503) },
  };
  const changing =
    (status: Schedule["status"]) => async (request: { params: { id: string }; caller: Caller }) =>
      present(valueOrThrow(await changeSchedule(parts, request.params.id, { status, by: doerOf(request) })));
  const pause = { operationId: "pauseSchedule", summary: "Lets due times go until it is resumed" };
  const resume = { operationId: "resumeSchedule", summary: "Goes on from now" };
  const remove = {
    operationId: "removeSchedule",
    summary: "Ends a schedule that was made here; its firings stay",
  };
  app.post("/v1/schedules/:id/pause", { schema: { ...change, ...pause } }, changing("paused"));
  app.post("/v1/schedules/:id/resume", { schema: { ...change, ...resume } }, changing("active"));
  app.delete("/v1/schedules/:id", { schema: { ...change, ...remove } }, changing("removed"));
}

function readRoutes(app: App, parts: RouteParts): void {
  app.get(
    "/v1/schedules",
    {
      schema: {
        tags,
        operationId: "listSchedules",
        summary: "What starts by the clock, with its next due time",
        querystring: ScheduleListQuery,
        response: { 200: SchedulePageSchema, ...failures(400, 503) },
      },
    },
    async (request) => {
      const { workflow, after, limit } = request.query;
      const page = valueOrThrow(
        await listSchedules(parts, {
          ...(workflow === undefined ? {} : { workflow }),
          ...(after === undefined ? {} : { after }),
          ...(limit === undefined ? {} : { limit }),
        }),
      );
      return { schedules: page.schedules.map(present), next_after: page.nextAfter };
    },
  );

  app.get(
    "/v1/schedules/:id",
    {
      schema: {
        tags,
        operationId: "getSchedule",
        summary: "One schedule: what it did, what it will do, and who changed it",
        params: ScheduleParams,
        querystring: ScheduleQuery,
        response: { 200: ScheduleDetailSchema, ...failures(400, 404, 503) },
      },
    },
    async (request) =>
      presentDetail(valueOrThrow(await showSchedule(parts, request.params.id, request.query.next))),
  );
}

function addRoute(app: App, parts: RouteParts): void {
  app.post(
    "/v1/schedules",
    {
      schema: {
        tags,
        operationId: "addSchedule",
        summary: "Start a workflow by the clock from now on",
        description: "Those that stand in a workflow's file come and go with its newest version.",
        body: AddScheduleSchema,
        response: { 201: ScheduleSchema, ...failures(400, 404, 413, 415, 422, 503) },
      },
    },
    async (request, reply) => {
      const { workflow, cron, timezone, catch_up, jitter, overlap, inputs, title, priority } = request.body;
      const added = await addSchedule(parts, {
        workflow,
        cron,
        inputs: inputs as Json,
        by: doerOf(request),
        ...(timezone === undefined ? {} : { timezone }),
        ...(catch_up === undefined ? {} : { catchUp: catch_up }),
        ...(jitter === undefined ? {} : { jitter }),
        ...(overlap === undefined ? {} : { overlap }),
        ...(title === undefined ? {} : { title }),
        ...(priority === undefined ? {} : { priority }),
      });
      const { id } = valueOrThrow(added);
      const shown = present(valueOrThrow(await showSchedule(parts, id)));
      return reply
        .code(201)
        .header("location", `/v1/schedules/${encodeURIComponent(id)}`)
        .send(shown);
    },
  );
}

function present({ schedule, ahead }: ScheduleView): api.Schedule {
  const { id, workflow, origin, status, spec, createdAt, createdBy, cursorAt } = schedule;
  return {
    id,
    workflow,
    origin,
    status,
    cron: spec.cron,
    timezone: spec.timezone,
    catch_up: spec.catchUp,
    jitter_ms: spec.jitterMs,
    overlap: spec.overlap,
    inputs: spec.inputs,
    created_at: moment(createdAt),
    created_by: createdBy,
    decided_until: moment(cursorAt),
    next: ahead.map(({ dueAt, startAt }) => ({ due_at: moment(dueAt), start_at: moment(startAt) })),
  };
}

function presentDetail(detail: ScheduleDetail): api.ScheduleDetail {
  return {
    ...present(detail),
    firings: detail.firings.map(({ dueAt, state, run, detail: why, at }) => ({
      due_at: moment(dueAt),
      state,
      run,
      detail: why,
      at: moment(at),
    })),
    events: detail.events.map((event) => ({ ...event, at: moment(event.at) })),
  };
}
