import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPostgresStore, type PostgresStore } from "../../src/adapters/store/postgres/open.ts";
import type { Schedule } from "../../src/domain/schedule.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const SCRIPT = fileURLToPath(new URL("schedule-and-die.ts", import.meta.url));
const HOUR = 3_600_000;
const FROM = Date.UTC(2026, 5, 1);
const HOURS = 6;
const KILLS = Number(process.env.SCHEDULE_KILLS ?? 6);

function schedule(id: string, over: Partial<Schedule["spec"]>): Schedule {
  const trigger = {
    cron: "0 * * * *",
    timezone: "UTC",
    catchUp: "all",
    jitterMs: 0,
    overlap: "allow",
    inputs: {},
  } as const;
  return {
    id,
    workflow: "fix",
    origin: "api",
    spec: { ...trigger, tenant: "default", queue: "default", priority: 5, ...over },
    status: "active",
    createdAt: FROM,
    createdBy: "ann",
    cursorAt: FROM,
    nextAt: FROM,
  };
}

describe("schedulers of several processes on PostgreSQL", () => {
  let server: TestPostgres;
  let url: string;
  let opened: PostgresStore;
  const clock = { now: () => FROM, after: () => () => undefined };

  beforeAll(async () => {
    server = await startPostgres();
    url = await server.database();
    opened = await openPostgresStore({ url, clock, beats: "none" });
  });
  afterAll(async () => {
    await opened.close();
    await server.stop();
  });

  async function live(from: number, hours: number, call = 0, when = "before"): Promise<string | null> {
    const args = [SCRIPT, url, String(from), String(hours), String(call), when];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
    const [code, signal] = (await once(child, "close")) as [number | null, string | null];
    if (signal === null) expect(code).toBe(0);
    return signal;
  }

  it("start each due time exactly once, killed at any instant, by clocks that do not agree", async () => {
    await opened.schedules.add(schedule("sch_hourly", {}));
    await opened.schedules.add(schedule("sch_half", { cron: "*/30 * * * *", jitterMs: 600_000 }));
    await opened.schedules.add(schedule("sch_cancel", { overlap: "cancel_older" }));
    let killed = 0;
    for (let kill = 0; kill < KILLS; kill += 1) {
      const from = FROM + Math.floor((kill * HOURS) / KILLS) * HOUR;
      const signals = await Promise.all([
        live(from, 2, 2 + kill * 7, kill % 2 === 0 ? "before" : "after"),
        // An hour behind: what it sees has been decided.
        live(from - HOUR, 2, 5 + kill * 5, kill % 2 === 0 ? "after" : "before"),
      ]);
      killed += signals.filter((signal) => signal === "SIGKILL").length;
    }
    expect(killed).toBeGreaterThan(KILLS / 2);
    await Promise.all([live(FROM, HOURS), live(FROM + HOUR, HOURS - 1)]);

    const runs = await opened.reader.runs({ filter: {}, after: null, limit: 10_000 });
    const dues = new Map<string, number[]>();
    for (const { id } of runs) {
      const [first] = (await opened.reader.factsOf(id, { after: 0, limit: 1 })) ?? [];
      if (first?.kind !== "run_queued" || first.request.schedule === undefined)
        throw new Error("no schedule");
      const { id: of, dueAt } = first.request.schedule;
      dues.set(
        of,
        [...(dues.get(of) ?? []), (dueAt - FROM) / HOUR].sort((a, b) => a - b),
      );
    }
    const hourly = Array.from({ length: HOURS }, (_, n) => n + 1);
    expect(dues.get("sch_hourly")).toEqual(hourly);
    expect(dues.get("sch_cancel")).toEqual(hourly);
    const halves = Array.from({ length: 2 * HOURS }, (_, n) => (n + 1) / 2);
    // The last one starts later than the end, by its jitter.
    expect([halves, halves.slice(0, -1)]).toContainEqual(dues.get("sch_half"));
    for (const id of dues.keys()) {
      const firings = await opened.schedules.firings(id, 1_000);
      expect(new Set(firings.map(({ state }) => state))).toEqual(new Set(["started"]));
      expect(firings).toHaveLength(dues.get(id)?.length ?? 0);
    }
  });
});
