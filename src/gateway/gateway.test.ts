import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/support/manual-clock.ts";
import type { GatewayRequest } from "../contracts/model-gateway.ts";
import type {
  ModelCallOptions,
  ModelProvider,
  ModelRequest,
  ModelResult,
} from "../contracts/model-provider.ts";
import { failure } from "../domain/errors.ts";
import { NO_USAGE } from "../domain/message.ts";
import { createModelGateway, type GatewayOptions } from "./gateway.ts";

type Answer = (request: ModelRequest, options: ModelCallOptions) => Promise<ModelResult> | ModelResult;

function provider(
  name: string,
  answers: readonly Answer[],
): ModelProvider & { readonly calls: ModelRequest[] } {
  const calls: ModelRequest[] = [];
  return {
    name,
    calls,
    generate: async (request, options) => {
      const answer = answers[Math.min(calls.length, answers.length - 1)]!;
      calls.push(request);
      return answer(request, options);
    },
    health: async () => ({ status: "ok", detail: "here" }),
    models: async () => ["m"],
  };
}

const fine: Answer = (request) => ({
  ok: true,
  reply: {
    text: "hello",
    toolCalls: [],
    reasoning: "",
    finish: "stop",
    usage: { ...NO_USAGE, input: 100, output: 10 },
    model: request.model,
    firstTokenMs: 5,
    ms: 9,
  },
});
const broken =
  (code: Parameters<typeof failure>[0], extra: object = {}): Answer =>
  () => ({ ok: false, failure: failure(code, `it is ${code}`), ...extra });
const hangs: Answer = (_, { signal }) =>
  new Promise((resolve) => {
    signal.addEventListener("abort", () =>
      resolve({ ok: false, failure: failure("canceled", "aborted by its signal") }),
    );
  });

const request: GatewayRequest = {
  system: "",
  messages: [{ role: "user", text: "hi" }],
  tools: [],
  maxOutputTokens: 100,
  stage: "execute",
};

function setUp(answers: readonly Answer[], extra: Partial<GatewayOptions> = {}) {
  const clock = new ManualClock();
  const claude = provider("anthropic", answers);
  const gateway = createModelGateway({
    providers: [{ provider: claude, defaultModel: "claude-sonnet-4-6" }],
    howToConfigure: "set ANTHROPIC_API_KEY",
    prices: {
      "anthropic/claude-sonnet-4-6": {
        input: 3_000_000,
        cacheRead: 300_000,
        cacheWrite: 3_750_000,
        output: 15_000_000,
      },
    },
    clock,
    random: () => 0.5,
    ...extra,
  });
  return { clock, claude, gateway };
}
const never = new AbortController().signal;

