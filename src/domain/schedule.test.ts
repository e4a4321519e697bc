import { describe, expect, it } from "vitest";
import { LIMITS } from "./limits.ts";
import {
  firingKey,
  jitterOf,
  planSchedule,
  reconcileSchedules,
  type ScheduleSpec,
  type Trigger,
} from "./schedule.ts";

const HOUR = 3_600_000;
const NOON = 1_000 * HOUR;

function schedule(over: Partial<Trigger> = {}, cursorAt = NOON) {
  const trigger = {
    cron: "0 * * * *",
    timezone: "UTC",
    catchUp: "last",
    jitterMs: 0,
    overlap: "allow",
    inputs: {},
  } as const;
  const spec: ScheduleSpec = { ...trigger, tenant: "default", queue: "default", priority: 5, ...over };
  return { id: "sch_1", spec, cursorAt };
}

const hourly = (after: number) => (Math.floor(after / HOUR) + 1) * HOUR;
const hours = (...of: number[]) => of.map((n) => NOON + n * HOUR);

describe("a plan", () => {
  it("fires nothing before its time, and says when to look again", () => {
    expect(planSchedule(schedule(), NOON + HOUR - 1, hourly)).toEqual({
      fire: [],
      missed: null,
      cursorAt: NOON,
      nextAt: NOON + HOUR,
    });
  });

  it("fires what is due, once", () => {
    for (const catchUp of ["none", "last", "all"] as const) {
      const plan = planSchedule(schedule({ catchUp }), NOON + HOUR + 5, hourly);
      expect(plan).toEqual({ fire: hours(1), missed: null, cursorAt: NOON + HOUR, nextAt: NOON + 2 * HOUR });
      expect(planSchedule(schedule({ catchUp }, plan.cursorAt), NOON + HOUR + 5, hourly).fire).toEqual([]);
    }
  });

  it("fires nothing twice when the clock goes back, and waits until it has come again", () => {
    const plan = planSchedule(schedule({}, NOON + 5 * HOUR), NOON + HOUR, hourly);
    expect(plan).toEqual({ fire: [], missed: null, cursorAt: NOON + 5 * HOUR, nextAt: NOON + 6 * HOUR });
  });

  it("lets go of what was missed, makes up for the last, or for all", () => {
    const now = NOON + 3 * HOUR + LIMITS.scheduleGraceMs + 1;
    const plan = (catchUp: Trigger["catchUp"]) => planSchedule(schedule({ catchUp }), now, hourly);
    const [one, two, three] = hours(1, 2, 3);
    expect(plan("none")).toMatchObject({ fire: [], missed: { count: 3, first: one, last: three } });
    expect(plan("last")).toMatchObject({ fire: [three], missed: { count: 2, first: one, last: two } });
    expect(plan("all")).toMatchObject({ fire: [one, two, three], missed: null });
    for (const catchUp of ["none", "last", "all"] as const) {
      expect(plan(catchUp)).toMatchObject({ cursorAt: three, nextAt: NOON + 4 * HOUR });
    }
  });

  it("counts a little late as in time", () => {
    const now = NOON + 2 * HOUR + LIMITS.scheduleGraceMs;
    expect(planSchedule(schedule({ catchUp: "none" }), now, hourly)).toMatchObject({
      fire: hours(2),
      missed: { count: 1 },
    });
  });

  it("makes up for a bounded number: the oldest give way", () => {
    const now = NOON + (LIMITS.scheduleCatchUp + 7) * HOUR + 1;
    const plan = planSchedule(schedule({ catchUp: "all" }), now, hourly);
    expect(plan.fire).toHaveLength(LIMITS.scheduleCatchUp);
    expect(plan.fire.at(-1)).toBe(plan.cursorAt);
    expect(plan.missed).toMatchObject({ count: 7, first: NOON + HOUR });
  });

  it("takes years in several looks, and decides at the last", () => {
    const now = NOON + (2 * LIMITS.scheduleScan + 3) * HOUR + 1;
    for (const catchUp of ["none", "last", "all"] as const) {
      let cursorAt = NOON;
      const fired: number[] = [];
      let looks = 0;
      let missed = 0;
      for (let nextAt: number | null = NOON; nextAt !== null && nextAt <= now; looks += 1) {
        const plan = planSchedule(schedule({ catchUp }, cursorAt), now, hourly);
        fired.push(...plan.fire);
        missed += plan.missed?.count ?? 0;
        ({ cursorAt, nextAt } = plan);
      }
      expect(looks).toBe(3);
      // The due time of just now is in time, whatever is said of missed ones.
      expect(fired.length + missed).toBe(2 * LIMITS.scheduleScan + 3);
      expect(fired).toEqual(catchUp === "all" ? fired : hours(2 * LIMITS.scheduleScan + 3));
      expect(fired.length).toBe(catchUp === "all" ? 3 : 1);
    }
  });

  it("ends where no due time comes any more", () => {
    const once = (after: number) => (after < NOON + HOUR ? NOON + HOUR : null);
    expect(planSchedule(schedule(), NOON, once)).toMatchObject({ fire: [], nextAt: NOON + HOUR });
    expect(planSchedule(schedule(), NOON + 2 * HOUR, once)).toMatchObject({
      fire: hours(1),
      cursorAt: NOON + HOUR,
      nextAt: null,
    });
    expect(planSchedule(schedule({}, NOON + HOUR), NOON + 2 * HOUR, once)).toMatchObject({
      fire: [],
      nextAt: null,
    });
  });

  it("starts each due time a little later, the same whoever looks, and never after the next", () => {
    const due = NOON + HOUR;
    const spread = schedule({ jitterMs: 10 * 60_000 });
    const offset = jitterOf(spread, due, due + HOUR);
    expect(offset).toBeGreaterThan(0);
    expect(offset).toBeLessThan(10 * 60_000);
    expect(jitterOf(spread, due, due + HOUR)).toBe(offset);
    expect(planSchedule(spread, due + offset - 1, hourly)).toMatchObject({ fire: [], nextAt: due + offset });
    expect(planSchedule(spread, due + offset, hourly)).toMatchObject({ fire: [due] });
    const wide = schedule({ jitterMs: 50 * HOUR });
    const offsets = Array.from({ length: 200 }, (_, n) =>
      jitterOf(wide, due + n * HOUR, due + (n + 1) * HOUR),
    );
    expect(Math.max(...offsets)).toBeLessThan(HOUR);
    expect(Math.max(...offsets) - Math.min(...offsets)).toBeGreaterThan(HOUR / 2);
    expect(jitterOf(wide, due, null)).toBeLessThan(50 * HOUR);
    expect(jitterOf(schedule(), due, due + HOUR)).toBe(0);
  });
});

describe("a workflow's schedules", () => {
  it("are those of its newest version", () => {
    const known = [
      { id: "kept", status: "active" },
      { id: "paused", status: "paused" },
      { id: "back", status: "removed" },
      { id: "gone", status: "active" },
      { id: "long_gone", status: "removed" },
    ] as const;
    expect(reconcileSchedules(known, ["kept", "paused", "back", "new"])).toEqual({
      add: ["new"],
      revive: ["back"],
      retire: ["gone"],
    });
  });

  it("have one key a due time", () => {
    expect(firingKey({ schedule: "sch_1", dueAt: 7 })).toBe("schedule:sch_1:7");
  });
});
