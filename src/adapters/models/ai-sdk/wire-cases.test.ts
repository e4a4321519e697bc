import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { realClock } from "../../../../tests/support/real-clock.ts";
import type { ModelRequest, ModelResult } from "../../../contracts/model-provider.ts";
import { anthropicProvider } from "../anthropic/provider.ts";
import { googleProvider } from "../google/provider.ts";
import { ollamaProvider } from "../ollama/provider.ts";
import { openAiCompatibleProvider } from "../openai-compatible/provider.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => listener(request, response));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const request: ModelRequest = {
  model: "m",
  system: "",
  messages: [{ role: "user", text: "hi" }],
  tools: [],
  maxOutputTokens: 10,
};
const limits = { firstByteMs: 5_000, idleMs: 600 };
const deps = { clock: realClock, limits };
const MAKERS = {
  anthropic: (baseUrl: string) => anthropicProvider({ apiKey: "k", baseUrl }, deps),
  openai: (baseUrl: string) => openAiCompatibleProvider({ name: "openai", baseUrl }, deps),
  google: (baseUrl: string) => googleProvider({ apiKey: "k", baseUrl }, deps),
  ollama: (baseUrl: string) => ollamaProvider({ baseUrl }, deps),
};

async function ask(
  name: keyof typeof MAKERS,
  listener: RequestListener,
  change: Partial<ModelRequest> = {},
): Promise<ModelResult> {
  const url = await serve(listener);
  const { signal } = new AbortController();
  return MAKERS[name](url).generate({ ...request, ...change }, { signal });
}
const sends =
  (body: string | Buffer, headers: Record<string, string> = {}, status = 200): RequestListener =>
  (_, response) => {
    response.writeHead(status, { "content-type": "text/event-stream", ...headers });
    response.end(body);
  };
const code = (result: ModelResult) => (result.ok ? "ok" : result.failure.code);

const chunk = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ id: "c", model: "m", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const usage = (tokens: object) =>
  `data: ${JSON.stringify({ id: "c", model: "m", choices: [], usage: tokens })}\n\n`;
const END = `${usage({ prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 })}data: [DONE]\n\n`;

describe("openai-compatible servers", () => {
  test.each<[string, string, string]>([
    [
      "usage of nothing",
      `${chunk({ content: "a" }, "stop")}${usage({ prompt_tokens: 0, completion_tokens: 0 })}`,
      "model_truncated",
    ],
    ["an unknown reason", `${chunk({ content: "a" }, "eos_token_or_so")}${END}`, "model_truncated"],
    [
      "a flat error",
      `${chunk({ content: "a" })}data: {"object":"error","message":"CUDA out of memory","code":500}\n\n`,
      "model_unavailable",
    ],
    ["an error as text", 'data: {"error":"context length exceeded"}\n\n', "model_context_overflow"],
    [
      "an error after the end",
      `${chunk({ content: "a" }, "stop")}${END}data: {"error":{"message":"late"}}\n\n`,
      "model_unavailable",
    ],
    [
      "arguments that are not JSON",
      `${chunk({ tool_calls: [{ index: 0, id: "x", function: { name: "t", arguments: '{"a":' } }] })}${chunk({}, "tool_calls")}${END}`,
      "model_bad_reply",
    ],
    ["tool calls without any", `${chunk({ content: "a" }, "tool_calls")}${END}`, "model_bad_reply"],
    ["a refusal", `${chunk({ refusal: "I cannot." })}${chunk({}, "stop")}${END}`, "model_refused"],
    ["a half event at the end", `${chunk({ content: "a" })}data: {"id":"c","choi`, "model_truncated"],
    ["only a comment", ": hello\n\n", "model_bad_reply"],
  ])("%s", async (_, body, expected) => {
    expect(code(await ask("openai", sends(body)))).toBe(expected);
  });

  test("a whole JSON body where a stream was asked for is not an answer", async () => {
    const body = JSON.stringify({ choices: [{ message: { content: "hi" }, finish_reason: "stop" }] });
    const result = await ask("openai", sends(body, { "content-type": "application/json" }));
    expect(result).toMatchObject({
      ok: false,
      failure: { code: "model_bad_reply", details: { start: body } },
    });
  });

  test("a call cut short by the length limit keeps only what is whole", async () => {
    const calls = [{ index: 0, id: "x", function: { name: "t", arguments: '{"a":' } }];
    const result = await ask("openai", sends(`${chunk({ tool_calls: calls })}${chunk({}, "length")}${END}`));
    expect(result).toMatchObject({ ok: true, reply: { finish: "length", toolCalls: [] } });
  });

  test("text where JSON was asked for is a bad reply", async () => {
    const body = `${chunk({ content: "Sure! Here it is:" }, "stop")}${END}`;
    expect(code(await ask("openai", sends(body), { json: { type: "object" } }))).toBe("model_bad_reply");
  });

  test("a compressed answer is an answer", async () => {
    const body = gzipSync(`${chunk({ content: "hi" }, "stop")}${END}`);
    const result = await ask("openai", sends(body, { "content-encoding": "gzip" }));
    expect(result).toMatchObject({ ok: true, reply: { text: "hi", usage: { input: 5, output: 2 } } });
  });

  test("tokens spent on what was no answer are told", async () => {
    const body = `${chunk({ content: "a" })}${usage({ prompt_tokens: 5, completion_tokens: 2 })}`;
    expect(await ask("openai", sends(body))).toMatchObject({ ok: false, usage: { input: 5, output: 2 } });
  });
});

