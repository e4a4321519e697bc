import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Door, openDoor } from "../../tests/support/door.suite.ts";
import { GREET } from "../../tests/support/house.suite.ts";
import type { ErrorBody, Schedule, ScheduleDetail, SchedulePage } from "./api.ts";

const HOUR = 3_600_000;

describe("/v1/schedules", () => {
  let door: Door;
  beforeEach(async () => {
    door = await openDoor();
  });
  afterEach(() => door.close());

  async function send<T>(method: "GET" | "POST" | "DELETE", url: string, payload?: object) {
    const headers = { host: "127.0.0.1" };
    const answer = await door.server.app.inject({ method, url, headers, ...(payload && { payload }) });
    return { status: answer.statusCode, headers: answer.headers, body: answer.json() as T };
  }
  const add = (over: object = {}) =>
    send<Schedule & ErrorBody>("POST", "/v1/schedules", {
      workflow: "greet",
      cron: "0 3 * * *",
      inputs: { who: "night" },
      ...over,
    });

  it("adds one, and says when it starts next", async () => {
    const { status, headers, body } = await add({
      timezone: "Europe/Berlin",
      jitter: "5m",
      overlap: "allow",
    });
    expect(status).toBe(201);
    expect(headers.location).toBe(`/v1/schedules/${body.id}`);
    expect(body).toMatchObject({
      workflow: "greet",
      origin: "api",
      status: "active",
      cron: "0 3 * * *",
      timezone: "Europe/Berlin",
      catch_up: "last",
      jitter_ms: 300_000,
      overlap: "allow",
      inputs: { who: "night" },
      created_by: "api",
    });
    const [next] = body.next;
    const [due, start] = [Date.parse(next?.due_at ?? ""), Date.parse(next?.start_at ?? "")];
    expect(due - Date.now()).toBeLessThanOrEqual(25 * HOUR);
    expect(start - due).toBeGreaterThanOrEqual(0);
    expect(start - due).toBeLessThan(300_000);
  });

  it("lists a page at a time, with those of workflow files", async () => {
    const nightly = `${GREET.replace("name: greet", "name: nightly")}on:
  schedule:
    - cron: "30 2 * * *"
      inputs: { who: owl }
`;
    expect((await send("POST", "/workflows", { source: nightly })).status).toBe(201);
    await add();
    const all = (await send<SchedulePage>("GET", "/v1/schedules")).body;
    expect(all.schedules.map(({ workflow, origin }) => `${workflow} ${origin}`).sort()).toEqual([
      "greet api",
      "nightly workflow",
    ]);
    expect(all.next_after).toBeNull();
    const first = (await send<SchedulePage>("GET", "/v1/schedules?limit=1")).body;
    const second = (await send<SchedulePage>("GET", `/v1/schedules?limit=1&after=${first.next_after}`)).body;
    expect([first.schedules[0]?.id, second.schedules[0]?.id]).toEqual(all.schedules.map(({ id }) => id));
    const own = (await send<SchedulePage>("GET", "/v1/schedules?workflow=nightly")).body;
    expect(own.schedules).toHaveLength(1);
    const id = own.schedules[0]?.id;
    // A new version without it ends it; one of a file is not removed otherwise.
    expect(await send("DELETE", `/v1/schedules/${id}`)).toMatchObject({
      status: 409,
      body: { error: { code: "conflict", message: expect.stringContaining("workflow nightly") } },
    });
    await send("POST", "/workflows", { source: GREET.replace("name: greet", "name: nightly") });
    expect((await send<SchedulePage>("GET", "/v1/schedules?workflow=nightly")).body.schedules).toEqual([]);
  });

  it("pauses, resumes and removes, and tells who did", async () => {
    const { id } = (await add()).body;
    const at = (verb: string) => send<Schedule>("POST", `/v1/schedules/${id}/${verb}`);
    expect((await at("pause")).body).toMatchObject({ status: "paused", next: [] });
    const resumed = (await at("resume")).body;
    expect(resumed.status).toBe("active");
    expect(resumed.next).toHaveLength(1);
    expect((await send<Schedule>("DELETE", `/v1/schedules/${id}`)).body.status).toBe("removed");
    expect((await send<Schedule>("DELETE", `/v1/schedules/${id}`)).status).toBe(200);
    expect((await at("resume")).status).toBe(409);
    const shown = (await send<ScheduleDetail>("GET", `/v1/schedules/${id}`)).body;
    expect(shown.events.map(({ kind, by }) => `${kind} by ${by}`)).toEqual([
      "removed by api",
      "resumed by api",
      "paused by api",
      "created by api",
    ]);
    expect((await send<SchedulePage>("GET", "/v1/schedules")).body.schedules).toEqual([]);
  });

  it("shows due times ahead, and what has fired", async () => {
    const { id } = (await add({ cron: "0 * * * *" })).body;
    const now = Date.now();
    const dueAt = now - HOUR;
    const { schedules } = door.sqlite;
    const from = (await schedules.byId(id))?.cursorAt ?? 0;
    const plan = { fire: [dueAt], missed: null, cursorAt: from, nextAt: now };
    await schedules.advance(id, { from, plan, at: now });
    const shown = (await send<ScheduleDetail>("GET", `/v1/schedules/${id}?next=3`)).body;
    expect(shown.next.map((one) => Date.parse(one.due_at) % HOUR)).toEqual([0, 0, 0]);
    expect(shown.firings).toMatchObject([{ state: "due", run: null, due_at: new Date(dueAt).toISOString() }]);
  });

  it.each([
    ["a cron expression", { cron: "61 3 * * *" }, 400, /cron: "61 3 \* \* \*" is no cron expression/],
    ["a day that never comes", { cron: "0 0 31 2 *" }, 400, /never comes/],
    ["a time zone", { timezone: "Mars/Olympus" }, 400, /timezone: "Mars\/Olympus" is no time zone/],
    ["a jitter", { jitter: "soon" }, 400, /jitter is "soon"; expected a duration/],
    ["a long jitter", { jitter: "2d" }, 400, /at most 24h/],
    ["a workflow", { workflow: "nobody" }, 404, /nobody/],
    ["inputs", { inputs: { times: 2 } }, 422, /who/],
    ["another word", { overlap: "queue" }, 400, /overlap/],
    ["an unknown field", { every: "day" }, 400, /every/],
    ["a priority", { priority: 99 }, 400, /priority/],
  ])("refuses what could not be started: %s", async (_, over, status, message) => {
    const answer = await add(over);
    expect(answer.status).toBe(status);
    expect(answer.body.error.message).toMatch(message);
    expect((await send<SchedulePage>("GET", "/v1/schedules")).body.schedules).toEqual([]);
  });

  it("refuses a hash: the newest version is started each time", async () => {
    const { body } = await send<{ hash: string }>("GET", "/workflows/greet");
    expect(await add({ workflow: body.hash })).toMatchObject({ status: 400 });
  });

  it("says so of a schedule that is not there", async () => {
    for (const [method, path] of [
      ["GET", "/v1/schedules/sch_x"],
      ["DELETE", "/v1/schedules/sch_x"],
      ["POST", "/v1/schedules/sch_x/pause"],
    ] as const) {
      expect(await send(method, path)).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
    }
  });
});
