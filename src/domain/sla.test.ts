import { describe, expect, it } from "vitest";
import { nextSlaMoment, type SlaTimes, slaBreaches, slaView } from "./sla.ts";

const run = (more: Partial<SlaTimes> = {}): SlaTimes => ({
  createdAt: 1_000,
  startedAt: null,
  endedAt: null,
  deadlineAt: 11_000,
  sla: { class: "high", startBy: 3_000, targetMs: 6_000 },
  ...more,
});

describe("what was promised of a run", () => {
  it("is missed at its moment, not before", () => {
    expect(slaBreaches(run(), 2_999)).toEqual([]);
    expect(slaBreaches(run(), 3_000)).toEqual([{ what: "start_by", dueAt: 3_000, byMs: 0 }]);
    expect(slaBreaches(run(), 12_000).map(({ what, byMs }) => [what, byMs])).toEqual([
      ["start_by", 9_000],
      ["deadline", 1_000],
      ["target", 5_000],
    ]);
  });

  it("is held against when it began and ended, once it has", () => {
    const ended = run({ startedAt: 2_000, endedAt: 8_000 });
    expect(slaBreaches(ended, 99_000)).toEqual([{ what: "target", dueAt: 7_000, byMs: 1_000 }]);
    expect(slaBreaches(run({ endedAt: 2_000 }), 99_000)).toEqual([]);
  });

  it("is nothing where nothing was promised", () => {
    const free = run({ deadlineAt: null, sla: null });
    expect(slaBreaches(free, 1e15)).toEqual([]);
    expect(nextSlaMoment(free, 0)).toBeNull();
    expect(slaView(free, 1e15, 1e15)).toEqual({ state: "ok", breaches: [] });
    const unbound = run({ deadlineAt: null, sla: { class: "low", startBy: null, targetMs: null } });
    expect(slaView(unbound, 1e15, null).state).toBe("ok");
  });

  it("comes due in order", () => {
    expect(nextSlaMoment(run(), 1_000)).toBe(3_000);
    expect(nextSlaMoment(run({ startedAt: 2_000 }), 2_000)).toBe(7_000);
    expect(nextSlaMoment(run({ startedAt: 2_000 }), 7_000)).toBe(11_000);
    expect(nextSlaMoment(run({ startedAt: 2_000 }), 11_000)).toBeNull();
  });

  it("is at risk by the estimated wait, and when most of its time is gone", () => {
    expect(slaView(run(), 1_500, 1_499).state).toBe("ok");
    expect(slaView(run(), 1_500, 1_500).state).toBe("at_risk");
    expect(slaView(run({ startedAt: 1_100 }), 5_799, null).state).toBe("ok");
    expect(slaView(run({ startedAt: 1_100 }), 5_800, null).state).toBe("at_risk");
    expect(slaView(run({ startedAt: 1_100, endedAt: 5_900 }), 99_000, null).state).toBe("ok");
    expect(slaView(run(), 3_100, 0)).toMatchObject({ state: "breached", breaches: [{ what: "start_by" }] });
  });
});
