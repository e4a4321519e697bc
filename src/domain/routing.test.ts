import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { failure } from "./errors.ts";
import {
  BLOCKS,
  type CandidateFacts,
  choose,
  type Draws,
  effectiveTtft,
  faultClass,
  type Needs,
  nobodyFits,
  POLICY_NAMES,
  type QualityTier,
  ROUTING_POLICIES,
  unfit,
} from "./routing.ts";

const needs: Needs = {
  tools: false,
  json: false,
  contextTokens: 1_000,
  minQuality: 1,
  allow: [],
  deny: [],
  unknownPrice: "allow",
};
const none: Draws = { explore: 1, pick: 0 };

function facts(model: string, more: Partial<CandidateFacts> = {}): CandidateFacts {
  return {
    provider: "p",
    model,
    tools: true,
    json: true,
    contextTokens: 100_000,
    quality: 3,
    ttftMs: 500,
    failMs: 1_000,
    errorRate: 0,
    costMicros: 1_000,
    blocked: null,
    probe: false,
    tried: 0,
    ...more,
  };
}

const tier = fc.constantFrom<QualityTier>(1, 2, 3, 4);
const candidate = fc.record({
  tools: fc.boolean(),
  json: fc.boolean(),
  contextTokens: fc.option(fc.integer({ min: 1, max: 2_000 })),
  quality: tier,
  ttftMs: fc.integer({ min: 10, max: 60_000 }),
  failMs: fc.integer({ min: 10, max: 60_000 }),
  errorRate: fc.double({ min: 0, max: 0.99, noNaN: true }),
  costMicros: fc.option(fc.integer({ min: 100, max: 1_000_000 })),
  blocked: fc.option(
    fc.record({ kind: fc.constantFrom(...BLOCKS), detail: fc.constant("why"), failsFast: fc.boolean() }),
  ),
  probe: fc.boolean(),
  tried: fc.nat(3),
});
const candidates = fc
  .array(candidate, { minLength: 1, maxLength: 6 })
  .map((all) => all.map((one, index) => ({ provider: "p", model: `m${index}`, ...one }) as CandidateFacts));
const anyNeeds: fc.Arbitrary<Needs> = fc.record({
  tools: fc.boolean(),
  json: fc.boolean(),
  contextTokens: fc.integer({ min: 1, max: 2_000 }),
  minQuality: tier,
  allow: fc.subarray(["p/m0", "p/m1", "p/m*", "q/*"]),
  deny: fc.subarray(["p/m2", "p/m3", "q/*"]),
  unknownPrice: fc.constantFrom("allow", "deny"),
});
const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const draws = fc.record({ explore: draw, pick: draw });
const policy = fc.constantFrom(...POLICY_NAMES).map((name) => ROUTING_POLICIES[name]);

