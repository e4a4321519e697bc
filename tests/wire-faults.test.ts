// Long because it is a table: what can go wrong on a wire, and what it must be called.
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { anthropicProvider } from "../src/adapters/models/anthropic/provider.ts";
import { type FakeModels, startFakeModels } from "../src/adapters/models/fake-server/server.ts";
import { googleProvider } from "../src/adapters/models/google/provider.ts";
import { ollamaProvider } from "../src/adapters/models/ollama/provider.ts";
import { openAiCompatibleProvider } from "../src/adapters/models/openai-compatible/provider.ts";
import { FAULT_CODES } from "../src/adapters/models/script/faults.ts";
import { parseScript } from "../src/adapters/models/script/parse.ts";
import { FAULT_KINDS } from "../src/adapters/models/script/schema.ts";
import type { ModelProvider, ModelRequest } from "../src/contracts/model-provider.ts";
import { createModelGateway } from "../src/gateway/gateway.ts";
import { realClock } from "./support/real-clock.ts";
import { type Good, type Mangle, startWireProxy, type WireProxy } from "./support/wire-proxy.ts";

const TEXT = "Hello there, general – später mehr. The stream breaks somewhere in here.";
const CALL = { name: "wave", input: { hand: "left", note: "später – 手" } };
const script = parseScript(
  `
name: demo
turns:
  - times: always
    text: ${TEXT}
    tool_calls: [{ name: wave, input: { hand: left, note: "später – 手" } }]
    usage: { input: 70, cache_read: 20, cache_write: 5, output: 9 }
`,
  "demo.yaml",
);
if (!script.ok) throw new Error(script.failure.message);

let fake: FakeModels;
let proxy: WireProxy;
beforeAll(async () => {
  fake = await startFakeModels({ scripts: [script.value], clock: realClock });
  proxy = await startWireProxy(fake.url);
});
afterAll(async () => {
  await proxy.close();
  await fake.close();
});

const WIRES = ["anthropic", "openai", "google", "ollama"] as const;
type WireName = (typeof WIRES)[number];

type Headers = Readonly<Record<string, string>>;

/** Short where silence is the point; long where a busy machine must not look like it. */
function providerOf(wire: WireName, headers: Headers, silent: boolean): ModelProvider {
  const ms = silent ? 300 : 20_000;
  const deps = { clock: realClock, limits: { firstByteMs: ms, idleMs: ms } };
  // What the server does by itself must not be smoothed by what is between.
  const baseUrl = proxy.mangle === null ? fake.url : proxy.url;
  const apiKey = "sk-test-key";
  switch (wire) {
    case "anthropic":
      return anthropicProvider({ apiKey, baseUrl, headers }, deps);
    case "openai":
      return openAiCompatibleProvider({ name: wire, apiKey, baseUrl: `${baseUrl}/v1`, headers }, deps);
    case "google":
      return googleProvider({ apiKey, baseUrl, headers }, deps);
    case "ollama":
      return ollamaProvider({ baseUrl, headers }, deps);
  }
}

const request: ModelRequest = {
  model: "demo",
  system: "You greet.",
  messages: [{ role: "user", text: "hi" }],
  tools: [{ name: "wave", description: "waves", input: { type: "object", properties: {} } }],
  maxOutputTokens: 1_000,
};

/** A reset overtakes what was sent before it; the beginning is given this time to arrive. */
const BEFORE_RESET_MS = 30;

function begin(response: ServerResponse, good: Good, headers: Record<string, string> = {}): void {
  response.writeHead(200, { "content-type": good.contentType, ...headers });
  response.flushHeaders();
}

async function send(response: ServerResponse, bytes: Buffer, size = 0): Promise<void> {
  const step = size > 0 ? size : Math.max(1, bytes.length);
  for (let at = 0; at < bytes.length && !response.destroyed; at += step) {
    if (!response.write(bytes.subarray(at, at + step))) {
      await Promise.race([once(response, "drain"), once(response, "close")]);
    }
    if (size > 0) await setImmediate();
  }
}

/** The given bytes as a whole answer. */
const answers =
  (bytes: (good: Good) => Buffer, headers: Record<string, string> = {}, size = 0): Mangle =>
  async (response, good) => {
    begin(response, good, headers);
    await send(response, bytes(good), size);
    response.end();
  };

const status =
  (code: number, body: string, headers: Record<string, string> = {}): Mangle =>
  (response) => {
    response.writeHead(code, { "content-type": "application/json", ...headers });
    response.end(body);
  };

const half = ({ frames, end }: Good) => Buffer.concat(frames.slice(0, Math.ceil(end / 2)));
const replaced = (good: Good, pattern: RegExp, by: string) =>
  Buffer.from(good.body.toString().replaceAll(pattern, by));
