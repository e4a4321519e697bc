import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSqliteStore } from "../../src/adapters/store/sqlite/open.ts";
import type { Run, RunPage, Schedule, ScheduleDetail } from "../../src/http/api.ts";
import { Desk } from "../support/cli.ts";
import { until } from "../support/until.ts";

const HOUR = 3_600_000;
const NIGHTLY = `name: nightly
version: "1"
description: Says good night.
on:
  schedule:
    - cron: "0 * * * *"
      timezone: Europe/Berlin
      inputs: { who: owl }
inputs:
  who: { type: string, required: true }
steps:
  - id: a
    uses: noop
outputs:
  who: \${{ inputs.who }}
`;

describe("agent-runner schedules", () => {
  let desk: Desk;
  beforeEach(() => {
    desk = new Desk();
  });
  afterEach(() => desk.close());
  const list = async () => (await desk.json<{ schedules: Schedule[] }>(["schedules"])).schedules;

  it("adds, lists, pauses, resumes and removes", async () => {
    await desk.json(["upload", desk.file("nightly.yaml", NIGHTLY)]);
    const added = ["schedules", "add", "nightly", "--cron", "30 2 * * SUN", "--timezone", "Asia/Tokyo"];
    const made = await desk.json<Schedule>([
      ...added,
      "-i",
      "who=me",
      "--jitter",
      "1m",
      "--catch-up",
      "none",
    ]);
    expect(made).toMatchObject({
      workflow: "nightly",
      inputs: { who: "me" },
      catch_up: "none",
      jitter_ms: 60_000,
    });
    expect((await desk.run(["schedules", "list"])).stdout).toMatch(
      /nightly +active +30 2 \* \* SUN +Asia\/Tokyo/,
    );
    expect((await desk.run(["schedules", "pause", made.id])).stdout).toBe(`${made.id} is paused\n`);
    expect((await desk.run(["schedules", "resume", made.id])).stdout).toMatch(/is active; next at \d{4}-/);
    const next = (await desk.run(["schedules", "next", made.id, "-n", "4"])).stdout;
    expect(next).toMatch(/paused +by (?!api)\S+/);
    expect(next.match(/due 20/g)).toHaveLength(4);
    await desk.json(["schedules", "remove", made.id]);
    expect((await list()).map(({ origin }) => origin)).toEqual(["workflow"]);
    const bad = await desk.run(["schedules", "add", "nightly", "--cron", "never", "-i", "who=me"]);
    expect(bad.code).toBe(2);
    expect(bad.stderr).toMatch(/five fields/);
  });

  it("starts what was missed while nobody was there, once, with the newest version", async () => {
    await desk.json(["upload", desk.file("nightly.yaml", NIGHTLY)]);
    await desk.json(["upload", desk.file("nightly.yaml", NIGHTLY.replace('version: "1"', 'version: "2"'))]);
    const [schedule] = await list();
    const id = schedule?.id ?? "";
    // As if it had been made three hours ago: it has not moved since.
    const clock = { now: () => Date.now(), after: () => () => undefined };
    const opened = await openSqliteStore({ path: join(desk.data, "agent-runner.db"), clock, beats: "none" });
    const known = await opened.schedules.byId(id);
    if (known === null) throw new Error("no schedule");
    const at = Date.now() - 3 * HOUR;
    await opened.schedules.add({
      ...known,
      id: "sch_past",
      origin: "api",
      cursorAt: at,
      nextAt: at,
      createdAt: at,
    });
    await opened.close();

    const serving = desk.start(["start", "--port", "0"]);
    await serving.says(/agent-runner .* on http/);
    const ran = await until(
      "the run",
      async () => {
        const { runs } = await desk.json<RunPage>(["runs"]);
        return runs.find(({ status }) => status === "completed") ?? null;
      },
      30_000,
    );
    const run = await desk.json<Run>(["show", ran.id]);
    expect(JSON.stringify(run)).toContain("owl");
    const shown = await desk.json<ScheduleDetail>(["schedules", "next", "sch_past"]);
    expect(shown.firings).toMatchObject([{ state: "started", run: ran.id }]);
    expect(Date.parse(shown.firings[0]?.due_at ?? "")).toBeGreaterThan(Date.now() - HOUR - 60_000);
    expect(shown.events[0]).toMatchObject({ kind: "missed", by: "scheduler" });
    expect((await desk.json<RunPage>(["runs"])).runs).toHaveLength(1);
    serving.child.kill("SIGTERM");
    await serving.ended;
  });
});