describe("choose", () => {
  test("a constraint is never violated, and every candidate is either in the order or excluded with a reason", () => {
    fc.assert(
      fc.property(policy, anyNeeds, candidates, draws, (by, wanted, all, drawn) => {
        const choice = choose(by, wanted, { candidates: all, draws: drawn });
        const fit = all.flatMap((one, index) => (unfit(one, wanted) === null ? [index] : []));
        expect(choice.order.toSorted((a, b) => a - b)).toEqual(fit);
        choice.candidates.forEach((one, index) => {
          if (!fit.includes(index)) expect(one).toMatchObject({ score: null, excluded: expect.any(String) });
        });
      }),
    );
  });

  test("the last candidate is never thrown out, whatever is wrong with it", () => {
    fc.assert(
      fc.property(policy, candidate, draws, (by, one, drawn) => {
        const only = { provider: "p", model: "m", ...one, tools: true, json: true, contextTokens: null };
        const choice = choose(by, needs, { candidates: [only as CandidateFacts], draws: drawn });
        expect(choice.order).toEqual([0]);
      }),
    );
  });

  test("nothing blocked is used while something free is there", () => {
    fc.assert(
      fc.property(policy, candidates, draws, (by, all, drawn) => {
        const choice = choose(by, { ...needs, contextTokens: 0 }, { candidates: all, draws: drawn });
        const first = all[choice.order[0] as number];
        if (all.some((one) => one.blocked === null)) expect(first?.blocked).toBeNull();
        else expect(choice.reason).toMatch(/blocked|the only candidate, though/);
      }),
    );
  });

  test("the order does not depend on the unit of time or of money", () => {
    fc.assert(
      fc.property(policy, candidates, fc.integer({ min: 2, max: 50 }), (by, all, k) => {
        const priced = all.map((one) => ({ ...one, costMicros: one.costMicros ?? 500 }));
        const scaled = priced.map((one) => ({
          ...one,
          ttftMs: one.ttftMs * k,
          failMs: one.failMs * k,
          costMicros: one.costMicros * k,
        }));
        const order = (of: readonly CandidateFacts[]) => choose(by, needs, { candidates: of, draws: none });
        const [a, b] = [order(priced), order(scaled)];
        const utilities = a.candidates.map((one) => one.score ?? 0).toSorted((x, y) => x - y);
        // Rounding may swap those that are as good as equal.
        fc.pre(utilities.every((one, index) => index === 0 || one - (utilities[index - 1] ?? 0) > 1e-3));
        expect(b.order).toEqual(a.order);
      }),
    );
  });

  test("where nobody is free, an overloaded model that may answer goes before those that are sure to refuse", () => {
    const blocked = (kind: (typeof BLOCKS)[number], failsFast = false) => ({
      blocked: { kind, detail: "why", failsFast },
    });
    const all = [
      facts("quarantined", blocked("quarantined", true)),
      facts("dead", blocked("open")),
      facts("limited", blocked("limited", true)),
      facts("full", blocked("full", true)),
      facts("overloaded", blocked("open", true)),
    ];
    const order = (of: readonly CandidateFacts[]) =>
      choose(ROUTING_POLICIES["latency-first"], needs, { candidates: of, draws: none }).order.map(
        (index) => of[index]?.model,
      );
    expect(order(all)).toEqual(["overloaded", "full", "limited", "dead", "quarantined"]);
    // Each is tried once before any is tried again.
    const tried = (names: readonly string[]) =>
      all.map((one) => ({ ...one, tried: names.includes(one.model) ? 1 : 0 }));
    expect(order(tried(["overloaded"]))[0]).toBe("full");
    expect(order(tried(["overloaded", "full"]))[0]).toBe("overloaded");
    expect(order([...all, facts("free", { tried: 3 })])[0]).toBe("free");
  });

  test("getting faster, cheaper, safer or better never costs a place", () => {
    const better = fc.constantFrom<(one: CandidateFacts) => CandidateFacts>(
      (one) => ({ ...one, ttftMs: one.ttftMs / 2 }),
      (one) => ({ ...one, failMs: one.failMs / 2 }),
      (one) => ({ ...one, errorRate: one.errorRate / 2 }),
      (one) => ({ ...one, costMicros: (one.costMicros ?? 0) / 2 }),
      (one) => ({ ...one, quality: Math.min(4, one.quality + 1) as QualityTier }),
      (one) => ({ ...one, blocked: null }),
      (one) => ({ ...one, tried: 0 }),
    );
    fc.assert(
      fc.property(policy, candidates, fc.nat(5), better, (by, all, at, improve) => {
        const priced = all.map((one) => ({ ...one, costMicros: one.costMicros ?? 500, probe: false }));
        const index = at % priced.length;
        const improved = priced.map((one, i) => (i === index ? improve(one) : one));
        const loose = { ...needs, contextTokens: 0 };
        const place = (of: readonly CandidateFacts[]) =>
          choose(by, loose, { candidates: of, draws: none }).order.indexOf(index);
        expect(place(improved)).toBeLessThanOrEqual(place(priced));
      }),
    );
  });

  test("explores as often as it says, more often near the best, and never on a retry", () => {
    const all = [facts("best"), facts("near", { ttftMs: 600 }), facts("far", { ttftMs: 5_000 })];
    const by = ROUTING_POLICIES["latency-first"];
    const first = (explore: number, pick: number, of = all) =>
      choose(by, needs, { candidates: of, draws: { explore, pick } }).order[0];
    expect(first(by.explore, 0)).toBe(0);
    const picks = Array.from({ length: 100 }, (_, n) => first(0, n / 100));
    expect(new Set(picks)).toEqual(new Set([1, 2]));
    expect(picks.filter((one) => one === 1).length).toBeGreaterThan(90);
    expect(first(0, 0, [facts("a", { tried: 1 }), facts("b"), facts("c", { ttftMs: 900 })])).toBe(1);
  });

  test("sends one call to a model that may be probed, even if it is not the best", () => {
    const all = [facts("best"), facts("back", { probe: true, ttftMs: 9_000 })];
    const choice = choose(ROUTING_POLICIES["latency-first"], needs, { candidates: all, draws: none });
    expect(choice).toMatchObject({ order: [1, 0], reason: "probe of a model that had been taken out" });
  });

  test("the policies differ in what they want", () => {
    const all = [
      facts("fast", { ttftMs: 200, costMicros: 5_000, quality: 2 }),
      facts("good", { ttftMs: 2_000, costMicros: 9_000, quality: 4 }),
      facts("cheap", { ttftMs: 2_000, costMicros: 500, quality: 2 }),
    ];
    const chosen = POLICY_NAMES.map((name) => {
      const choice = choose(ROUTING_POLICIES[name], needs, { candidates: all, draws: none });
      return all[choice.order[0] as number]?.model;
    });
    expect(chosen).toEqual(["fast", "good", "cheap"]);
  });

  test("a model of unknown price is as dear as the dearest, or denied, but never free", () => {
    const all = [facts("known"), facts("unknown", { costMicros: null, ttftMs: 499 })];
    const cheap = ROUTING_POLICIES["cost-first"];
    const order = (over: Partial<Needs>, of = all) =>
      choose(cheap, { ...needs, ...over }, { candidates: of, draws: none }).order;
    expect(order({}, [...all, facts("dear", { costMicros: 9_000 })])[0]).toBe(0);
    expect(order({ unknownPrice: "deny" })).toEqual([0]);
  });

  test("says why nobody fits", () => {
    const small = [facts("a", { contextTokens: 10 }), facts("b", { contextTokens: 20 })];
    const by = ROUTING_POLICIES["quality-first"];
    const tooSmall = choose(by, needs, { candidates: small, draws: none });
    expect(nobodyFits(tooSmall)).toMatchObject({ code: "model_context_overflow", retryable: false });
    const denied = choose(by, { ...needs, deny: ["p/*"] }, { candidates: small, draws: none });
    expect(nobodyFits(denied)).toMatchObject({ code: "model_unfit" });
    expect(nobodyFits(denied).message).toContain('p/a: denied by "p/*"');
  });
});