const COUNTS =
  /"(prompt_tokens|completion_tokens|total_tokens|cached_tokens|input_tokens|output_tokens|cache_read_input_tokens|cache_creation_input_tokens|\w*TokenCount|prompt_eval_count|eval_count)":\d+/g;
const HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>";
const BUSY = JSON.stringify({
  error: { type: "rate_limit_error", message: "slow down", status: "RESOURCE_EXHAUSTED" },
});

type Expected = string | Partial<Record<WireName | "all", string>>;
interface WireFault {
  readonly name: string;
  readonly mangle: Mangle | null;
  readonly headers?: Headers;
  /** Whether a time limit is what ends it. */
  readonly silent?: boolean;
  /** `answered`, or the code of the failure. */
  readonly expected: Expected;
}

const ANSWERED = "answered";

/** What the fake server does by itself. */
const SERVED: readonly WireFault[] = FAULT_KINDS.map((kind) => ({
  name: kind.replaceAll("_", " "),
  mangle: null,
  headers: { "x-fake-fault": kind },
  silent: kind === "stall" || kind === "hang",
  expected: FAULT_CODES[kind],
}));

const BROKEN: readonly WireFault[] = [
  {
    name: "end of stream without its end marker",
    mangle: answers(({ frames, end }) => Buffer.concat(frames.slice(0, end))),
    expected: "model_truncated",
  },
  {
    name: "end of stream in the middle of a frame",
    mangle: answers((good) => good.body.subarray(0, Math.floor(half(good).length - 5))),
    expected: "model_truncated",
  },
  {
    name: "reset after some content",
    mangle: async (response, good) => {
      begin(response, good);
      await send(response, half(good));
      realClock.after(BEFORE_RESET_MS, () => response.socket?.resetAndDestroy());
    },
    expected: "model_truncated",
  },
  {
    name: "reset after the headers",
    mangle: (response, good) => {
      begin(response, good);
      realClock.after(BEFORE_RESET_MS, () => response.socket?.resetAndDestroy());
    },
    expected: "model_truncated",
  },
  {
    name: "reset instead of an answer",
    mangle: (response) => void response.socket?.resetAndDestroy(),
    expected: "model_unavailable",
  },
  {
    name: "fewer bytes than announced",
    mangle: async (response, good) => {
      begin(response, good, { "content-length": String(good.body.length) });
      await send(response, half(good));
      realClock.after(BEFORE_RESET_MS, () => response.socket?.end());
    },
    expected: "model_truncated",
  },
  { name: "no answer at all", mangle: () => {}, silent: true, expected: "model_timeout" },
  {
    name: "silence after some content",
    mangle: async (response, good) => {
      begin(response, good);
      await send(response, half(good));
    },
    silent: true,
    expected: "model_timeout",
  },
  { name: "200 with an empty body", mangle: answers(() => Buffer.alloc(0)), expected: "model_truncated" },
  {
    name: "200 with a web page",
    mangle: answers(() => Buffer.from(HTML), { "content-type": "text/html" }),
    expected: "model_bad_reply",
  },
  {
    name: "200 with another protocol's JSON",
    mangle: answers(() => Buffer.from('{"hello":"world"}\n')),
    expected: "model_bad_reply",
  },
  {
    name: "502 with a web page",
    mangle: status(502, HTML, { "content-type": "text/html" }),
    expected: "model_unavailable",
  },
  { name: "503 without a body", mangle: status(503, ""), expected: "model_overloaded" },
  {
    name: "529",
    mangle: status(529, JSON.stringify({ error: { message: "Overloaded" } })),
    expected: "model_overloaded",
  },
  {
    name: "redirect to another address (307)",
    mangle: status(307, "", { location: "http://127.0.0.1:1/v1" }),
    expected: "model_bad_reply",
  },
  {
    name: "redirect to a login page (302)",
    mangle: status(302, "", { location: "/login" }),
    expected: "model_bad_reply",
  },
  { name: "429", mangle: status(429, BUSY), expected: "model_rate_limited" },
  {
    name: "429, Retry-After in seconds",
    mangle: status(429, BUSY, { "retry-after": "7" }),
    expected: "model_rate_limited after 7s",
  },
  {
    name: "429, Retry-After as a date of a clock that is wrong",
    mangle: status(429, BUSY, {
      date: "Wed, 01 Jan 2020 00:00:00 GMT",
      "retry-after": "Wed, 01 Jan 2020 00:00:30 GMT",
    }),
    expected: "model_rate_limited after 30s",
  },
  {
    name: "usage of zero",
    mangle: answers((good) => replaced(good, COUNTS, '"$1":0')),
    expected: "model_truncated",
  },
  {
    name: "broken bytes in a frame",
    mangle: answers((good) => replaced(good, /"model":|"modelVersion":/g, '"model')),
    expected: { all: "model_bad_reply" },
  },
  {
    name: "a compressed answer cut short",
    mangle: answers(({ body }) => gzipSync(body).subarray(0, 60), { "content-encoding": "gzip" }),
    expected: "model_truncated",
  },
];