describe("call", () => {
  test("answers with the reply, its attempts, its usage and its price", async () => {
    const { gateway, claude } = setUp([fine]);
    const result = await gateway.call(request, { signal: never });
    expect(result).toMatchObject({ ok: true, reply: { text: "hello" } });
    expect(result.record).toEqual({
      provider: "anthropic",
      model: "claude-sonnet-4-6",
      stage: "execute",
      policy: "quality-first",
      candidates: [{ provider: "anthropic", model: "claude-sonnet-4-6", score: expect.any(Number) }],
      reason: "the only candidate",
      attempts: [{ provider: "anthropic", model: "claude-sonnet-4-6", ms: 0, code: "ok" }],
      usage: { ...NO_USAGE, input: 100, output: 10 },
      costMicros: 450,
      estimated: false,
      firstTokenMs: 5,
      ms: 0,
    });
    expect(claude.calls[0]).not.toHaveProperty("stage");
  });

  test("retries what can be retried, with jitter, and records and bills every attempt", async () => {
    const spent = { usage: { ...NO_USAGE, input: 7 } };
    const { gateway, clock } = setUp([broken("model_overloaded"), broken("model_truncated", spent), fine]);
    const started = clock.now();
    const result = await clock.run(gateway.call(request, { signal: never }));
    expect(result.record.attempts.map((attempt) => attempt.code)).toEqual([
      "model_overloaded",
      "model_truncated",
      "ok",
    ]);
    expect(clock.now() - started).toBe(500 + 1_000);
    expect(result.record.usage.input).toBe(107);
    expect(clock.pending).toBe(0);
  });

  test("waits as long as Retry-After says, and a little more", async () => {
    const { gateway, clock } = setUp([broken("model_rate_limited", { retryAfterMs: 20_000 }), fine]);
    const started = clock.now();
    const result = await clock.run(gateway.call(request, { signal: never }));
    expect(result.ok).toBe(true);
    expect(clock.now() - started).toBe(21_000);
  });

  test("does not wait past its time limit", async () => {
    const { gateway, clock } = setUp([broken("model_rate_limited", { retryAfterMs: 3_600_000 })]);
    const started = clock.now();
    const result = await clock.run(gateway.call(request, { signal: never }));
    expect(result).toMatchObject({ ok: false, failure: { code: "model_rate_limited", retryable: true } });
    expect(!result.ok && result.failure.message).toMatch(/past the call's time limit/);
    expect(clock.now()).toBe(started);
  });

  test.each(["model_auth", "model_invalid_request", "model_context_overflow", "script_exhausted"] as const)(
    "does not retry %s",
    async (code) => {
      const { gateway, claude, clock } = setUp([broken(code)]);
      const result = await clock.run(gateway.call(request, { signal: never }));
      expect(result).toMatchObject({ ok: false, failure: { code, message: `it is ${code}` } });
      expect(claude.calls).toHaveLength(1);
    },
  );

  test("gives up after its attempts, and says what they ended with", async () => {
    const { gateway, claude, clock } = setUp([broken("model_overloaded")], { policy: { maxAttempts: 3 } });
    const result = await clock.run(gateway.call(request, { signal: never }));
    expect(claude.calls).toHaveLength(3);
    expect(!result.ok && result.failure.message).toMatch(
      /gave up after 3 attempts: model_overloaded, model_overloaded/,
    );
  });

  test("is canceled while it waits for a retry", async () => {
    const { gateway, claude, clock } = setUp([broken("model_overloaded")]);
    const abort = new AbortController();
    const answer = gateway.call(request, { signal: abort.signal });
    await clock.advance(10);
    abort.abort();
    expect(await answer).toMatchObject({ ok: false, failure: { code: "canceled" } });
    expect(claude.calls).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  test("is canceled while the model answers, and leaves a provider behind that does not listen", async () => {
    for (const deaf of [false, true]) {
      const { gateway, clock } = setUp([deaf ? () => new Promise<never>(() => {}) : hangs]);
      const abort = new AbortController();
      const answer = gateway.call(request, { signal: abort.signal });
      await clock.advance(10);
      abort.abort();
      expect(await clock.run(answer)).toMatchObject({ ok: false, failure: { code: "canceled" } });
      expect(clock.pending).toBe(0);
    }
  });

  test("ends a call that takes too long in all", async () => {
    const { gateway, clock } = setUp([hangs], { policy: { totalMs: 60_000 } });
    const started = clock.now();
    const result = await clock.run(gateway.call(request, { signal: never }));
    expect(result).toMatchObject({ ok: false, failure: { code: "model_timeout", retryable: false } });
    expect(clock.now() - started).toBe(60_000);
  });

  test("a provider that throws is a failure of ours, not a crash", async () => {
    const { gateway } = setUp([
      () => {
        throw new Error("boom");
      },
    ]);
    const result = await gateway.call(request, { signal: never });
    expect(result).toMatchObject({ ok: false, failure: { code: "internal" } });
    expect(!result.ok && result.failure.message).toMatch(/"anthropic" threw: boom/);
  });

  test("gives a sign of life before the first token and between tokens, also while it waits", async () => {
    let say: (text: string) => void = () => {};
    const slow: Answer = (_, options) => {
      say = (text) => options.onDelta?.({ kind: "text", text });
      return hangs(_, options);
    };
    const { gateway, clock } = setUp([broken("model_rate_limited", { retryAfterMs: 30_000 }), slow]);
    const beats: { at: number; idle: number }[] = [];
    const abort = new AbortController();
    const started = clock.now();
    const answer = gateway.call(request, {
      signal: abort.signal,
      onHeartbeat: (idle) => beats.push({ at: clock.now() - started, idle }),
    });
    await clock.advance(60_000);
    const quiet = beats.length;
    for (let i = 0; i < 20; i += 1) {
      say("x");
      await clock.advance(1_000);
    }
    expect(beats).toHaveLength(quiet);
    await clock.advance(30_000);
    abort.abort();
    await clock.run(answer);
    expect(beats[0]).toEqual({ at: 5_000, idle: 5_000 });
    const marks = [0, ...beats.map((beat) => beat.at).filter((at) => at <= 60_000), 60_000];
    expect(Math.max(...marks.slice(1).map((at, i) => at - marks[i]!))).toBeLessThanOrEqual(10_000);
    expect(beats.at(-1)!.at).toBeGreaterThan(100_000);
  });

  test("never calls more often than allowed and never waits longer than allowed", async () => {
    const codes = fc.constantFrom("ok", "model_overloaded", "model_rate_limited", "model_auth", "throw");
    const retryAfter = fc.option(fc.integer({ min: 0, max: 400_000 }), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(codes, retryAfter), { minLength: 1 }), async (plan) => {
        const answers = plan.map(([code, retryAfterMs]): Answer => {
          if (code === "ok") return fine;
          if (code === "throw") return () => Promise.reject(new Error("x"));
          return broken(code as "model_auth", retryAfterMs === undefined ? {} : { retryAfterMs });
        });
        const { gateway, claude, clock } = setUp(answers, { policy: { totalMs: 300_000 } });
        const started = clock.now();
        const result = await clock.run(gateway.call(request, { signal: never }));
        expect(claude.calls.length).toBeLessThanOrEqual(4);
        expect(result.record.attempts).toHaveLength(claude.calls.length);
        expect(result.ok).toBe(result.record.attempts.at(-1)!.code === "ok");
        expect(clock.now() - started).toBeLessThanOrEqual(300_000);
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});

describe("resolve", () => {
  const clock = new ManualClock();
  const scripted = { provider: provider("scripted", [fine]), onlyWhenNamed: true, defaultModel: "demo" };
  const ollama = { provider: provider("ollama", [fine]) };
  const claude = { provider: provider("anthropic", [fine]), defaultModel: "claude-sonnet-5" };
  const at = (extra: Partial<GatewayOptions>) =>
    createModelGateway({
      providers: [scripted, ollama, claude],
      howToConfigure: "set ANTHROPIC_API_KEY, or OLLAMA_HOST",
      clock,
      random: Math.random,
      ...extra,
    });

  test("takes what is named, then the stage's, then the default, then the first that has one", () => {
    expect(at({}).resolve("ollama/qwen3:8b", "plan")).toEqual({
      ok: true,
      provider: "ollama",
      model: "qwen3:8b",
    });
    expect(at({}).resolve("openrouter/a/b", "plan").ok).toBe(false);
    expect(at({}).resolve("scripted/demo/implement", "plan")).toMatchObject({ model: "demo/implement" });
    const staged = at({ stages: { plan: "ollama/big" }, default: "anthropic/claude-opus-5" });
    expect(staged.resolve(undefined, "plan")).toMatchObject({ provider: "ollama", model: "big" });
    expect(staged.resolve(undefined, "review")).toMatchObject({ model: "claude-opus-5" });
    expect(at({}).resolve(undefined, "review")).toMatchObject({
      provider: "anthropic",
      model: "claude-sonnet-5",
    });
    expect(at({}).resolve("anthropic", "review")).toMatchObject({ model: "claude-sonnet-5" });
    expect(at({ default: "scripted/demo" }).resolve(undefined, "plan")).toMatchObject({
      provider: "scripted",
    });
  });

  test("never takes the scripted model by itself, and says what to set", () => {
    const result = at({ providers: [scripted] }).resolve(undefined, "execute");
    expect(result).toMatchObject({ ok: false, failure: { code: "model_unknown" } });
    expect(!result.ok && result.failure.message).toBe(
      "no model provider is configured: set ANTHROPIC_API_KEY, or OLLAMA_HOST",
    );
  });

  test.each([
    ["antropic/claude-sonnet-5", 'did you mean "anthropic/claude-sonnet-5"?'],
    ["zzzzzzzz/x", "configured providers: scripted, ollama, anthropic"],
    ["ollama", "write `ollama/<model>`"],
    ["ollama/", "write `ollama/<model>`"],
    ["", "no provider is named"],
  ])("explains %j", (use, said) => {
    const result = at({}).resolve(use, "execute");
    expect(result).toMatchObject({ ok: false, failure: { code: "model_unknown" } });
    expect(!result.ok && result.failure.message).toContain(said);
  });

  test("asks for a default where several could answer and none is preferred", () => {
    const result = at({ providers: [ollama, scripted] }).resolve(undefined, "execute");
    expect(!result.ok && result.failure.message).toBe(
      "no default model is set: name one as `provider/model` (configured: ollama)",
    );
  });

  test("a call that resolves to nothing is the same failure", async () => {
    const result = await at({}).call({ ...request, use: "nobody/x" }, { signal: never });
    expect(result).toMatchObject({ ok: false, failure: { code: "model_unknown" }, record: { attempts: [] } });
  });

  test("lists providers with health, and which is the default", async () => {
    const listed = await at({}).providers(never);
    expect(listed.map((entry) => [entry.name, entry.isDefault])).toEqual([
      ["scripted", false],
      ["ollama", false],
      ["anthropic", true],
    ]);
    expect(listed[0]).toMatchObject({ health: { status: "ok" }, models: ["m"] });
  });
});
