import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Payer } from "../../src/domain/budget.ts";
import { ManualClock } from "../support/manual-clock.ts";
import {
  accountOf,
  budget,
  CHEAP,
  DEAR,
  type Play,
  processOf,
  settings,
  USD,
  type World,
  world,
} from "./world.ts";

/** Of 100 prompt tokens and 10 of output at DEAR. */
const COST = 20_000;
/** What is reserved for it while nothing was learnt: 125 and 100. */
const RESERVED = 112_500;

/** The dear one is the better one. */
const BEST_FIRST = { catalogue: { "a/m": { quality: 4 as const }, "b/m": { quality: 3 as const } } };

let at: World;
beforeEach(async () => {
  at = await world();
});
afterEach(() => at.close());

/** Lets everything happen that needs no time. */
async function settled(): Promise<void> {
  for (let n = 0; n < 8; n += 1) await at.clock.advance(0);
}

describe("before a call", () => {
  it("its record says what it reserved and settled, and where", async () => {
    const budgets = () =>
      settings([budget(), budget({ scope: "tenant", window: "day" }), budget({ scope: "run" })]);
    const one = processOf(at, { plays: { a: [{}] }, budgets });
    const payer: Payer = { tenant: "acme", user: null, runs: [{ id: "run_a", budgetMicros: 5 * USD }] };
    const call = await one.ask({}, payer);
    expect(call.record.budget).toEqual({
      reserved: RESERVED,
      settled: COST,
      estimated: false,
      scopes: ["the budget of run run_a", "the day's budget of tenant acme", "the budget of everybody"],
    });
    for (const key of ["run:run_a|total|*", "tenant:acme|day|*|2026-11-21", "global:*|total|*"]) {
      expect(await accountOf(at, key), key).toMatchObject({ committed: COST, held: 0, risk: 0 });
    }
  });

  it("the next cheaper candidate is asked when the first does not fit, and the record explains it", async () => {
    const budgets = () => settings([budget({ hardMicros: 50_000 })]);
    const prices = { "a/m": DEAR, "b/m": { ...DEAR, output: 2 * DEAR.output }, "c/m": CHEAP };
    const one = processOf(at, { plays: { a: [{}], b: [{}], c: [{}] }, budgets, prices, options: BEST_FIRST });
    const call = await one.ask();
    expect(call).toMatchObject({ ok: true, record: { provider: "c" } });
    expect([one.models.a?.calls, one.models.b?.calls]).toEqual([0, 0]);
    const excluded = call.record.candidates.map(({ provider, excluded }) => [provider, excluded ?? ""]);
    expect(excluded[0]?.[1]).toContain("the budget of everybody has no room for a call to");
    expect(excluded[2]).toEqual(["c", ""]);
  });

  it("or the call fails, where that is wanted", async () => {
    const budgets = () => settings([budget({ hardMicros: 50_000 })], { onRefusal: "fail" });
    const prices = { "a/m": DEAR, "b/m": CHEAP };
    const one = processOf(at, { plays: { a: [{}], b: [{}] }, budgets, prices, options: BEST_FIRST });
    expect(await one.ask()).toMatchObject({
      ok: false,
      failure: { code: "budget_exhausted", retryable: false, details: { scope: "global", spent_micros: 0 } },
    });
    expect(one.models.b?.calls).toBe(0);
  });

  it("a model that costs nothing takes over when all is spent", async () => {
    const budgets = () => settings([budget({ hardMicros: COST })], { estimate: "p95" });
    const free = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0 };
    const one = processOf(at, {
      plays: { a: [{}], local: [{}] },
      budgets,
      prices: { "a/m": DEAR, "local/m": free },
    });
    expect(await one.ask()).toMatchObject({ ok: true, record: { provider: "local", costMicros: 0 } });
  });

  it("nothing is sent when the store cannot be reached", async () => {
    const budgets = () => settings([budget()]);
    const broken = {
      ...at,
      spend: { ...at.spend, apply: () => Promise.reject(new Error("gone")), outputs: async () => [] },
    };
    const one = processOf(broken, { plays: { a: [{}], b: [{}] }, budgets });
    expect(await one.ask()).toMatchObject({ ok: false, failure: { code: "unavailable" } });
    expect([one.models.a?.calls, one.models.b?.calls]).toEqual([0, 0]);
  });

  it("whoever is canceled while it reserves sends nothing and holds nothing", async () => {
    const budgets = () => settings([budget()]);
    const one = processOf(at, { plays: { a: [{}] }, budgets });
    const controller = new AbortController();
    const call = one.call({}, undefined, controller.signal);
    controller.abort();
    expect(await at.clock.run(call)).toMatchObject({ ok: false, failure: { code: "canceled" } });
    await settled();
    expect(one.models.a?.calls).toBe(0);
    expect(await accountOf(at)).toMatchObject({ held: 0, committed: 0 });
  });
});