const HARMLESS: readonly WireFault[] = [
  {
    name: "one byte at a time, also within characters",
    mangle: answers(({ body }) => body, {}, 1),
    expected: ANSWERED,
  },
  { name: "seven bytes at a time", mangle: answers(({ body }) => body, {}, 7), expected: ANSWERED },
  { name: "all at once", mangle: answers(({ body }) => body), expected: ANSWERED },
  { name: "CRLF line ends", mangle: answers((good) => replaced(good, /\n/g, "\r\n")), expected: ANSWERED },
  {
    name: "keep-alive comments, or empty lines, between the frames",
    mangle: answers(({ frames, contentType }) => {
      const noise = Buffer.from(contentType.includes("event-stream") ? ": keep-alive\n\n" : "\n\n");
      return Buffer.concat(frames.flatMap((frame) => [noise, frame]));
    }),
    expected: ANSWERED,
  },
  {
    name: "compressed",
    mangle: answers(({ body }) => gzipSync(body), { "content-encoding": "gzip" }),
    expected: ANSWERED,
  },
  {
    name: "a wrong content type",
    mangle: answers(({ body }) => body, { "content-type": "text/plain" }),
    expected: ANSWERED,
  },
  {
    name: "a pause before the last frame, which has the usage",
    mangle: async (response, good) => {
      begin(response, good);
      await send(response, Buffer.concat(good.frames.slice(0, good.end)));
      realClock.after(100, () => response.end(Buffer.concat(good.frames.slice(good.end))));
    },
    expected: ANSWERED,
  },
  {
    name: "the last frame twice",
    mangle: answers(({ frames }) => Buffer.concat([...frames, frames.at(-1) as Buffer])),
    expected: ANSWERED,
  },
  {
    name: "the end marker twice",
    mangle: answers(({ frames, end }) => Buffer.concat([...frames.slice(0, end + 1), ...frames.slice(end)])),
    expected: ANSWERED,
  },
  {
    name: "no line end after the last frame",
    mangle: answers(({ body }) => Buffer.from(body.toString().trimEnd())),
    // Such an event is none, as server-sent events are defined; in it the first two say that they are done.
    expected: { all: ANSWERED, anthropic: "model_truncated", google: "model_truncated" },
  },
];

/** `answered` only when it is the very answer, said once; anything less that passes for one is `SILENT`. */
async function outcomeOf(wire: WireName, fault: WireFault): Promise<string> {
  proxy.mangle = fault.mangle;
  const provider = providerOf(wire, fault.headers ?? {}, fault.silent === true);
  let heard = "";
  const result = await provider.generate(request, {
    signal: AbortSignal.timeout(30_000),
    onDelta: ({ kind, text }) => {
      if (kind === "text") heard += text;
    },
  });
  if (!TEXT.startsWith(heard)) return `SAID TWICE: ${heard}`;
  if (!result.ok) {
    if (result.failure.message.includes("sk-test-key")) return "LEAKED THE KEY";
    const wait = result.retryAfterMs === undefined ? "" : ` after ${result.retryAfterMs / 1_000}s`;
    return `${result.failure.code}${wait}`;
  }
  const { reply } = result;
  const { input, cacheRead, cacheWrite, output } = reply.usage;
  const whole =
    reply.text === TEXT &&
    heard === TEXT &&
    reply.toolCalls.length === 1 &&
    JSON.stringify(reply.toolCalls[0]?.input) === JSON.stringify(CALL.input) &&
    input + cacheRead + cacheWrite === 95 &&
    output === 9;
  return whole ? ANSWERED : `SILENT: ${reply.text} ${JSON.stringify(reply.usage)}`;
}

function expectedOf(wire: WireName, { expected }: WireFault): string {
  return typeof expected === "string" ? expected : (expected[wire] ?? expected.all ?? "unknown");
}

const ALL = [...SERVED, ...BROKEN, ...HARMLESS];
const seen = new Map<string, string>();

describe.each(WIRES)("on the wire of %s", (wire) => {
  test.each(ALL.map((fault) => [fault.name, fault] as const))("%s", async (name, fault) => {
    const outcome = await outcomeOf(wire, fault);
    seen.set(`${wire} ${name}`, outcome);
    expect(outcome).toBe(expectedOf(wire, fault));
  });
});

