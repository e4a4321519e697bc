import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ModelHealth } from "./health.ts";
import { HealthBook } from "./health-book.ts";
import { HedgeBudget } from "./hedge.ts";
import { DecayedRatio, LatencyTrack } from "./latency.ts";

function setUp() {
  const time = { now: 1_000_000 };
  return { time, health: new HealthBook({ now: () => time.now, random: () => 0.5 }).of("p", "m") };
}

const TOKENS = 1_000;

function answer(health: ModelHealth, ttftMs: number): void {
  const ticket = health.start();
  health.firstToken(ticket, ttftMs, TOKENS);
  health.end(ticket, { fault: null, ms: ttftMs }, TOKENS);
}

describe("LatencyTrack", () => {
  test("follows a change within seconds of traffic, and comes back when nothing is heard", () => {
    const track = new LatencyTrack();
    for (let n = 0; n < 1_000; n += 1) track.observe(500, n * 50);
    for (let n = 1_000; n < 1_100; n += 1) track.observe(4_000, n * 50);
    const now = 1_099 * 50;
    expect(track.estimate(now)).toBeGreaterThan(2_500);
    const later = track.estimate(now + 300_000) as number;
    expect(later).toBeLessThan(1_500);
    expect(later).toBeGreaterThan(499);
  });

  test("keeps the newest hundred for its tail, not the oldest", () => {
    const track = new LatencyTrack();
    for (let n = 0; n < 100; n += 1) track.observe(10_000, n);
    expect(track.p95(20)).toBe(10_000);
    for (let n = 0; n < 110; n += 1) track.observe(100, 100 + n);
    expect(track.p95(20)).toBe(100);
    expect(new LatencyTrack().p95(20)).toBeNull();
  });

  test("lies between the smallest and the largest sample", () => {
    const samples = fc.array(fc.tuple(fc.integer({ min: 1, max: 60_000 }), fc.nat(20_000)), { minLength: 1 });
    fc.assert(
      fc.property(samples, (all) => {
        const track = new LatencyTrack();
        let now = 0;
        for (const [ms, pause] of all) {
          now += pause;
          track.observe(ms, now);
        }
        const values = all.map(([ms]) => ms);
        const before = track.estimate(now) as number;
        expect(before).toBeGreaterThanOrEqual(Math.min(...values) * 0.999);
        expect(before).toBeLessThanOrEqual(Math.max(...values) * 1.001);
      }),
    );
  });
});

test("a decayed ratio lies in [0, 1) and forgets", () => {
  const ratio = new DecayedRatio(30_000, 3);
  for (let n = 0; n < 50; n += 1) ratio.observe(true, n * 100);
  expect(ratio.value(5_000)).toBeGreaterThan(0.9);
  expect(ratio.value(5_000)).toBeLessThan(1);
  expect(ratio.value(305_000)).toBeLessThan(0.01);
});

describe("ModelHealth", () => {
  test("long prompts have figures of their own once there are enough", () => {
    const { health } = setUp();
    for (let n = 0; n < 30; n += 1) {
      answer(health, 400);
      const ticket = health.start();
      health.firstToken(ticket, 8_000, 50_000);
      health.end(ticket, { fault: null, ms: 8_000 }, 50_000);
    }
    expect(health.ttftMs(TOKENS)).toBeCloseTo(400, -1);
    expect(health.ttftMs(50_000)).toBeCloseTo(8_000, -1);
    expect(health.ttftP95(50_000)).toBe(8_000);
    expect(health.ttftMs(10_000)).toBeGreaterThan(400);
  });

  test("a call that was taken back counts only when it had waited longer than was expected", () => {
    const { health } = setUp();
    const lost = (ms: number) => health.end(health.start(), { fault: "caller", ms, lostAfterMs: ms }, TOKENS);
    lost(0);
    expect(health.view()).toMatchObject({ state: "unused", ttftMs: null });
    answer(health, 400);
    lost(300);
    expect(health.ttftMs(TOKENS)).toBeCloseTo(400);
    lost(4_000);
    expect(health.ttftMs(TOKENS)).toBeGreaterThan(401);
  });

  test("failures open the breaker; the request's own faults never do, nor do they count", () => {
    const { health } = setUp();
    for (let n = 0; n < 50; n += 1) health.end(health.start(), { fault: "caller", ms: 5 }, TOKENS);
    expect([health.errorRate, health.blocked]).toEqual([0, null]);
    for (let n = 0; n < 5; n += 1) health.end(health.start(), { fault: "fault", ms: 5 }, TOKENS);
    expect(health.blocked?.kind).toBe("open");
    expect(health.errorRate).toBeGreaterThan(0.5);
    expect(health.inFlight).toBe(0);
  });

  test("a rate limit cuts what may run at once, one cut an episode, and honours Retry-After", () => {
    const { health, time } = setUp();
    const tickets = Array.from({ length: 20 }, () => health.start());
    for (const ticket of tickets.slice(0, 3)) {
      health.end(ticket, { fault: "rate", ms: 5, retryAfterMs: 4_000 }, TOKENS);
    }
    expect(health.view()).toMatchObject({ state: "limited", concurrencyLimit: 16, inFlight: 17 });
    time.now += 4_000;
    expect(health.blocked?.kind).toBe("full");
    for (const ticket of tickets.slice(3)) health.end(ticket, { fault: null, ms: 5 }, TOKENS);
    expect(health.blocked).toBeNull();
    expect(health.view().concurrencyLimit).toBe(17);
    expect(health.breaker.state).toBe("closed");
  });

  test("a wrong key is quarantine, longer each time, and one good probe ends it", () => {
    const { health, time } = setUp();
    health.end(health.start(), { fault: "refused-us", ms: 5 }, TOKENS);
    health.end(health.start(), { fault: "refused-us", ms: 5 }, TOKENS);
    expect(health.blocked?.kind).toBe("quarantined");
    time.now += 299_999;
    expect([health.blocked?.kind, health.probe]).toEqual(["quarantined", false]);
    time.now += 1;
    expect([health.blocked, health.probe]).toEqual([null, true]);
    health.end(health.start(), { fault: "refused-us", ms: 5 }, TOKENS);
    time.now += 300_000;
    expect(health.blocked?.kind).toBe("quarantined");
    time.now += 300_000;
    answer(health, 400);
    expect(health.view()).toMatchObject({ state: "ok", inFlight: 0 });
  });

  test("a probe has proven itself with its first token", () => {
    const { health, time } = setUp();
    for (let n = 0; n < 5; n += 1) health.end(health.start(), { fault: "fault", ms: 5 }, TOKENS);
    time.now = health.breaker.openUntil;
    const probe = health.start();
    expect(health.blocked?.detail).toBe("a probe is under way");
    health.firstToken(probe, 300, TOKENS);
    expect(health.blocked).toBeNull();
  });
});

test("the book of health is bounded and never forgets a model in use", () => {
  const book = new HealthBook({ now: () => 0, random: () => 0 });
  const first = book.of("p", "first");
  first.start();
  for (let n = 0; n < 600; n += 1) book.of("p", `m${n}`);
  expect(book.names.length).toBeLessThanOrEqual(500);
  expect(book.of("p", "first")).toBe(first);
});

test("hedges never exceed their share of the calls", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 2_000 }), (wishes) => {
      const budget = new HedgeBudget();
      let hedges = 0;
      wishes.forEach((wish, index) => {
        budget.earn();
        if (wish && budget.spend()) hedges += 1;
        expect(hedges).toBeLessThanOrEqual(0.05 * (index + 1) + 1e-9);
      });
    }),
  );
});