describe("error answers", () => {
  const error = (status: number, body: string, headers = {}) =>
    sends(body, { "content-type": "application/json", ...headers }, status);
  test.each<[keyof typeof MAKERS, string, RequestListener, object]>([
    [
      "openai",
      "a spent account",
      error(429, '{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}'),
      { code: "model_rate_limited", retryable: false },
    ],
    [
      "openai",
      "no credit",
      error(402, '{"error":{"message":"Insufficient credits"}}'),
      { code: "model_rate_limited", retryable: false },
    ],
    [
      "openai",
      "an unknown model",
      error(404, '{"error":{"message":"The model `m` does not exist"}}'),
      { code: "model_unknown" },
    ],
    [
      "openai",
      "a content filter",
      error(400, '{"error":{"code":"content_filter","message":"filtered"}}'),
      { code: "model_refused" },
    ],
    [
      "openai",
      "a gateway's page",
      sends("<html>Bad Gateway</html>", { "content-type": "text/html" }, 502),
      { code: "model_unavailable" },
    ],
    ["openai", "a gateway's timeout", error(504, ""), { code: "model_timeout" }],
    [
      "openai",
      "a list of one error",
      error(400, '[{"error":{"message":"bad","status":"INVALID_ARGUMENT"}}]'),
      { code: "model_invalid_request" },
    ],
    [
      "anthropic",
      "too large a request",
      error(413, '{"error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}'),
      { code: "model_context_overflow" },
    ],
    [
      "anthropic",
      "no permission",
      error(403, '{"error":{"type":"permission_error","message":"no"}}'),
      { code: "model_auth" },
    ],
    [
      "ollama",
      "a model that is not there",
      error(404, '{"error":"model \'m\' not found"}'),
      { code: "model_unknown" },
    ],
    [
      "ollama",
      "an error inside an error",
      error(
        400,
        JSON.stringify({
          error:
            '{"error":{"code":400,"message":"request (351 tokens) exceeds the available context size (256 tokens)","type":"exceed_context_size_error"}}',
        }),
      ),
      { code: "model_context_overflow" },
    ],
    [
      "google",
      "a key that is not valid",
      error(
        400,
        '{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}',
      ),
      { code: "model_auth" },
    ],
  ])("%s: %s", async (name, _, listener, expected) => {
    const result = await ask(name, listener);
    expect(result).toMatchObject({ ok: false, failure: expected });
  });

  test("how long to wait: in a header, as a date by their clock, or in Google's details", async () => {
    const date = { date: "Tue, 03 Feb 2026 10:00:00 GMT", "retry-after": "Tue, 03 Feb 2026 10:00:30 GMT" };
    expect(await ask("openai", error(503, "{}", date))).toMatchObject({ retryAfterMs: 30_000 });
    expect(await ask("anthropic", error(529, "{}", { "retry-after-ms": "1500" }))).toMatchObject({
      retryAfterMs: 1_500,
    });
    const details = [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "13.5s" }];
    const body = JSON.stringify({
      error: { code: 429, status: "RESOURCE_EXHAUSTED", message: "quota", details },
    });
    expect(await ask("google", error(429, body))).toMatchObject({ retryAfterMs: 13_500 });
    expect(await ask("openai", error(429, "{}", { "retry-after": "soon" }))).not.toHaveProperty(
      "retryAfterMs",
    );
  });
});

