import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { realClock } from "../../../../tests/support/real-clock.ts";
import type { ModelProvider, ModelRequest, ModelResult } from "../../../contracts/model-provider.ts";
import { anthropicProvider } from "../anthropic/provider.ts";
import { googleProvider } from "../google/provider.ts";
import { ollamaProvider } from "../ollama/provider.ts";
import { openAiCompatibleProvider } from "../openai-compatible/provider.ts";
import { FAULT_CODES } from "../script/faults.ts";
import { parseScript } from "../script/parse.ts";
import { FAULT_KINDS } from "../script/schema.ts";
import { type FakeModels, startFakeModels } from "./server.ts";

const script = parseScript(
  `
name: demo
turns:
  - times: always
    reasoning: I should greet.
    text: Hello there, general. The stream breaks somewhere in here.
    tool_calls: [{ name: wave, input: { hand: left, note: "später – 手" } }]
    usage: { input: 70, cache_read: 20, cache_write: 5, output: 9, reasoning: 3 }
`,
  "demo.yaml",
);
if (!script.ok) throw new Error(script.failure.message);

let fake: FakeModels;
beforeAll(async () => {
  fake = await startFakeModels({ scripts: [script.value], clock: realClock });
});
afterAll(() => fake.close());

type Headers = Readonly<Record<string, string>>;
/** Short where silence is the point; long where a busy machine must not look like it. */
const depsFor = (headers: Headers) => {
  const ms = ["stall", "hang"].includes(headers["x-fake-fault"] ?? "") ? 300 : 20_000;
  return { clock: realClock, limits: { firstByteMs: ms, idleMs: ms } };
};
const PROVIDERS: Readonly<Record<string, (headers: Headers) => ModelProvider>> = {
  anthropic: (headers) =>
    anthropicProvider({ apiKey: "sk-test-key", baseUrl: fake.url, headers }, depsFor(headers)),
  openai: (headers) =>
    openAiCompatibleProvider(
      { name: "openai", apiKey: "sk-test-key", baseUrl: `${fake.url}/v1`, headers },
      depsFor(headers),
    ),
  google: (headers) =>
    googleProvider({ apiKey: "sk-test-key", baseUrl: fake.url, headers }, depsFor(headers)),
  ollama: (headers) => ollamaProvider({ baseUrl: fake.url, headers }, depsFor(headers)),
};
const NAMES = Object.keys(PROVIDERS);

const request: ModelRequest = {
  model: "demo",
  system: "You greet.",
  messages: [{ role: "user", text: "hi" }],
  tools: [{ name: "wave", description: "waves", input: { type: "object", properties: {} } }],
  maxOutputTokens: 1_000,
};

function ask(name: string, headers: Headers, change: Partial<ModelRequest> = {}): Promise<ModelResult> {
  const provider = PROVIDERS[name]!(headers);
  return provider.generate({ ...request, ...change }, { signal: new AbortController().signal });
}

