import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { LLMock } from "@copilotkit/aimock";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { anthropicProvider } from "../src/adapters/models/anthropic/provider.ts";
import { googleProvider } from "../src/adapters/models/google/provider.ts";
import { ollamaProvider } from "../src/adapters/models/ollama/provider.ts";
import { openAiCompatibleProvider } from "../src/adapters/models/openai-compatible/provider.ts";
import type { ModelProvider, ModelRequest, ModelResult } from "../src/contracts/model-provider.ts";
import { realClock } from "./support/real-clock.ts";

// Our own fakes were written by those who wrote the adapters, and may share their mistakes. This mock was written by others.

const LONG =
  "The quick brown fox jumps over the lazy dog, again and again, until the stream is long enough to break.";
const USAGE = {
  prompt_tokens: 70,
  completion_tokens: 9,
  input_tokens: 70,
  output_tokens: 9,
  promptTokenCount: 70,
  candidatesTokenCount: 9,
};

const waves = {
  content: "I wave.",
  toolCalls: [
    { name: "wave", arguments: { hand: "left", note: 'später – 手 "quoted"' } },
    { name: "wave", arguments: {} },
  ],
  usage: USAGE,
};

/**
 * Two things that it says differently from the servers it stands for, and that we do not take:
 * - of Ollama it always says that nothing was used, which a server that has answered never does;
 * - of Gemini it says FUNCTION_CALL where the API ends a call of a tool with STOP, and has no such word.
 * Both are refused (below). So that everything else can be compared, a relay gives its Ollama counts, and its Gemini has a
 * fixture that ends with STOP.
 */
const GEMINI = "gemini-1";

const mock = new LLMock({ port: 0, chunkSize: 8, logLevel: "silent" });
beforeAll(async () => {
  mock
    .onMessage("say it", { content: LONG, usage: USAGE })
    .onMessage("think", { content: "Done.", reasoning: "I should think first.", usage: USAGE })
    .on({ userMessage: "wave twice", model: GEMINI }, { ...waves, finishReason: "stop" })
    .onMessage("wave twice", waves)
    .onMessage("go on", { content: "You waved: left.", usage: USAGE })
    .onMessage("as json", { content: { hand: "left" }, usage: USAGE })
    .onMessage("short", { content: "It goes on and", finishReason: "length", usage: USAGE })
    .onMessage("cut it", { content: LONG, usage: USAGE }, { truncateAfterChunks: 3 })
    .onMessage("hang up", { content: LONG, usage: USAGE }, { latency: 40, disconnectAfterMs: 120 })
    .onMessage("garble", { content: LONG, usage: USAGE }, { chaos: { malformedRate: 1 } })
    .onMessage("drop", { content: LONG, usage: USAGE }, { chaos: { dropRate: 1 } })
    .onMessage("disconnect", { content: LONG, usage: USAGE }, { chaos: { disconnectRate: 1 } })
    .onMessage("too many", {
      error: { message: "slow down", type: "rate_limit_error" },
      status: 429,
      retryAfter: 7,
    })
    .onMessage("overload", { error: { message: "Overloaded", type: "overloaded_error" }, status: 529 })
    .onMessage("break", { error: { message: "internal error", type: "api_error" }, status: 500 })
    .onMessage("unknown key", {
      error: { message: "invalid key", type: "authentication_error" },
      status: 401,
    })
    .onMessage("wrong", { error: { message: "messages.0: bad", type: "invalid_request_error" }, status: 400 })
    .onMessage("slowly", { content: LONG, usage: USAGE }, { latency: 60_000 });
  await mock.start();
  relay = await startRelay();
});
afterAll(async () => {
  relay.close();
  relay.closeAllConnections();
  await mock.stop();
});

/** Passes on what Ollama's part of the mock says, but for its counts. */
let relay: Server;
const COUNTS = /"prompt_eval_count":0|"eval_count":0/g;

