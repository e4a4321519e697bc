import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BREAKER, Breaker, type BreakerState, type Ticket } from "./breaker.ts";

function setUp(random = () => 0.5) {
  const time = { now: 1_000_000 };
  return { time, breaker: new Breaker({ settings: BREAKER, now: () => time.now, random }) };
}

function fail(breaker: Breaker, times: number): void {
  for (let n = 0; n < times; n += 1) breaker.leave(breaker.enter(), "bad");
}

describe("a breaker", () => {
  test("opens by failures in a row, and by their share once there are enough", () => {
    const { breaker } = setUp();
    fail(breaker, BREAKER.consecutive - 1);
    expect(breaker.state).toBe("closed");
    fail(breaker, 1);
    expect(breaker).toMatchObject({ state: "open", admits: "no" });

    const mixed = setUp().breaker;
    for (let n = 0; n < BREAKER.minVolume && mixed.state === "closed"; n += 1) {
      mixed.leave(mixed.enter(), n % 2 === 0 ? "ok" : "bad");
    }
    expect(mixed.state).toBe("open");
  });

  test("forgets what lies behind its window", () => {
    const { breaker, time } = setUp();
    for (let n = 0; n < 40; n += 1) {
      breaker.leave(breaker.enter(), n % 4 === 0 ? "ok" : "bad");
      time.now += BREAKER.windowMs / 8;
    }
    expect(breaker.state).toBe("closed");
  });

  test("lets exactly one probe through, and another only when its lease has run out", () => {
    const { breaker, time } = setUp();
    fail(breaker, 5);
    time.now = breaker.openUntil;
    expect(breaker.admits).toBe("probe");
    const probe = breaker.enter();
    expect(probe.probe).toBe(true);
    expect([breaker.admits, breaker.enter().probe]).toEqual(["no", false]);
    time.now += BREAKER.leaseMs;
    const second = breaker.enter();
    expect(second.probe).toBe(true);
    breaker.leave(probe, "ok");
    expect(breaker.state).toBe("half-open");
    breaker.leave(second, "ok");
    expect(breaker.state).toBe("closed");
  });

  test("a probe that was taken back gives its lease back", () => {
    const { breaker, time } = setUp();
    fail(breaker, 5);
    time.now = breaker.openUntil;
    breaker.leave(breaker.enter(), "neutral");
    expect(breaker.admits).toBe("probe");
  });

  test("stays open longer each time, within its bounds, and begins anew once it was closed", () => {
    const { breaker, time } = setUp(() => 0);
    fail(breaker, 5);
    const waits: number[] = [];
    for (let n = 0; n < 8; n += 1) {
      waits.push(breaker.openUntil - time.now);
      time.now = breaker.openUntil;
      breaker.leave(breaker.enter(), "bad");
    }
    expect(waits).toEqual([2_500, 5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
    time.now = breaker.openUntil;
    breaker.leave(breaker.enter(), "ok");
    fail(breaker, 5);
    expect(breaker.openUntil - time.now).toBe(2_500);
  });

  test("an end that belongs to an earlier state says nothing", () => {
    const { breaker, time } = setUp();
    const old = breaker.enter();
    fail(breaker, 5);
    breaker.leave(old, "ok");
    expect(breaker.state).toBe("open");
    time.now = breaker.openUntil;
    expect(breaker.state).toBe("half-open");
    breaker.leave(old, "ok");
    breaker.leave(old, "bad");
    expect(breaker).toMatchObject({ state: "half-open", admits: "probe" });
  });

  test("moves along legal edges only, never with two probes at once, whatever the clock does", () => {
    const legal: Readonly<Record<BreakerState, readonly BreakerState[]>> = {
      closed: ["closed", "open"],
      // The time of an open one may run out between two looks, and its probe come back within one step.
      open: ["open", "half-open"],
      "half-open": ["half-open", "open", "closed"],
    };
    const step = fc.oneof(
      fc.record({ do: fc.constant("enter" as const) }),
      fc.record({
        do: fc.constant("leave" as const),
        which: fc.nat(9),
        end: fc.constantFrom("ok", "bad", "neutral"),
      }),
      fc.record({ do: fc.constant("time" as const), ms: fc.integer({ min: -5_000, max: 40_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const { breaker, time } = setUp();
        const inside: { ticket: Ticket; until: number }[] = [];
        let before = breaker.state;
        for (const one of steps) {
          if (one.do === "time") time.now += one.ms;
          else if (one.do === "enter") {
            const ticket = breaker.enter();
            const live = inside.filter((other) => other.ticket.probe && time.now < other.until);
            if (ticket.probe && live.length > 0)
              expect(live.every((other) => other.ticket.epoch < ticket.epoch)).toBe(true);
            inside.push({ ticket, until: time.now + BREAKER.leaseMs });
          } else {
            const [left] = inside.splice(one.which % Math.max(1, inside.length), 1);
            if (left !== undefined) breaker.leave(left.ticket, one.end as "ok" | "bad" | "neutral");
          }
          expect(legal[before]).toContain(breaker.state);
          before = breaker.state;
        }
      }),
    );
  });
});
