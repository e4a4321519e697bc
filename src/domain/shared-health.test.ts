import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  expectedTtft,
  type HealthNews,
  isProbeFree,
  type SharedHealth,
  standing,
  unknownHealth,
  withNews,
} from "./shared-health.ts";

const NOW = 10_000_000;
const HOUR = 3_600_000;
const from = { by: "wrk_b", now: NOW };

const known = (over: Partial<SharedHealth> = {}): SharedHealth => ({
  ...unknownHealth("p/a", "key"),
  version: 4,
  phase: 3,
  by: "wrk_a",
  ...over,
});
const open = (over: Partial<SharedHealth> = {}) => known({ openUntil: NOW + 5_000, openings: 1, ...over });
const opened = (until: number, over: object = {}): HealthNews => ({
  phase: 3,
  breaker: { kind: "opened", until, openings: 1, quarantined: false, ...over },
});
const CLOSED: HealthNews = { phase: 3, breaker: { kind: "closed" } };

describe("standing", () => {
  it("is closed, open, then due for a probe, and forgotten when nobody made one", () => {
    expect(standing(known(), NOW)).toBe("closed");
    expect(standing(open(), NOW)).toBe("open");
    expect(standing(open(), NOW + 5_000)).toBe("due");
    expect(standing(open(), NOW + 5_000 + HOUR / 2 - 1)).toBe("due");
    expect(standing(open(), NOW + 5_000 + HOUR / 2)).toBe("closed");
  });

  it("leaves the probe to one, who may have it again", () => {
    const due = open({ openUntil: NOW });
    expect(isProbeFree(open(), "wrk_a", NOW)).toBe(false);
    expect(isProbeFree(due, "wrk_a", NOW)).toBe(true);
    const held = { ...due, probeBy: "wrk_a", probeUntil: NOW + 1 };
    expect(isProbeFree(held, "wrk_b", NOW)).toBe(false);
    expect(isProbeFree(held, "wrk_a", NOW)).toBe(true);
    expect(isProbeFree(held, "wrk_b", NOW + 1)).toBe(true);
  });
});

describe("news of a breaker", () => {
  it("opens what was closed, and begins a phase", () => {
    expect(withNews(known(), opened(NOW + 9_000), from)).toEqual(
      known({ openUntil: NOW + 9_000, openings: 1, phase: 4, by: "wrk_b" }),
    );
  });

  it("keeps the later end and the greater count of two that opened it", () => {
    expect(withNews(open(), opened(NOW + 4_000), from)).toBeNull();
    expect(withNews(open({ openings: 6 }), opened(NOW + 9_000), from)).toMatchObject({
      openUntil: NOW + 9_000,
      openings: 6,
      phase: 4,
    });
    expect(withNews(open(), opened(NOW + 9_000, { openings: 2 }), from)).toMatchObject({ openings: 2 });
  });

  it("takes a lease back when the probe failed", () => {
    const probed = open({ openUntil: NOW - 1, probeBy: "wrk_b", probeUntil: NOW + 20_000 });
    expect(withNews(probed, opened(NOW + 9_000, { openings: 2 }), from)).toMatchObject({
      openUntil: NOW + 9_000,
      probeBy: null,
      probeUntil: 0,
      phase: 4,
    });
  });

  it("tells of a quarantine even where it ends earlier, and keeps one that was known", () => {
    const told = withNews(open(), opened(NOW + 1_000, { quarantined: true }), from);
    expect(told).toMatchObject({ openUntil: NOW + 5_000, quarantined: true, phase: 4 });
    expect(
      withNews(open({ quarantined: true }), opened(NOW + 1_000, { quarantined: true }), from),
    ).toBeNull();
    expect(withNews(open({ quarantined: true }), opened(NOW + 9_000), from)).toMatchObject({
      quarantined: true,
    });
  });

  it("forgets the count and the quarantine of another day", () => {
    const old = open({ openUntil: NOW - HOUR, openings: 9, quarantined: true });
    expect(withNews(old, opened(NOW + 9_000), from)).toMatchObject({
      openUntil: NOW + 9_000,
      openings: 1,
      quarantined: false,
    });
  });

  it("keeps nothing out for longer than an hour", () => {
    expect(withNews(known(), opened(NOW + 9 * HOUR), from)).toMatchObject({ openUntil: NOW + HOUR });
  });

  it("closes it for all, with its lease", () => {
    const probed = open({ openUntil: NOW - 1, quarantined: true, probeBy: "wrk_b", probeUntil: NOW + 1 });
    expect(withNews(probed, CLOSED, from)).toEqual(known({ phase: 4, by: "wrk_b" }));
  });

  it("does not close what was opened anew, nor what is closed", () => {
    expect(withNews(open({ phase: 4 }), CLOSED, from)).toBeNull();
    expect(withNews(known(), CLOSED, from)).toBeNull();
    expect(withNews(known(), opened(NOW - HOUR), from)).toBeNull();
    expect(withNews(open({ openUntil: NOW - HOUR }), CLOSED, from)).toBeNull();
  });
});