describe("a call without a budget", () => {
  it("waits for nothing, and is booked in passing", async () => {
    const one = processOf(at, { plays: { a: [{}] }, budgets: () => settings([]) });
    const call = await one.ask({}, { tenant: "acme", user: "ann", runs: [] });
    expect(call).toMatchObject({ ok: true });
    expect(call.record.budget).toBeUndefined();
    expect(await at.spend.spent({})).toEqual([]);
    await at.clock.advance(1_000);
    await settled();
    expect(await at.spend.spent({ tenant: "acme", user: "ann" })).toMatchObject([
      { model: "a/m", stage: "execute", calls: 1, chargedMicros: COST, inputTokens: 100, outputTokens: 10 },
    ]);
    expect(await at.spend.accountsFrom({ prefix: "", after: null, limit: 1 })).toEqual([]);
  });

  it("is written before a process ends, and again when the store was away", async () => {
    let away = true;
    const flaky: World = {
      ...at,
      spend: {
        ...at.spend,
        outputs: (query) => at.spend.outputs(query),
        apply: (ops) => (away ? Promise.reject(new Error("away")) : at.spend.apply(ops)),
      },
    };
    const one = processOf(flaky, { plays: { a: [{}] }, budgets: () => settings([]) });
    await one.ask();
    await one.desk.flush();
    expect(await at.spend.spent({})).toEqual([]);
    away = false;
    await one.desk.flush();
    expect(await at.spend.spent({})).toMatchObject([{ calls: 1 }]);
  });
});

describe("every attempt", () => {
  it("of a call that is tried again is paid for", async () => {
    const budgets = () => settings([budget()]);
    const broken: Play = { words: [[1, "x".repeat(40)]], fails: "model_truncated" };
    const one = processOf(at, { plays: { a: [broken, {}] }, budgets });
    const call = await one.ask();
    // Broken off: the prompt, and ten tokens that were heard; then the whole.
    expect(call).toMatchObject({ ok: true, record: { estimated: true, budget: { estimated: true } } });
    const committed = 2 * COST;
    expect(call.record.budget).toMatchObject({ reserved: 2 * RESERVED, settled: committed });
    expect(await accountOf(at)).toMatchObject({ committed, held: 0 });
    expect(await at.spend.spent({})).toMatchObject([{ calls: 2, estimatedMicros: COST }]);
  });

  it("that is refused by the provider costs nothing", async () => {
    const budgets = () => settings([budget()]);
    const one = processOf(at, { plays: { a: [{ fails: "model_rate_limited" }, {}] }, budgets });
    expect(await one.ask()).toMatchObject({ ok: true, record: { budget: { settled: COST } } });
    expect(await accountOf(at)).toMatchObject({ committed: COST, held: 0 });
  });

  it("that lost a race is booked, by estimate", async () => {
    const budgets = () => settings([budget({ hardMicros: 100 * USD })]);
    const quick: Play = { words: [[400, "fast"]] };
    const one = processOf(at, {
      plays: { a: [...Array.from({ length: 40 }, () => quick), { words: [[60_000, "late"]] }], b: [quick] },
      budgets,
      options: { routing: { policy: "latency-first", explore: 0 } },
    });
    for (let n = 0; n < 40; n += 1) expect((await one.ask()).record.provider).toBe("a");
    const before = await accountOf(at);
    const racing = one.call();
    await settled();
    await at.clock.advance(402);
    await settled();
    const call = await at.clock.run(racing);
    expect(call.record.attempts.map(({ code }) => code).sort()).toEqual(["hedge_lost", "ok"]);
    expect(call.record.budget).toMatchObject({ estimated: true, settled: call.record.costMicros });
    const after = await accountOf(at);
    expect(after).toMatchObject({ held: 0, committed: before.committed + (call.record.costMicros ?? 0) });
    expect(call.record.costMicros).toBeGreaterThan(COST);
  });

  it("beside a late one is not started when there is no room for it", async () => {
    let hardMicros = 100 * USD;
    const budgets = () => settings([budget({ hardMicros })]);
    const quick: Play = { words: [[400, "fast"]] };
    const one = processOf(at, {
      plays: { a: [...Array.from({ length: 40 }, () => quick), { words: [[1_500, "late"]] }], b: [quick] },
      budgets,
      options: { routing: { policy: "latency-first", explore: 0 } },
    });
    for (let n = 0; n < 40; n += 1) await one.ask();
    hardMicros = (await accountOf(at)).committed + 25_000;
    const call = await one.ask();
    expect(call.record.attempts.map(({ provider, code }) => [provider, code])).toEqual([["a", "ok"]]);
    expect(one.models.b?.calls).toBe(0);
  });

  it("that was canceled is charged for its prompt and what was heard", async () => {
    const budgets = () => settings([budget()]);
    const play: Play = { words: [[10, "x".repeat(80)]], hangs: true };
    const one = processOf(at, { plays: { a: [play] }, budgets });
    const controller = new AbortController();
    const call = one.call({}, undefined, controller.signal);
    await settled();
    await at.clock.advance(10);
    controller.abort();
    expect(await at.clock.run(call)).toMatchObject({ ok: false, record: { budget: { estimated: true } } });
    expect(await accountOf(at)).toMatchObject({ committed: 100 * 100 + 20 * 1_000, held: 0 });
  });
});

