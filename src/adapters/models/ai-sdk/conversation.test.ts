import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { realClock } from "../../../../tests/support/real-clock.ts";
import type { JsonObject } from "../../../base/json.ts";
import type { ModelProvider, ModelReply, ModelRequest } from "../../../contracts/model-provider.ts";
import type { Message } from "../../../domain/message.ts";
import { anthropicProvider } from "../anthropic/provider.ts";
import { type FakeModels, startFakeModels } from "../fake-server/server.ts";
import { googleProvider } from "../google/provider.ts";
import { ollamaProvider } from "../ollama/provider.ts";
import { openAiCompatibleProvider } from "../openai-compatible/provider.ts";
import { parseScript } from "../script/parse.ts";

const script = parseScript(
  `
name: demo
turns:
  - when: { json: true }
    times: always
    text: '{"verdict": "good", "reasons": ["short"]}'
  - when: { last_message_contains: be brief }
    times: always
    text: A long answer that was cut
    tool_calls: [{ name: bash, input: { command: ls } }]
    finish: length
  - reasoning: First I look at both.
    text: I will look.
    tool_calls:
      - { name: read_file, input: { path: a.txt } }
      - { name: bash, input: {} }
    usage: { input: 100, cache_read: 40, cache_write: 7, output: 30, reasoning: 12 }
  - expect: { last_tool: bash, tool_is_error: true, tool_result_contains: [content of a, exit 1] }
    text: Done.
`,
  "demo.yaml",
);
if (!script.ok) throw new Error(script.failure.message);

let fake: FakeModels;
beforeAll(async () => {
  fake = await startFakeModels({ scripts: [script.value], clock: realClock });
});
afterAll(() => fake.close());
beforeEach(() => fetch(`${fake.url}/__requests`, { method: "DELETE" }));

const deps = { clock: realClock };
const PROVIDERS: Readonly<Record<string, () => ModelProvider>> = {
  anthropic: () => anthropicProvider({ apiKey: "k", baseUrl: fake.url }, deps),
  openai: () => openAiCompatibleProvider({ name: "openai", baseUrl: `${fake.url}/v1` }, deps),
  google: () => googleProvider({ apiKey: "k", baseUrl: `${fake.url}/v1beta` }, deps),
  ollama: () => ollamaProvider({ baseUrl: fake.url }, deps),
};

const tool = (name: string) => ({
  name,
  description: `the tool ${name}`,
  input: { type: "object", properties: { path: { type: "string" } } },
});
const base: ModelRequest = {
  model: "demo",
  system: "You look at things.",
  messages: [{ role: "user", text: "look" }],
  tools: [tool("read_file"), tool("bash")],
  maxOutputTokens: 1_234,
  temperature: 0.5,
};
const { signal } = new AbortController();

async function ask(provider: ModelProvider, change: Partial<ModelRequest> = {}): Promise<ModelReply> {
  const result = await provider.generate({ ...base, ...change }, { signal });
  if (!result.ok) throw new Error(`${result.failure.code}: ${result.failure.message}`);
  return result.reply;
}
const sentBody = (n: number): JsonObject => fake.journal[n]!.body;