describe("other news", () => {
  it("a rate limit's window only grows, up to ten minutes", () => {
    const limited = (limitedUntil: number): HealthNews => ({ phase: 3, limitedUntil });
    expect(withNews(known(), limited(NOW + 1_000), from)).toEqual(
      known({ limitedUntil: NOW + 1_000, by: "wrk_b" }),
    );
    expect(withNews(known({ limitedUntil: NOW + 1_000 }), limited(NOW + 1_050), from)).toBeNull();
    expect(withNews(known({ limitedUntil: NOW + 1_000 }), limited(NOW + 1_051), from)).not.toBeNull();
    expect(withNews(known(), limited(NOW), from)).toBeNull();
    expect(withNews(known(), limited(NOW + HOUR), from)).toMatchObject({ limitedUntil: NOW + 600_000 });
  });

  it("expected times are the newest ones, or between two that are as new, by samples", () => {
    const ttft = (ms: number, samples = 20): HealthNews => ({ phase: 3, ttft: { ms, samples } });
    const first = withNews(unknownHealth("p/a", ""), ttft(400), from);
    expect(first).toMatchObject({ ttftMs: 400, ttftAt: NOW, by: "wrk_b" });
    const told = known({ ttftMs: 400, ttftAt: NOW - 1 });
    expect(withNews(told, ttft(1_600), from)).toMatchObject({ ttftMs: 800, ttftAt: NOW, by: "wrk_a" });
    expect(withNews(told, ttft(1_600, 1), from)).toMatchObject({ ttftMs: 427 });
    expect(withNews(told, ttft(1_600, 10_000), from)?.ttftMs).toBeGreaterThan(1_590);
    expect(withNews(told, ttft(410), from)).toBeNull();
    expect(withNews({ ...told, ttftAt: NOW - 30_000 }, ttft(1_600, 1), from)).toMatchObject({
      ttftMs: 1_600,
    });
  });

  it("gives back only its own lease", () => {
    const released: HealthNews = { phase: 3, released: true };
    const held = open({ openUntil: NOW - 1, probeBy: "wrk_b", probeUntil: NOW + 9 });
    expect(withNews(held, released, from)).toMatchObject({ probeBy: null, probeUntil: 0, phase: 3 });
    expect(withNews(held, released, { ...from, by: "wrk_c" })).toBeNull();
    expect(withNews(held, { phase: 3 }, from)).toBeNull();
  });
});

describe("expectedTtft", () => {
  it("is one's own while it is as new, and gives way as it ages", () => {
    const at = (ms: number, age: number) => ({ ms, at: NOW - age });
    expect(expectedTtft({ own: null, shared: null, now: NOW })).toBeNull();
    expect(expectedTtft({ own: at(300, 0), shared: null, now: NOW })).toBe(300);
    expect(expectedTtft({ own: null, shared: at(900, 0), now: NOW })).toBe(900);
    expect(expectedTtft({ own: at(300, 5), shared: at(900, 5), now: NOW })).toBe(300);
    const aged = expectedTtft({ own: at(300, 60_000), shared: at(900, 0), now: NOW });
    expect(aged).toBeGreaterThan(550);
    expect(aged).toBeLessThan(650);
    expect(expectedTtft({ own: at(300, 600_000), shared: at(900, 0), now: NOW })).toBe(900);
    expect(expectedTtft({ own: null, shared: at(900, 600_000), now: NOW })).toBeNull();
  });
});

it("in whatever order news come: phases and windows never go back, and a version is the board's alone", () => {
  const news = fc.record(
    {
      phase: fc.nat({ max: 6 }),
      breaker: fc.oneof(
        fc.constant({ kind: "closed" as const }),
        fc.record({
          kind: fc.constant("opened" as const),
          until: fc.double({ min: NOW - HOUR, max: NOW + HOUR, noNaN: true }),
          openings: fc.integer({ min: 1, max: 9 }),
          quarantined: fc.boolean(),
        }),
      ),
      limitedUntil: fc.double({ min: 0, max: NOW + HOUR, noNaN: true }),
      ttft: fc.record({
        ms: fc.double({ min: 0, max: 60_000, noNaN: true }),
        samples: fc.integer({ min: 1, max: 99 }),
      }),
      released: fc.boolean(),
    },
    { requiredKeys: ["phase"] },
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(news, fc.nat({ max: 60_000 }))), (all) => {
      let row = unknownHealth("p/a", "");
      let now = NOW;
      for (const [one, ms] of all) {
        now += ms;
        const next = withNews(row, one, { by: "wrk_b", now }) ?? row;
        expect(next.phase - row.phase).toBeLessThanOrEqual(1);
        expect(next.phase).toBeGreaterThanOrEqual(row.phase);
        expect(next.limitedUntil).toBeGreaterThanOrEqual(row.limitedUntil);
        expect(next.openUntil ?? 0).toBeLessThanOrEqual(now + HOUR);
        expect(next.version).toBe(0);
        for (const ms of [next.openUntil, next.limitedUntil, next.ttftMs]) {
          expect(ms === null || Number.isInteger(ms)).toBe(true);
        }
        // Said twice, it is no news.
        expect(
          withNews(next, { ...one, released: false, phase: -1 }, { by: "wrk_b", now })?.phase ?? next.phase,
        ).toBe(next.phase);
        row = next;
      }
    }),
  );
});
