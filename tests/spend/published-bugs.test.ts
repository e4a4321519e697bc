import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { costMicros } from "../../src/gateway/prices.ts";
import { accountOf, budget, CHEAP, DEAR, processOf, settings, USD, type World, world } from "./world.ts";

/**
 * Budgets of a widely used gateway broke in nine published ways. Each is told here as it would happen to us, through
 * the gateway and on a real database.
 */
describe("what broke elsewhere", () => {
  let at: World;
  beforeEach(async () => {
    at = await world();
  });
  afterEach(() => at.close());

  // 100 prompt tokens and 10 of output at DEAR cost $0.02; with 100 tokens of output at most, $0.1125 are reserved.
  const COST = 20_000;
  const RESERVED = 112_500;

  it("1 · a budget is not passed by many calls at once", async () => {
    const budgets = () => settings([budget({ hardMicros: 5 * RESERVED })]);
    const one = processOf(at, { plays: { a: [{}] }, budgets });
    const calls = await at.clock.run(Promise.all(Array.from({ length: 100 }, () => one.call())));
    expect(calls.filter((call) => call.ok)).toHaveLength(5);
    expect(one.models.a?.calls).toBe(5);
    for (const call of calls) {
      if (!call.ok) expect(call.failure.code).toBe("budget_exhausted");
    }
    expect(await accountOf(at)).toMatchObject({ committed: 5 * COST, held: 0 });
  });

  it("2 · a model of unknown price is denied, or allowed and marked, and never silently free", async () => {
    let unknownPrice: "deny" | "allow" = "deny";
    const budgets = () => settings([budget()], { unknownPrice });
    const one = processOf(at, { plays: { a: [{}] }, budgets, prices: {} });
    const denied = await one.ask();
    expect(denied).toMatchObject({ ok: false, failure: { code: "price_unknown" } });
    expect(one.models.a?.calls).toBe(0);
    unknownPrice = "allow";
    const allowed = await one.ask();
    expect(allowed).toMatchObject({ ok: true, record: { costMicros: null, budget: { unpriced: true } } });
    expect(await at.spend.spent({})).toMatchObject([{ calls: 1, unpricedCalls: 1, chargedMicros: 0 }]);
  });

  it("3 · what is enforced is what was spent: nothing is counted twice, and no room is lost", async () => {
    const budgets = () => settings([budget({ hardMicros: 40 * COST })]);
    const one = processOf(at, {
      plays: { a: [{ fails: "model_overloaded" }, {}, { fails: "model_unavailable" }, {}], b: [{}] },
      budgets,
    });
    let spent = 0;
    for (let n = 0; n < 30; n += 1) {
      const call = await one.ask();
      expect(call.ok).toBe(true);
      spent += call.record.costMicros ?? 0;
    }
    const billed = Object.values(one.models).flatMap((model) => model.billed);
    const truth = billed.reduce((sum, usage) => sum + (costMicros(DEAR, usage) ?? 0), 0);
    expect(await accountOf(at)).toMatchObject({ committed: truth, held: 0, presumed: 0 });
    expect(spent).toBe(truth);
    // Ten more fit, and they get in.
    for (let n = 0; n < 4; n += 1) expect((await one.ask()).ok).toBe(true);
  });

  it("4 · a killed process pins nothing, and a reset while calls are under way makes nothing negative", async () => {
    const budgets = () => settings([budget({ hardMicros: RESERVED, window: "day" })]);
    const other = processOf(at, { plays: { a: [{}] }, budgets });
    await at.spend.apply([
      {
        kind: "reserve",
        id: "of-a-killed-process",
        subject: { tenant: "", user: "", path: "", model: "a/m", stage: "execute" },
        allowances: [{ ...budget({ hardMicros: RESERVED, window: "day" }), name: "*" }],
        micros: RESERVED,
        ceiling: RESERVED,
        accrued: 0,
        unpriced: false,
        holdMs: 60_000,
      },
    ]);
    expect((await other.ask()).ok).toBe(false);
    await at.clock.advance(60_000);
    expect((await other.ask()).ok).toBe(true);
    // Another call is under way at midnight, and is booked in the day that admitted it.
    await at.clock.advance(Date.UTC(2026, 10, 21, 23, 59, 55) - at.clock.now());
    const budgetsOfTwo = () => settings([budget({ hardMicros: 3 * RESERVED, window: "day" })]);
    const slow = processOf(at, { plays: { a: [{ words: [[10_000, "late"]] }] }, budgets: budgetsOfTwo });
    const underWay = slow.call();
    for (let n = 0; n < 5; n += 1) await at.clock.advance(1);
    const [today, tomorrow] = ["global:*|day|*|2026-11-21", "global:*|day|*|2026-11-22"];
    const before = await accountOf(at, today);
    expect(before).toMatchObject({ committed: COST, held: RESERVED });
    await at.clock.advance(6_000);
    expect((await slow.call(undefined, undefined, AbortSignal.abort())).ok).toBe(false);
    expect((await accountOf(at, tomorrow)).held).toBe(0);
    expect((await at.clock.run(underWay)).ok).toBe(true);
    expect(await accountOf(at, today)).toMatchObject({ committed: 2 * COST, held: 0, presumed: 0 });
    expect((await accountOf(at, tomorrow)).committed).toBe(0);
    expect((await slow.ask()).ok).toBe(true);
    expect(await accountOf(at, tomorrow)).toMatchObject({ committed: COST, held: 0 });
  });

  it("5 · what a fallback costs is counted by every process", async () => {
    const budgets = () => settings([budget({ hardMicros: 6 * RESERVED })]);
    const plays = { a: [{ fails: "model_overloaded" as const }], b: [{}] };
    const pods = [1, 2, 3].map(() => processOf(at, { plays, budgets }));
    const all = pods.flatMap((pod) => Array.from({ length: 20 }, () => pod.call()));
    const calls = await at.clock.run(Promise.all(all));
    const spent = calls.filter((call) => call.ok).length * COST;
    expect(spent).toBeGreaterThan(0);
    expect(await accountOf(at)).toMatchObject({ committed: spent, held: 0 });
    const sent = pods.reduce((sum, pod) => sum + (pod.models.b?.calls ?? 0), 0);
    expect(sent * COST).toBe(spent);
  });

  it("6 · nothing is forgotten by a restart of the database", async () => {
    const budgets = () => settings([budget({ hardMicros: RESERVED + COST })]);
    const one = processOf(at, { plays: { a: [{}] }, budgets });
    expect((await one.ask()).ok).toBe(true);
    const before = await accountOf(at);
    await at.restart();
    expect(await accountOf(at)).toEqual(before);
    expect((await one.ask()).ok).toBe(true);
    expect((await one.ask()).ok).toBe(false);
  });

  it("7 · a prompt near the next tier of a price is reserved at that tier", async () => {
    const long = {
      input: 2 * DEAR.input,
      cacheRead: 0,
      cacheWrite: 2 * DEAR.cacheWrite,
      output: DEAR.output,
    };
    const price = { ...DEAR, tiers: [{ aboveTokens: 272, ...long }] };
    const plays = { a: [{ usage: { input: 280, output: 10 } }] };
    const tokens = 260;
    const prompt = "x".repeat(tokens * 4);
    const reserved =
      costMicros(price, { input: 325, cacheRead: 0, cacheWrite: 0, output: 100, reasoning: 0 }) ?? 0;
    const budgets = () => settings([budget({ hardMicros: reserved })]);
    const one = processOf(at, { plays, budgets, prices: { "a/m": price } });
    const ask = () => one.call({ system: prompt });
    const calls = await at.clock.run(Promise.all([ask(), ask(), ask(), ask(), ask()]));
    expect(calls.filter((call) => call.ok)).toHaveLength(1);
    const { committed } = await accountOf(at);
    expect(committed).toBe(280 * 200 + 10 * 1_000);
    expect(committed).toBeLessThanOrEqual(reserved);
  });

  it("8 · a budget for one model counts the calls to it, and no others", async () => {
    const budgets = () =>
      settings([budget({ models: "a/*", hardMicros: RESERVED }), budget({ models: "b/m", hardMicros: USD })]);
    const one = processOf(at, { plays: { a: [{}], b: [{}] }, budgets });
    expect(await one.ask({ use: "a/m" })).toMatchObject({ ok: true });
    expect(await accountOf(at, "global:*|total|a%2F*")).toMatchObject({ committed: COST });
    expect(await one.ask({ use: "a/m" })).toMatchObject({ ok: false });
    expect(await one.ask({ use: "b/m" })).toMatchObject({ ok: true });
    expect(await accountOf(at, "global:*|total|b%2Fm")).toMatchObject({ committed: COST });
    expect(await accountOf(at)).toMatchObject({ committed: 0 });
  });

  it("9 · holds for the worst case do not starve agents who never come near it", async () => {
    // At worst an answer may cost $6.4, and 30 of them at once do not fit into $25; in truth each costs a cent.
    const budgets = () => settings([budget({ hardMicros: 25 * USD })]);
    const plays = { a: [{ usage: { input: 100, output: 90 } }] };
    const of = { plays, budgets, prices: { "a/m": CHEAP } };
    const one = processOf(at, of);
    const ask = { maxOutputTokens: 64_000 };
    const cold = await at.clock.run(Promise.all(Array.from({ length: 30 }, () => one.call(ask))));
    expect(cold.filter((call) => call.ok)).toHaveLength(3);
    for (let n = 0; n < 17; n += 1) expect((await one.ask(ask)).ok).toBe(true);
    const warm = await at.clock.run(Promise.all(Array.from({ length: 30 }, () => one.call(ask))));
    expect(warm.filter((call) => call.ok)).toHaveLength(30);
    // What was learnt is there for the next process too.
    const next = processOf(at, of);
    const again = await at.clock.run(Promise.all(Array.from({ length: 30 }, () => next.call(ask))));
    expect(again.filter((call) => call.ok)).toHaveLength(30);
  });
});