describe.each(NAMES)("%s", (name) => {
  // A library that prints an error instead of telling it has swallowed it.
  const printed = [vi.spyOn(console, "warn"), vi.spyOn(console, "error")];
  afterEach(() => {
    for (const spy of printed) expect(spy).not.toHaveBeenCalled();
  });

  test.each(FAULT_KINDS)("calls %s what it is, and never an answer", async (kind) => {
    const result = await ask(name, { "x-fake-fault": kind });
    expect(result.ok ? `answered: ${result.reply.text}` : result.failure.code).toBe(FAULT_CODES[kind]);
    const said = result.ok ? "" : result.failure.message;
    expect(said).not.toContain("sk-test-key");
    if (kind === "truncated") expect(said).toBe(`${name} ended its stream without an end marker`);
    if (kind === "no_usage") expect(said).toBe(`${name} ended its stream without saying what was used`);
  });

  test.each(["none", "split=1", "split=7,comments", "crlf", "comments"])(
    "takes an answer as it is, however it is cut up (%s)",
    async (wire) => {
      const headers = name === "ollama" && wire === "crlf" ? {} : { "x-fake-wire": wire };
      const result = await ask(name, headers);
      expect(result).toMatchObject({
        ok: true,
        reply: {
          text: "Hello there, general. The stream breaks somewhere in here.",
          reasoning: "I should greet.",
          toolCalls: [{ name: "wave", input: { hand: "left", note: "später – 手" } }],
          finish: "tool_calls",
          model: "demo",
        },
      });
    },
  );

  test("waits as long as the provider says", async () => {
    const result = await ask(name, { "x-fake-fault": "rate_limited", "x-fake-retry-after-ms": "7000" });
    expect(result).toMatchObject({
      ok: false,
      retryAfterMs: 7_000,
      failure: { code: "model_rate_limited", retryable: true },
    });
  });

  test("nothing listens: the provider cannot be reached", async () => {
    const gone = await startFakeModels({ scripts: [], clock: realClock });
    const { url } = gone;
    await gone.close();
    const deaf: Readonly<Record<string, () => ModelProvider>> = {
      anthropic: () => anthropicProvider({ apiKey: "k", baseUrl: url }, { clock: realClock }),
      openai: () => openAiCompatibleProvider({ name: "openai", baseUrl: url }, { clock: realClock }),
      google: () => googleProvider({ apiKey: "k", baseUrl: url }, { clock: realClock }),
      ollama: () => ollamaProvider({ baseUrl: url }, { clock: realClock }),
    };
    const provider = deaf[name]!();
    const { signal } = new AbortController();
    const result = await provider.generate(request, { signal });
    expect(result).toMatchObject({ ok: false, failure: { code: "model_unavailable", retryable: true } });
    expect(!result.ok && result.failure.message).toMatch(/could not be reached: .*ECONNREFUSED/);
    expect(await provider.health(signal)).toMatchObject({ status: "failing" });
    expect(await provider.models(signal)).toEqual([]);
  });

  test("an abort ends the call at once and reaches the server", async () => {
    const abort = new AbortController();
    const provider = PROVIDERS[name]!({ "x-fake-fault": "stall" });
    const heard: string[] = [];
    const result = await provider.generate(request, {
      signal: abort.signal,
      onDelta: (delta) => {
        heard.push(delta.text);
        abort.abort();
      },
    });
    expect(result).toMatchObject({ ok: false, failure: { code: "canceled" } });
    expect(heard.length).toBeGreaterThan(0);
    const entry = fake.journal.at(-1)!;
    await expect.poll(() => entry.ended).toBe("client_left");
  });

  test("an aborted signal sends nothing", async () => {
    const before = fake.journal.length;
    const provider = PROVIDERS[name]!({});
    const result = await provider.generate(request, { signal: AbortSignal.abort() });
    expect(result).toMatchObject({ ok: false, failure: { code: "canceled" } });
    expect(fake.journal).toHaveLength(before);
  });

  test("says that it is well, and what models there are", async () => {
    const provider = PROVIDERS[name]!({});
    const { signal } = new AbortController();
    expect(await provider.health(signal)).toEqual({ status: "ok", detail: `answers at ${fake.url}` });
    expect(await provider.models(signal)).toEqual(["demo"]);
  });
});

test("the key never comes back in a message", async () => {
  const provider = openAiCompatibleProvider(
    { name: "openai", apiKey: "Overloaded", baseUrl: `${fake.url}/v1`, headers: { "x-fake-fault": "auth" } },
    { clock: realClock },
  );
  const secret = openAiCompatibleProvider(
    { name: "openai", apiKey: "Incorrect", baseUrl: `${fake.url}/v1`, headers: { "x-fake-fault": "auth" } },
    { clock: realClock },
  );
  const { signal } = new AbortController();
  const plain = await provider.generate(request, { signal });
  expect(JSON.stringify(plain)).toContain("Incorrect API key provided");
  const hidden = await secret.generate(request, { signal });
  expect(JSON.stringify(hidden)).not.toContain("Incorrect");
  expect(JSON.stringify(hidden)).toContain("[redacted] API key provided");
});