async function startRelay(): Promise<Server> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    try {
      const answer = await fetch(`${mock.url}${request.url}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: Buffer.concat(chunks),
        signal: gone.signal,
      });
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      for await (const chunk of answer.body ?? []) {
        const line = Buffer.from(chunk).toString("latin1");
        const counted = line.replaceAll(COUNTS, (found) =>
          found.replace("0", found.startsWith('"p') ? "70" : "9"),
        );
        response.write(Buffer.from(counted, "latin1"));
      }
      response.end();
    } catch {
      response.socket?.resetAndDestroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

const PROVIDERS: Readonly<Record<string, () => ModelProvider>> = {
  anthropic: () => anthropicProvider({ apiKey: "k", baseUrl: mock.url }, { clock: realClock }),
  openai: () =>
    openAiCompatibleProvider(
      { name: "openai", apiKey: "k", baseUrl: `${mock.url}/v1` },
      { clock: realClock },
    ),
  google: () => googleProvider({ apiKey: "k", baseUrl: mock.url }, { clock: realClock }),
  ollama: () => ollamaProvider({ baseUrl: relayUrl() }, { clock: realClock }),
};
const relayUrl = () => `http://127.0.0.1:${(relay.address() as AddressInfo).port}`;
const WIRES = Object.keys(PROVIDERS);

const tools = [
  {
    name: "wave",
    description: "waves",
    input: { type: "object", properties: { hand: { type: "string" }, note: { type: "string" } } },
  },
];

function requestOf(text: string, change: Partial<ModelRequest> = {}): ModelRequest {
  const messages: ModelRequest["messages"] = [{ role: "user", text }];
  return { model: "model-1", system: "You greet.", messages, tools, maxOutputTokens: 1_000, ...change };
}

async function ask(
  wire: string,
  request: ModelRequest,
  signal = new AbortController().signal,
): Promise<{ readonly result: ModelResult; readonly heard: readonly { kind: string; text: string }[] }> {
  const heard: { kind: string; text: string }[] = [];
  const asked = wire === "google" ? { ...request, model: GEMINI } : request;
  const result = await PROVIDERS[wire]!().generate(asked, {
    signal,
    onDelta: (delta) => heard.push(delta),
  });
  return { result, heard };
}

const textOf = (heard: readonly { kind: string; text: string }[], kind = "text") =>
  heard
    .filter((delta) => delta.kind === kind)
    .map((delta) => delta.text)
    .join("");

describe.each(WIRES)("%s, as others understand it", (wire) => {
  test("text, as a stream, with its usage", async () => {
    const { result, heard } = await ask(wire, requestOf("say it"));
    expect(result).toMatchObject({
      ok: true,
      reply: { text: LONG, finish: "stop", toolCalls: [], reasoning: "" },
    });
    if (!result.ok) return;
    expect(textOf(heard)).toBe(LONG);
    expect(heard.length).toBeGreaterThan(5);
    expect(result.reply.usage).toMatchObject({ input: 70, output: 9, cacheRead: 0 });
    expect(mock.getLastRequest()?.path).toMatch(/messages|completions|streamGenerateContent|api\/chat/);
  });

  test("tool calls beside text, whose results go back", async () => {
    const { result } = await ask(wire, requestOf("wave twice"));
    expect(result).toMatchObject({ ok: true, reply: { text: "I wave.", finish: "tool_calls" } });
    if (!result.ok) return;
    const { toolCalls, text, providerData } = result.reply;
    expect(toolCalls.map(({ name, input }) => [name, input])).toEqual([
      ["wave", { hand: "left", note: 'später – 手 "quoted"' }],
      ["wave", {}],
    ]);
    expect(new Set(toolCalls.map((call) => call.id)).size).toBe(2);
    const messages: ModelRequest["messages"] = [
      { role: "user", text: "wave twice" },
      { role: "assistant", text, toolCalls, ...(providerData === undefined ? {} : { providerData }) },
      {
        role: "tool",
        results: toolCalls.map(({ id, name }) => ({ callId: id, name, text: "waved", isError: false })),
      },
      { role: "user", text: "go on" },
    ];
    const after = await ask(wire, requestOf("", { messages }));
    expect(after.result).toMatchObject({ ok: true, reply: { text: "You waved: left." } });
    // What it was sent, in its own words: both results, each by the call it belongs to.
    const { body } = mock.getLastRequest() as unknown as {
      body: { messages: { role: string; content: string }[] };
    };
    const results = body.messages.filter((message) => message.role === "tool");
    expect(results.map((message) => JSON.stringify(message.content)).join()).toMatch(/waved.*waved/s);
  });

  test("JSON that was asked for", async () => {
    const schema = {
      type: "object",
      additionalProperties: false,
      required: ["hand"],
      properties: { hand: { type: "string" } },
    };
    const { result } = await ask(wire, requestOf("as json", { json: schema, tools: [] }));
    expect(result.ok && JSON.parse(result.reply.text)).toEqual({ hand: "left" });
  });

  test.each([
    ["too many", "model_rate_limited"],
    ["overload", "model_overloaded"],
    ["break", "model_unavailable"],
    ["unknown key", "model_auth"],
    ["wrong", "model_invalid_request"],
  ])("an error: %s", async (said, code) => {
    const { result, heard } = await ask(wire, requestOf(said));
    expect(result).toMatchObject({ ok: false, failure: { code } });
    if (said === "too many") expect(!result.ok && result.retryAfterMs).toBe(7_000);
    expect(heard).toEqual([]);
  });

  test.each([["cut it"], ["hang up"], ["garble"], ["drop"], ["disconnect"]])(
    "a broken answer is never taken for a whole one: %s",
    async (said) => {
      const { result } = await ask(wire, requestOf(said));
      expect(result.ok ? "answered" : result.failure.code).toMatch(
        /^model_(truncated|bad_reply|unavailable|overloaded)$/,
      );
    },
  );

  test("an abort ends a slow answer at once", async () => {
    const abort = new AbortController();
    const before = mock.getRequests().length;
    const pending = ask(wire, requestOf("slowly"), abort.signal);
    await expect.poll(() => mock.getRequests().length).toBeGreaterThan(before);
    abort.abort();
    expect((await pending).result).toMatchObject({ ok: false, failure: { code: "canceled" } });
  });
});

/** Its Ollama has neither a field for thoughts nor another end than `stop`; our own fake server has both. */
describe.each(WIRES.filter((wire) => wire !== "ollama"))("%s, further", (wire) => {
  test("reasoning apart from the answer", async () => {
    const { result, heard } = await ask(wire, requestOf("think"));
    expect(result).toMatchObject({ ok: true, reply: { text: "Done.", reasoning: "I should think first." } });
    expect(textOf(heard, "reasoning")).toBe("I should think first.");
    expect(textOf(heard)).toBe("Done.");
  });

  test("an answer at its limit says so", async () => {
    const { result } = await ask(wire, requestOf("short"));
    expect(result).toMatchObject({ ok: true, reply: { text: "It goes on and", finish: "length" } });
  });
});

describe("where we do not share it", () => {
  const { signal } = new AbortController();

  test("an Ollama that has answered and used nothing has not told the end", async () => {
    const provider = ollamaProvider({ baseUrl: mock.url }, { clock: realClock });
    const result = await provider.generate(requestOf("say it"), { signal });
    expect(result).toMatchObject({ ok: false, failure: { code: "model_truncated" } });
  });

  test("a Gemini that ends with a word that the API does not have has not told the end", async () => {
    const provider = googleProvider({ apiKey: "k", baseUrl: mock.url }, { clock: realClock });
    const result = await provider.generate(requestOf("wave twice"), { signal });
    expect(result).toMatchObject({ ok: false, failure: { code: "model_truncated" } });
  });
});