describe("over several calls", () => {
  const gatewayOf = (maxAttempts: number, totalMs: number) =>
    createModelGateway({
      providers: WIRES.slice(0, 2).map((wire) => ({
        provider: providerOf(wire, {}, false),
        defaultModel: "demo",
      })),
      howToConfigure: "",
      default: "anthropic/demo, openai/demo",
      clock: realClock,
      random: () => 0.5,
      policy: { maxAttempts, totalMs, backoff: { initialMs: 1, factor: 1, maxMs: 1 } },
    });
  const { model: _, ...asked } = request;
  const call = async (gateway: ReturnType<typeof gatewayOf>, use?: string) => {
    let heard = "";
    const done = await gateway.call(
      { ...asked, stage: "execute", ...(use !== undefined && { use }) },
      {
        signal: new AbortController().signal,
        onDelta: ({ kind, text }) => {
          if (kind === "text") heard += text;
        },
        onRestart: () => {
          heard = "";
        },
      },
    );
    return done.ok
      ? heard === TEXT && done.reply.text === TEXT
        ? ANSWERED
        : `WRONG: ${heard}`
      : done.failure.code;
  };

  test.each(WIRES.slice(0, 2))(
    "a burst of 429 on %s is waited out, and nothing is said twice",
    async (wire) => {
      let refused = 0;
      const busy = status(429, BUSY);
      proxy.mangle = (response, good, request_) => {
        refused += 1;
        if (refused <= 3) return busy(response, good, request_);
        return answers(({ body }) => body)(response, good, request_);
      };
      expect(await call(gatewayOf(5, 20_000), `${wire}/demo`)).toBe(ANSWERED);
      expect(refused).toBe(4);
    },
  );

  test("a provider that is half dead (1 in 20 works) costs attempts, never an answer", async () => {
    let n = 0;
    proxy.mangle = (response, good, { url }) => {
      if (!url?.includes("/messages")) return answers(({ body }) => body)(response, good, {} as never);
      n += 1;
      if (n % 20 === 0) return answers(({ body }) => body)(response, good, {} as never);
      const broken = BROKEN.filter(({ silent }) => silent !== true)[n % 8];
      return broken?.mangle?.(response, good, {} as never);
    };
    const gateway = gatewayOf(4, 20_000);
    for (let at = 0; at < 40; at += 1) expect(await call(gateway)).toBe(ANSWERED);
    // The breaker saw to it that it was hardly asked.
    expect(n).toBeLessThan(20);
  });

  test("a slow trickle that never says anything is ended by the call's own limit", async () => {
    proxy.mangle = (response, good) => {
      begin(response, good);
      const drip = () => {
        if (response.destroyed) return;
        response.write(": \n\n");
        realClock.after(20, drip);
      };
      drip();
    };
    expect(await call(gatewayOf(1, 400), "openai/demo")).toBe("model_timeout");
  });
});

const PAGE = fileURLToPath(new URL("../docs/reference/wire-faults.md", import.meta.url));

test("the page of faults says what was seen here (`npx vitest run tests/wire-faults.test.ts -u` writes it)", async () => {
  const cells = ALL.length * WIRES.length;
  expect([...seen.values()].filter((outcome) => /[A-Z]{4}/.test(outcome))).toEqual([]);
  expect(seen.size).toBe(cells);
  const row = ({ name }: WireFault) =>
    `| ${name} | ${WIRES.map((wire) => seen.get(`${wire} ${name}`)).join(" | ")} |`;
  const head = `| fault | ${WIRES.join(" | ")} |\n|---|---|---|---|---|`;
  const page = `# What goes wrong on a wire, and what it is called

Written by \`npx vitest run tests/wire-faults.test.ts -u\`, which plays every fault over real sockets against every adapter;
without \`-u\` the test fails when a cell has changed. \`answered\` means the very answer: text, tool call and usage, heard
once. Everything else is the code of a failure. ${cells} cells: none passes for an answer that is not one, none says a text twice.

Not detectable by anybody: a frame of content that the server itself sends twice, or in another order. Events are not
numbered, and the same word may honestly come twice.

## Faults of the server

${head}
${SERVED.map(row).join("\n")}

## Faults of the connection and of what is between

${head}
${BROKEN.map(row).join("\n")}

## Unusual, and not a fault

${head}
${HARMLESS.map(row).join("\n")}

Over several calls: a burst of 429 is waited out; of a provider of which one answer in twenty works every call is answered
by another one; a trickle of comments that never says anything is ended by the call's time limit.
`;
  await expect(page).toMatchFileSnapshot(join(PAGE));
});