test("failing first costs what failing takes, times how often", () => {
  expect(effectiveTtft({ ttftMs: 500, failMs: 1_000, errorRate: 0.5 })).toBe(1_500);
  expect(effectiveTtft({ ttftMs: 500, failMs: 1_000, errorRate: 1 })).toBeLessThan(20_000);
});

test.each([
  ["model_overloaded", "fault"],
  ["model_truncated", "fault"],
  ["internal", "fault"],
  ["model_rate_limited", "rate"],
  ["model_auth", "refused-us"],
  ["model_unknown", "refused-us"],
  ["model_refused", "caller"],
  ["model_context_overflow", "caller"],
  ["model_invalid_request", "caller"],
  ["canceled", "caller"],
] as const)("%s says %s", (code, said) => {
  expect(faultClass(failure(code, ""))).toBe(said);
  if (code === "model_rate_limited")
    expect(faultClass({ ...failure(code, ""), retryable: false })).toBe("refused-us");
});

describe("further rules of a call", () => {
  const bare = { ...needs, contextTokens: 0 };
  const eu = { ...facts("eu"), region: "eu" };
  const nowhere = facts("nowhere");

  test("a region that is wanted must be known", () => {
    expect(unfit(eu, { ...bare, regions: ["eu", "local"] })).toBeNull();
    expect(unfit(eu, { ...bare, regions: ["us", "local"] })).toBe("region eu, us or local needed");
    expect(unfit(nowhere, { ...bare, regions: ["us"] })).toBe("region unknown, us needed");
    expect(unfit(nowhere, { ...bare, regions: [] })).toBeNull();
  });

  test("a tenant's list is one more list", () => {
    expect(unfit(eu, { ...bare, tenantAllow: ["p/eu"] })).toBeNull();
    expect(unfit(nowhere, { ...bare, tenantAllow: ["p/eu"] })).toBe(
      "not in the tenant's list of allowed models",
    );
  });
});