describe.each(Object.keys(PROVIDERS))("%s", (name) => {
  test("a conversation with tools, one failing, goes there and back whole", async () => {
    const provider = PROVIDERS[name]!();
    const first = await ask(provider);
    expect(first).toMatchObject({
      text: "I will look.",
      reasoning: "First I look at both.",
      finish: "tool_calls",
      toolCalls: [
        { name: "read_file", input: { path: "a.txt" } },
        { name: "bash", input: {} },
      ],
    });
    const [read, bash] = first.toolCalls;
    const history: Message[] = [
      ...base.messages,
      {
        role: "assistant",
        text: first.text,
        toolCalls: first.toolCalls,
        ...(first.providerData === undefined ? {} : { providerData: first.providerData }),
      },
      {
        role: "tool",
        results: [
          { callId: read!.id, name: "read_file", text: "content of a", isError: false },
          { callId: bash!.id, name: "bash", text: "exit 1", isError: true },
        ],
      },
    ];
    expect((await ask(provider, { messages: history })).text).toBe("Done.");
    // The journal stores what the provider wants back as JSON: it must survive that.
    const stored = JSON.parse(JSON.stringify(history)) as Message[];
    expect((await ask(provider, { messages: stored })).text).toBe("Done.");
    expect(sentBody(2)).toEqual(sentBody(1));
  });

  test("every token is in one bucket", async () => {
    const { usage } = await ask(PROVIDERS[name]!());
    const expected = {
      anthropic: { input: 100, cacheRead: 40, cacheWrite: 7, output: 30, reasoning: 12 },
      openai: { input: 100, cacheRead: 40, cacheWrite: 7, output: 30, reasoning: 12 },
      google: { input: 107, cacheRead: 40, cacheWrite: 0, output: 30, reasoning: 12 },
      ollama: { input: 147, cacheRead: 0, cacheWrite: 0, output: 42, reasoning: 0 },
    }[name];
    expect(usage).toEqual(expected);
  });

  test("JSON is asked for in the provider's own way", async () => {
    const schema = {
      type: "object",
      properties: { verdict: { type: "string" }, reasons: { type: "array", items: { type: "string" } } },
      required: ["verdict", "reasons"],
      additionalProperties: false,
    };
    const reply = await ask(PROVIDERS[name]!(), { json: schema, tools: [] });
    expect(JSON.parse(reply.text)).toEqual({ verdict: "good", reasons: ["short"] });
    expect(reply.finish).toBe("stop");
    expect(JSON.stringify(sentBody(0))).toContain("verdict");
  });

  test("an answer at its length limit says so, even with tool calls", async () => {
    const reply = await ask(PROVIDERS[name]!(), { messages: [{ role: "user", text: "be brief" }] });
    expect(reply.finish).toBe("length");
  });

  test("deltas are the answer in pieces, and the first is timed", async () => {
    const heard: Record<string, string> = {};
    const result = await PROVIDERS[name]!().generate(base, {
      signal,
      onDelta: ({ kind, text }) => {
        heard[kind] = (heard[kind] ?? "") + text;
      },
    });
    expect(heard).toMatchObject({ text: "I will look.", reasoning: "First I look at both." });
    expect(heard.tool).toContain("read_file");
    expect(result.ok && result.reply.firstTokenMs <= result.reply.ms).toBe(true);
  });

  test("an empty answer in the history is left out, and another provider's data is ignored", async () => {
    const provider = PROVIDERS[name]!();
    const messages: Message[] = [
      { role: "user", text: "look" },
      { role: "assistant", text: "", toolCalls: [], providerData: { provider: "other", pieces: [] } },
      { role: "user", text: "be brief" },
    ];
    await ask(provider, { messages });
    expect(JSON.stringify(sentBody(0))).not.toMatch(/assistant|"model","parts"/);
  });
});

test("anthropic gets its thinking back with its signature, and marks what may be cached", async () => {
  const provider = PROVIDERS.anthropic!();
  const first = await ask(provider);
  await ask(provider, {
    messages: [
      ...base.messages,
      { role: "assistant", text: first.text, toolCalls: first.toolCalls, providerData: first.providerData! },
      {
        role: "tool",
        results: first.toolCalls.map((call, index) => ({
          callId: call.id,
          name: call.name,
          text: index === 0 ? "content of a" : "exit 1",
          isError: index === 1,
        })),
      },
    ],
  });
  const body = sentBody(1);
  expect((body.messages as JsonObject[])[1]).toMatchObject({
    role: "assistant",
    content: [
      {
        type: "thinking",
        thinking: "First I look at both.",
        signature: Buffer.from("First I look at both.").toString("base64"),
      },
      { type: "text", text: "I will look." },
      { type: "tool_use", name: "read_file" },
      { type: "tool_use", name: "bash" },
    ],
  });
  expect(JSON.stringify(body.system)).toContain("cache_control");
  expect(JSON.stringify((body.messages as JsonObject[]).at(-1))).toContain("cache_control");
  expect(body).toMatchObject({ max_tokens: 1_234, stream: true });
});

test("google gets the signatures of its thoughts back", async () => {
  const provider = PROVIDERS.google!();
  const first = await ask(provider);
  expect(JSON.stringify(first.providerData)).toContain("thoughtSignature");
});

test("ollama is told its window and its limits where it reads them, and not to cut the prompt", async () => {
  await ask(PROVIDERS.ollama!(), { contextTokens: 65_536 });
  expect(sentBody(0)).toMatchObject({
    options: { num_ctx: 65_536, num_predict: 1_234, temperature: 0.5 },
    truncate: false,
    shift: false,
    stream: true,
  });
  await ask(PROVIDERS.ollama!());
  expect(sentBody(1)).toMatchObject({ options: { num_ctx: 16_384 } });
});

test("ollama is not sent what cannot fit", async () => {
  const messages: Message[] = [{ role: "user", text: "x".repeat(20_000) }];
  const result = await PROVIDERS.ollama!().generate({ ...base, messages, contextTokens: 2_048 }, { signal });
  expect(result).toMatchObject({ ok: false, failure: { code: "model_context_overflow" } });
  expect(fake.journal).toHaveLength(0);
});

test("openai is asked for usage and for a schema that need not be strict", async () => {
  await ask(PROVIDERS.openai!(), { json: { type: "object" }, tools: [] });
  expect(sentBody(0)).toMatchObject({
    stream_options: { include_usage: true },
    max_tokens: 1_234,
    response_format: { type: "json_schema", json_schema: { strict: false } },
  });
});
