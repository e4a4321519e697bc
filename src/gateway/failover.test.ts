import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/support/manual-clock.ts";
import type { GatewayRequest } from "../contracts/model-gateway.ts";
import type { ModelProvider, ModelResult } from "../contracts/model-provider.ts";
import { type ErrorCode, failure } from "../domain/errors.ts";
import { NO_USAGE } from "../domain/message.ts";
import { createModelGateway, type GatewayOptions } from "./gateway.ts";

/** What a model does with one call: words with the pause before each, then its end. */
interface Play {
  readonly words?: readonly (readonly [pauseMs: number, text: string])[];
  readonly fails?: ErrorCode;
  readonly afterMs?: number;
  /** Never ends by itself. */
  readonly hangs?: true;
  /** Goes on talking after its call was taken back. */
  readonly deaf?: true;
}

type Model = ModelProvider & { plays: readonly Play[]; calls: number; aborted: number };

function model(clock: ManualClock, name: string, plays: readonly Play[]): Model {
  const self: Model = {
    name,
    plays,
    calls: 0,
    aborted: 0,
    health: async () => ({ status: "ok", detail: "" }),
    models: async () => [],
    generate: (request, { signal, onDelta }) => {
      const play = self.plays[Math.min(self.calls, self.plays.length - 1)] as Play;
      self.calls += 1;
      return new Promise<ModelResult>((resolve) => {
        signal.addEventListener("abort", () => {
          self.aborted += 1;
          if (play.deaf !== true) resolve({ ok: false, failure: failure("canceled", "taken back") });
        });
        const words = [...(play.words ?? [])];
        const text = words.map(([, word]) => word).join("");
        const next = () => {
          if (signal.aborted && play.deaf !== true) return;
          const word = words.shift();
          if (word !== undefined) {
            clock.after(word[0], () => {
              if (!signal.aborted || play.deaf === true) onDelta?.({ kind: "text", text: word[1] });
              next();
            });
          } else if (play.hangs !== true)
            clock.after(play.afterMs ?? 0, () => resolve(end(play, request.model, text)));
        };
        next();
      });
    },
  };
  return self;
}

function end(play: Play, model: string, text: string): ModelResult {
  if (play.fails !== undefined) return { ok: false, failure: failure(play.fails, play.fails) };
  const usage = { ...NO_USAGE, input: 10, output: 5 };
  const rest = { toolCalls: [], reasoning: "", finish: "stop" as const, firstTokenMs: 0, ms: 0 };
  return { ok: true, reply: { text, usage, model, ...rest } };
}

const says = (text: string, ms = 400): Play => ({ words: [[ms, text]] });
const request: GatewayRequest = {
  system: "x".repeat(400),
  messages: [{ role: "user", text: "hi" }],
  tools: [],
  maxOutputTokens: 100,
  stage: "execute",
};
const never = new AbortController().signal;
const FREE = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0 };

function setUp(plays: Readonly<Record<string, readonly Play[]>>, extra: Partial<GatewayOptions> = {}) {
  const clock = new ManualClock();
  const models = Object.fromEntries(
    Object.entries(plays).map(([name, all]) => [name, model(clock, name, all)]),
  );
  const gateway = createModelGateway({
    providers: Object.values(models).map((provider) => ({ provider })),
    default: Object.keys(models)
      .map((name) => `${name}/m`)
      .join(", "),
    howToConfigure: "",
    clock,
    random: () => 0.5,
    routing: { policy: "latency-first" },
    prices: Object.fromEntries(Object.keys(models).map((name) => [`${name}/m`, FREE])),
    ...extra,
  });
  const heard: string[] = [];
  const ask = (
    options: Partial<Parameters<typeof gateway.call>[1]> = {},
    over: Partial<GatewayRequest> = {},
  ) =>
    clock.run(
      gateway.call(
        { ...request, ...over },
        { signal: never, onDelta: ({ text }) => heard.push(text), ...options },
      ),
    );
  const a = models.a as Model;
  const b = models.b as Model;
  return { clock, gateway, models, a, b, ask, heard };
}

/** Calls enough for a tail to be known of `a`, which is the faster. */
async function warmUp(house: ReturnType<typeof setUp>, calls = 40): Promise<void> {
  for (let n = 0; n < calls; n += 1) expect((await house.ask()).ok).toBe(true);
  house.heard.length = 0;
}