describe("ollama's lines", () => {
  const line = (value: object) => `${JSON.stringify(value)}\n`;
  const word = line({
    model: "m",
    created_at: "x",
    message: { role: "assistant", content: "hi" },
    done: false,
  });
  const done = JSON.stringify({
    model: "m",
    created_at: "x",
    message: { role: "assistant", content: "" },
    done: true,
    done_reason: "stop",
    prompt_eval_count: 3,
    eval_count: 1,
  });
  test.each<[string, string, string]>([
    ["a last line without its end", word + done, "ok"],
    ["empty lines between", `\n${word}\n\n${done}\n\n`, "ok"],
    ["a last line cut in two", word + done.slice(0, 40), "model_truncated"],
    ["an error first", line({ error: "model runner has unexpectedly stopped" }), "model_unavailable"],
    ["an error half way", word + line({ error: "unexpected EOF" }), "model_unavailable"],
    ["an error after the end", `${word}${done}\n${line({ error: "late" })}`, "model_unavailable"],
    ["a line that is no object", `${word}"hello"\n${done}\n`, "model_bad_reply"],
    [
      "only loaded, nothing said",
      line({
        model: "m",
        created_at: "x",
        message: { role: "assistant", content: "" },
        done: true,
        done_reason: "load",
      }),
      "model_truncated",
    ],
  ])("%s", async (_, body, expected) => {
    expect(code(await ask("ollama", sends(body, { "content-type": "application/x-ndjson" })))).toBe(expected);
  });
});

test("a drop before the answer began is no answer lost", async () => {
  const result = await ask("anthropic", (_, response) => {
    response.socket?.resetAndDestroy();
  });
  expect(result).toMatchObject({ ok: false, failure: { code: "model_unavailable" } });
});

test("an error page that never ends is a timeout", async () => {
  const result = await ask("openai", (_, response) => {
    response.writeHead(500, { "content-type": "application/json" });
    response.write('{"error":');
  });
  expect(result).toMatchObject({ ok: false, failure: { code: "model_timeout" } });
});

test("a slow answer that keeps coming is not a silent one", async () => {
  const result = await ask("openai", (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    let left = 8;
    const timer = setInterval(() => {
      left -= 1;
      if (left > 0) return response.write(": still thinking\n\n");
      clearInterval(timer);
      return response.end(`${chunk({ content: "hi" }, "stop")}${END}`);
    }, 100);
  });
  expect(result).toMatchObject({ ok: true, reply: { text: "hi" } });
});

test("calls of one model at a time have each a wire of their own", async () => {
  const url = await serve(({ headers }, response) => {
    // As many bytes as the prompt of each call makes it: told apart without reading them.
    const long = Number(headers["content-length"]) > 1_000;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(chunk({ content: "hi" }));
    if (!long) response.end(`${chunk({ content: " you" }, "stop")}${END}`);
  });
  const provider = MAKERS.openai(url);
  const { signal } = new AbortController();
  const canceled = new AbortController();
  const silent = { ...request, system: "x".repeat(1_000) };
  const results = await Promise.all([
    provider.generate(request, { signal }),
    provider.generate(silent, { signal }),
    provider.generate(silent, { signal: canceled.signal, onDelta: () => canceled.abort() }),
    provider.generate(request, { signal }),
  ]);
  expect(results).toMatchObject([
    { ok: true, reply: { text: "hi you" } },
    { ok: false, failure: { code: "model_timeout" } },
    { ok: false, failure: { code: "canceled" } },
    { ok: true, reply: { text: "hi you" } },
  ]);
});