describe("while an answer comes", () => {
  const talk = (words: number): Play => ({
    words: Array.from({ length: words }, () => [1_000, "x".repeat(40)] as const),
    usage: { input: 100, output: words * 10 },
  });
  /** A process that has learnt that answers have ten tokens. */
  async function experienced(last: Play, budgets: () => ReturnType<typeof settings>) {
    const plays = { a: [...Array.from({ length: 20 }, () => ({})), last] };
    const one = processOf(at, { plays, budgets });
    for (let n = 0; n < 20; n += 1) expect((await one.ask({ maxOutputTokens: 1_000 })).ok).toBe(true);
    return one;
  }

  it("its hold grows with it, and is renewed for as long as it lasts", async () => {
    const budgets = () => settings([budget({ hardMicros: 100 * USD })], { holdMs: 9_000 });
    const one = await experienced(talk(30), budgets);
    const call = one.call({ maxOutputTokens: 1_000 });
    await settled();
    const small = (await accountOf(at)).held;
    expect(small).toBeLessThan(30_000);
    await at.clock.advance(25_000);
    const { held, presumed } = await accountOf(at);
    expect(held).toBeGreaterThan(250_000);
    expect(presumed).toBe(0);
    const ended = await at.clock.run(call);
    expect(ended.record.budget).toMatchObject({ settled: 310_000 });
    expect(ended.record.budget?.late).toBeUndefined();
    expect(await accountOf(at)).toMatchObject({ held: 0, committed: 20 * COST + 310_000 });
  });

  it("it finishes although there is no more room, where that is wanted: the overshoot was declared", async () => {
    const hardMicros = 20 * COST + 60_000;
    let limit = 100 * USD;
    const one = await experienced(talk(30), () => settings([budget({ hardMicros: limit })]));
    limit = hardMicros;
    const call = one.call({ maxOutputTokens: 1_000 });
    await settled();
    const { risk, held } = await accountOf(at);
    expect((await at.clock.run(call)).ok).toBe(true);
    const { committed } = await accountOf(at);
    expect(committed).toBeGreaterThan(hardMicros);
    expect(committed).toBeLessThanOrEqual(20 * COST + held + risk);
  });

  it("it is cut off, where that is wanted, and what it used is charged", async () => {
    let limit = 100 * USD;
    const one = await experienced(talk(30), () =>
      settings([budget({ hardMicros: limit })], { atCap: "cut" }),
    );
    limit = 20 * COST + 60_000;
    const call = await one.ask({ maxOutputTokens: 1_000 });
    expect(call).toMatchObject({ ok: false, failure: { code: "budget_exhausted" } });
    expect(call.record.budget?.estimated).toBe(true);
    const { committed, held } = await accountOf(at);
    expect([held, committed > 20 * COST, committed <= limit]).toEqual([0, true, true]);
  });

  it("a process that stood still finds its hold gone, and books its end late", async () => {
    const budgets = () => settings([budget({ hardMicros: RESERVED + COST })], { holdMs: 1_000 });
    const still = new ManualClock(at.clock.now());
    const one = processOf({ ...at, clock: still }, { plays: { a: [{ words: [[100, "x"]] }] }, budgets });
    const call = one.call();
    await settled();
    const other = processOf(at, { plays: { a: [{}] }, budgets });
    const refused = other.call();
    await settled();
    expect((await refused).ok).toBe(false);
    await at.clock.advance(1_000);
    expect((await other.ask()).ok).toBe(true);
    expect(await accountOf(at)).toMatchObject({ held: 0, presumed: 100 * 100, committed: COST });
    const ended = await still.run(call);
    expect(ended).toMatchObject({ ok: true, record: { budget: { late: true, settled: COST } } });
    expect(await accountOf(at)).toMatchObject({ held: 0, presumed: 0, committed: 2 * COST });
  });
});

describe("a soft cap", () => {
  it("is told once, to the call that crosses it", async () => {
    const budgets = () => settings([budget({ hardMicros: USD, softMicros: 2 * COST })]);
    const processes = [1, 2].map(() => processOf(at, { plays: { a: [{}] }, budgets }));
    const told: string[] = [];
    for (let n = 0; n < 6; n += 1) {
      const call = await processes[n % 2]!.ask();
      told.push(...(call.record.budget?.warnings ?? []));
    }
    expect(told).toEqual(["the budget of everybody has passed $0.04: $0.04 of at most $1.00 are spent"]);
    expect(await accountOf(at)).toMatchObject({ warned: true });
  });
});