describe("failover", () => {
  test("the next candidate takes over at once, and the record explains it", async () => {
    const { ask, clock, heard } = setUp({ a: [{ fails: "model_overloaded" }], b: [says("hello")] });
    const started = clock.now();
    const result = await ask();
    expect(result).toMatchObject({ ok: true, reply: { text: "hello" } });
    expect(result.record).toMatchObject({
      provider: "b",
      policy: "latency-first",
      attempts: [
        { provider: "a", code: "model_overloaded" },
        { provider: "b", code: "ok" },
      ],
      candidates: [{ provider: "a" }, { provider: "b" }],
      estimated: false,
    });
    expect(heard).toEqual(["hello"]);
    expect(clock.now() - started).toBe(400);
    expect(clock.pending).toBe(0);
  });

  test("a wrong key sends the call elsewhere, and the next call does not try it again", async () => {
    const { ask, a } = setUp({ a: [{ fails: "model_auth" }], b: [says("hello")] });
    expect((await ask()).ok).toBe(true);
    const { record } = await ask();
    expect(a.calls).toBe(1);
    expect(record.candidates[0]?.excluded).toMatch(/^quarantined: next probe in 5m/);
  });

  test("the caller's own fault goes nowhere else", async () => {
    const { ask, b } = setUp({ a: [{ fails: "model_invalid_request" }], b: [says("hello")] });
    expect(await ask()).toMatchObject({ ok: false, failure: { code: "model_invalid_request" } });
    expect(b.calls).toBe(0);
  });

  test("a model that is taken out comes back by a single probe", async () => {
    const house = setUp(
      { a: [{ fails: "model_overloaded" }], b: [says("b")] },
      { routing: { policy: "latency-first", explore: 1 } },
    );
    for (let n = 0; n < 30 && house.a.calls < 5; n += 1) await house.ask();
    const { record } = await house.ask();
    expect(record.candidates[0]?.excluded).toMatch(/^open: /);
    house.a.plays = [says("a", 100)];
    await house.clock.advance(120_000);
    expect((await house.ask()).record.reason).toBe("probe of a model that had been taken out");
    expect((await house.ask()).record.candidates[0]).not.toHaveProperty("excluded");
  });

  test("with every candidate out, the least bad is used, and the record says so", async () => {
    const { ask } = setUp({ a: [{ fails: "model_auth" }], b: [{ fails: "model_auth" }] });
    expect((await ask()).ok).toBe(false);
    const result = await ask();
    expect(result.record.attempts.length).toBeGreaterThan(0);
    expect(result.record.reason).toMatch(/every candidate is blocked, the least bad \(quarantined/);
  });

  test("what the call must have is not traded: no candidate is a failure that names each", async () => {
    const catalogue = { "a/m": { tools: false }, "b/m": { quality: 1 as const } };
    const { ask, a, b } = setUp({ a: [says("a")], b: [says("b")] }, { catalogue });
    const tool = { name: "t", description: "", input: {} };
    const refused = await ask({}, { tools: [tool], minQuality: 2 });
    expect(refused).toMatchObject({ ok: false, failure: { code: "model_unfit" } });
    expect(!refused.ok && refused.failure.message).toBe(
      "no candidate fits the call: a/m: cannot call tools; b/m: quality tier 1, 2 needed",
    );
    expect((await ask({}, { tools: [tool] })).record.provider).toBe("b");
    expect([a.calls, b.calls]).toEqual([0, 1]);
  });
});

describe("silence", () => {
  test("before the first token is given up after three times the usual tail, and booked by estimate", async () => {
    const house = setUp(
      { a: [says("a", 1_000)], b: [says("b", 1_500)] },
      { routing: { policy: "latency-first", hedge: false } },
    );
    await warmUp(house);
    house.a.plays = [{ hangs: true }];
    const started = house.clock.now();
    const result = await house.ask();
    expect(result).toMatchObject({ ok: true, reply: { text: "b" } });
    expect(result.record.attempts).toMatchObject([
      { provider: "a", code: "model_timeout", ms: 3_000, estimated: true },
      { provider: "b", code: "ok" },
    ]);
    expect(house.clock.now() - started).toBe(4_500);
    expect(result.record).toMatchObject({ estimated: true, usage: { input: 110 + 10 - 9 } });
    expect(house.a.aborted).toBe(1);
    expect(house.clock.pending).toBe(0);
  });

  test("of the only candidate is borne longer: leaving it wins nothing", async () => {
    const { ask } = setUp({ a: [says("late", 200_000)] });
    expect((await ask()).ok).toBe(true);
  });

  test("within an answer ends it", async () => {
    const { ask, heard } = setUp({ a: [{ words: [[10, "one"]], hangs: true }], b: [says("b")] });
    const result = await ask();
    expect(result).toMatchObject({ ok: false, failure: { code: "model_timeout" } });
    expect(!result.ok && result.failure.message).toMatch(/fell silent for 1m30s.*not said twice/);
    expect(heard).toEqual(["one"]);
  });
});

describe("text that was heard", () => {
  const broken: Play = { words: [[10, "half an "]], fails: "model_truncated" };

  test("is not said twice: the call ends", async () => {
    const { ask, heard, b } = setUp({ a: [broken], b: [says("whole")] });
    expect(await ask()).toMatchObject({ ok: false, failure: { code: "model_truncated" } });
    expect([heard, b.calls]).toEqual([["half an "], 0]);
  });

  test("is taken back by a caller that can", async () => {
    const { ask, heard } = setUp({ a: [broken], b: [says("whole")] });
    const result = await ask({ onRestart: () => heard.splice(0) });
    expect(result.ok).toBe(true);
    expect(heard).toEqual(["whole"]);
    expect(result.record).toMatchObject({ estimated: true, usage: { output: 2 + 5 } });
  });
});

describe("hedging", () => {
  test("starts another one when the first is late; the first word wins, the other is taken back and booked", async () => {
    const house = setUp({ a: [says("a", 300)], b: [says("b", 400)] });
    await warmUp(house, 60);
    house.a.plays = [{ words: [[2_000, "late "]], deaf: true }];
    const started = house.clock.now();
    const result = await house.ask();
    expect(result).toMatchObject({ ok: true, reply: { text: "b" } });
    expect(result.record.attempts).toMatchObject([
      { provider: "a", code: "hedge_lost", estimated: true },
      { provider: "b", code: "ok", hedge: true },
    ]);
    expect(house.clock.now() - started).toBe(701);
    await house.clock.advance(10_000);
    expect(house.heard).toEqual(["b"]);
    expect(house.a.aborted).toBe(1);
  });

  test("is for latency-first, and within its budget", async () => {
    for (const policy of ["quality-first", "cost-first"] as const) {
      const house = setUp({ a: [says("a", 300)], b: [says("b", 400)] }, { routing: { policy } });
      await warmUp(house, 60);
      house.a.plays = [says("late", 2_000)];
      expect((await house.ask()).record.attempts).toHaveLength(1);
    }
    const house = setUp({ a: [says("a", 300)], b: [says("b", 310)] });
    await warmUp(house, 60);
    let hedges = 0;
    for (let n = 0; n < 100; n += 1) {
      house.a.plays = [says("late", 2_400)];
      house.b.plays = [says("late", 2_400)];
      hedges += (await house.ask()).record.attempts.filter((one) => one.hedge).length;
    }
    expect(hedges).toBeGreaterThan(0);
    expect(hedges).toBeLessThanOrEqual(0.05 * 160);
  });
});

test("whatever the models do, a caller hears exactly the answer it gets, and no timer is left", async () => {
  const word = fc.tuple(fc.integer({ min: 0, max: 6_000 }), fc.constantFrom("x", "y"));
  const play: fc.Arbitrary<Play> = fc.record(
    {
      words: fc.array(word, { maxLength: 3 }),
      fails: fc.constantFrom<ErrorCode>(
        "model_overloaded",
        "model_truncated",
        "model_auth",
        "model_rate_limited",
      ),
      hangs: fc.constant(true as const),
      deaf: fc.constant(true as const),
    },
    { requiredKeys: ["words"] },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(play, { minLength: 1, maxLength: 6 }),
      fc.array(play, { minLength: 1, maxLength: 6 }),
      async (a, b) => {
        const house = setUp({
          a: [...Array(25).fill(says("a", 300)), ...a],
          b: [...Array(25).fill(says("b", 320)), ...b],
        });
        for (let n = 0; n < 60; n += 1) {
          const heard: string[] = [];
          const result = await house.ask({
            onDelta: ({ text }) => heard.push(text),
            onRestart: () => heard.splice(0),
          });
          if (result.ok) expect(heard.join("")).toBe(result.reply.text);
          expect(result.record.attempts.length).toBeLessThanOrEqual(4);
          if (n < 20) expect(result.ok).toBe(true);
        }
        for (const name of ["a", "b"] as const) {
          const view = house.gateway.models().find((one) => one.provider === name);
          expect(view?.health.inFlight).toBe(0);
        }
      },
    ),
    { numRuns: 12 },
  );
});

test("models are told with their live health, each once", async () => {
  const house = setUp({ a: [says("a", 300)] }, { stages: { plan: "a/big" } });
  await warmUp(house, 25);
  const models = house.gateway.models();
  expect(new Set(models.map((one) => `${one.provider}/${one.model}`)).size).toBe(models.length);
  expect(models.find((one) => one.model === "big")).toMatchObject({
    stages: ["plan"],
    health: { state: "unused" },
  });
  expect(models.find((one) => one.provider === "a" && one.model === "m")).toMatchObject({
    available: true,
    health: { state: "ok", ttftMs: 300, ttftP95Ms: 300, samples: 25, inFlight: 0 },
  });
  expect(models.find((one) => one.model === "claude-opus-5")).toMatchObject({ available: false, quality: 4 });
  const [provider] = await house.gateway.providers(never);
  expect(provider?.live).toMatchObject([{ model: "m", samples: 25 }]);
});
