// What the gateway adds to a streamed call, beside the provider's adapter alone, plain fetch, and one established gateway
// from npm. Open loop: calls begin when they were meant to begin, whatever the ones before them do, and their time counts
// from then. node bench/gateway-overhead.ts [--streams 500] [--seconds 8] [--rounds 2] [--portkey <installed folder>] [--no-portkey] [--way gateway …] [--json]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openAiCompatibleProvider } from "../src/adapters/models/openai-compatible/provider.ts";
import { genaiPrices } from "../src/adapters/prices/genai-prices.ts";
import { openSqliteStore, type SqliteStore } from "../src/adapters/store/sqlite/open.ts";
import { redactorFor } from "../src/app/redact.ts";
import { systemClock } from "../src/app/system-clock.ts";
import type { GatewayRequest, ModelGateway } from "../src/contracts/model-gateway.ts";
import type { ModelProvider } from "../src/contracts/model-provider.ts";
import type { Budget } from "../src/domain/budget.ts";
import type { Message } from "../src/domain/message.ts";
import { createModelGateway } from "../src/gateway/gateway.ts";
import { SpendDesk } from "../src/gateway/spend.ts";
import { type Process, startPortkey, startScript } from "./gateway/processes.ts";

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "500" },
    seconds: { type: "string", default: "8" },
    rounds: { type: "string", default: "2" },
    portkey: { type: "string" },
    way: { type: "string", multiple: true },
    "no-portkey": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const streams = Number(values.streams);
const seconds = Number(values.seconds);

const FIRST_MS = 200;
const PIECES = 20;
const PACE_MS = 200;
const STREAM_MS = FIRST_MS + PIECES * PACE_MS;
const PER_MS = streams / STREAM_MS;
const SERIAL_CALLS = 5_000;
const SERIAL_WARM = 500;
const TARGET_P50_US = 150;
const TARGET_P99_US = 1_000;

/** Of every call: a history that was sent before, and one message that is new, as in the turns of an agent. */
const LINE =
  "src/cart.ts:14: export function total(cart: Cart): number { return subtotal(cart) - discount(cart); }\n";
const history: readonly Message[] = Array.from({ length: 12 }, (_, index) =>
  index % 2 === 0
    ? { role: "user", text: `${index} ${LINE.repeat(10)}` }
    : { role: "assistant", text: `${index} ${LINE.repeat(10)}`, toolCalls: [] },
);
const NAMES = ["alpha", "beta", "gamma"] as const;
/** Micro-dollars per million tokens. */
const PRICE = { input: 3_000_000, cacheRead: 300_000, cacheWrite: 3_750_000, output: 15_000_000 };
const BUDGETS: readonly Budget[] = [
  {
    scope: "global",
    name: null,
    window: "day",
    models: null,
    hardMicros: 1_000_000_000_000,
    softMicros: null,
  },
];

let sent = 0;
function request(): GatewayRequest {
  sent += 1;
  return {
    stage: "execute",
    system: LINE.repeat(20),
    messages: [...history, { role: "user", text: `${sent} ${LINE.repeat(10)}` }],
    tools: [],
    maxOutputTokens: 500,
  };
}

/** Moments of one call, in ms of one clock; `NaN` for what was not seen. */
interface Seen {
  readonly intended: number;
  called: number;
  asked: number;
  providerFirst: number;
  first: number;
  providerEnd: number;
  end: number;
  ok: boolean;
}

type Ask = (seen: Seen) => Promise<void>;

const { signal } = new AbortController();
const now = () => performance.now();

/** Whose call it is: the last message reaches the provider as the very object that it was. */
const calls = new WeakMap<Message, Seen>();

/** Notes when the gateway reaches its provider, and when that answers: between the two nothing is the gateway's doing. */
function watched(provider: ModelProvider): ModelProvider {
  return {
    ...provider,
    generate: async (asked, options) => {
      const seen = calls.get(asked.messages.at(-1) as Message);
      if (seen === undefined) throw new Error("a call that nobody made");
      seen.asked = now();
      const result = await provider.generate(asked, {
        ...options,
        onDelta: (delta) => {
          if (Number.isNaN(seen.providerFirst)) seen.providerFirst = now();
          options.onDelta?.(delta);
        },
      });
      seen.providerEnd = now();
      return result;
    },
  };
}

function byGateway(gateway: ModelGateway): Ask {
  return async (seen) => {
    const asked = request();
    calls.set(asked.messages.at(-1) as Message, seen);
    seen.called = now();
    const onDelta = () => {
      if (Number.isNaN(seen.first)) seen.first = now();
    };
    const result = await gateway.call(asked, { signal, onDelta });
    seen.end = now();
    seen.ok = result.ok && result.record.attempts.length === 1;
  };
}

function byAdapter(provider: ModelProvider): Ask {
  return async (seen) => {
    const { stage: _, ...asked } = request();
    const onDelta = () => {
      if (Number.isNaN(seen.first)) seen.first = now();
    };
    const result = await provider.generate({ ...asked, model: "m" }, { signal, onDelta });
    seen.end = now();
    seen.ok = result.ok;
  };
}

function byFetch(url: string): Ask {
  return async (seen) => {
    const { system, messages } = request();
    const said = [
      { role: "system", content: system },
      ...messages.map((one) => ({ role: one.role, content: one.role === "tool" ? "" : one.text })),
    ];
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "m",
        messages: said,
        stream: true,
        stream_options: { include_usage: true },
      }),
    });
    let last = "";
    for await (const chunk of response.body ?? []) {
      if (Number.isNaN(seen.first)) seen.first = now();
      last = Buffer.from(chunk).toString();
    }
    seen.end = now();
    seen.ok = last.includes("[DONE]");
  };
}

/** Calls begin evenly at the rate that keeps so many streams open; those of the first stream's length are not counted. */
async function load(ask: Ask): Promise<readonly Seen[]> {
  const total = Math.round((STREAM_MS + seconds * 1_000) * PER_MS);
  const skipped = Math.round(STREAM_MS * PER_MS);
  const all: Seen[] = [];
  const ends: Promise<void>[] = [];
  const startedAt = now() + 50;
  await new Promise<void>((resolve) => {
    const tick = () => {
      while (all.length < total && startedAt + all.length / PER_MS <= now()) {
        const nan = Number.NaN;
        const seen: Seen = {
          intended: startedAt + all.length / PER_MS,
          called: nan,
          asked: nan,
          providerFirst: nan,
          first: nan,
          providerEnd: nan,
          end: nan,
          ok: false,
        };
        all.push(seen);
        ends.push(ask(seen));
      }
      if (all.length >= total) return resolve();
      setTimeout(tick, Math.max(0, startedAt + all.length / PER_MS - now()));
    };
    tick();
  });
  await Promise.all(ends);
  return all.slice(skipped);
}

function quantiles(of: readonly number[]): { readonly p50: number; readonly p99: number } {
  const sorted = of.toSorted((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

interface Arm {
  readonly name: string;
  readonly ask: Ask;
  readonly gateway: boolean;
  readonly seen: Seen[];
}

const upstream = await startScript("upstream.ts", [FIRST_MS, PIECES, PACE_MS]);
const portkey = values["no-portkey"] ? null : await startPortkey(values.portkey);
const folder = mkdtempSync(join(tmpdir(), "agent-runner-overhead-"));
const stopping: (() => Promise<void>)[] = [];
try {
  const all = await buildArms(upstream, portkey);
  const arms = all.filter(({ name }) => values.way?.includes(name) ?? true);
  for (let round = 0; round < Number(values.rounds); round += 1) {
    // Each round in the other direction, so that what drifts meets all alike.
    for (const arm of round % 2 === 0 ? arms : arms.toReversed()) {
      arm.seen.push(...(await load(arm.ask)));
      if (!values.json) process.stderr.write(`${arm.name}: ${arm.seen.length} calls\n`);
    }
  }
  report(arms, await serially());
} finally {
  for (const stop of stopping) await stop();
  await portkey?.stop();
  await upstream.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function buildArms(up: Process, other: Pick<Process, "url"> | null): Promise<readonly Arm[]> {
  const arm = (name: string, ask: Ask, gateway = false): Arm => ({ name, ask, gateway, seen: [] });
  const provider = (name: string, url: string, headers: Record<string, string> = {}) =>
    openAiCompatibleProvider({ name, baseUrl: `${url}/v1`, apiKey: "k", headers }, { clock: systemClock });
  const sqlite = await openSqliteStore({ path: join(folder, "spend.db"), clock: systemClock });
  stopping.push(() => sqlite.close());
  const gateway = (spend?: SpendDesk) =>
    createModelGateway({
      ...common(),
      providers: NAMES.map((name) => ({ provider: watched(provider(name, up.url)) })),
      ...(spend === undefined ? {} : { spend }),
    });
  const arms = [
    arm("fetch", byFetch(up.url)),
    arm("adapter", byAdapter(provider("direct", up.url))),
    arm("gateway", byGateway(gateway(desk(sqlite, []))), true),
    arm("gateway, hard budget in SQLite", byGateway(gateway(desk(sqlite, BUDGETS))), true),
  ];
  if (other === null) return arms;
  const headers = { "x-portkey-provider": "openai", "x-portkey-custom-host": `${up.url}/v1` };
  return [...arms, arm("adapter, through Portkey", byAdapter(provider("portkey", other.url, headers)))];
}

function common() {
  return {
    howToConfigure: "",
    default: NAMES.map((name) => `${name}/m`).join(","),
    clock: systemClock,
    random: Math.random,
    redactor: redactorFor(process.env),
    routing: { policy: "latency-first", hedge: false },
    priceSource: genaiPrices({ baseUrls: {} }),
    prices: Object.fromEntries(NAMES.map((name) => [`${name}/m`, PRICE])),
  } as const;
}

function desk(sqlite: SqliteStore, budgets: readonly Budget[]): SpendDesk {
  const made = new SpendDesk({
    ledger: sqlite.spend,
    settings: () => ({
      budgets,
      unknownPrice: "deny",
      onRefusal: "cheaper",
      atCap: "finish",
      estimate: "p95",
      holdMs: 60_000,
      keepMs: 86_400_000,
    }),
    random: Math.random,
    clock: systemClock,
    defer: setImmediate,
    onProblem: (problem) => {
      throw new Error(problem);
    },
  });
  stopping.unshift(() => made.flush());
  return made;
}

/** One call after the other against a provider that answers at once: what the gateway itself takes of the processor. */
async function serially(): Promise<{
  readonly meanCpuUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
}> {
  const seen = { asked: 0, first: 0 };
  const usage = { input: 3_000, output: 1, cacheRead: 0, cacheWrite: 0, reasoning: 0 };
  const stub = (name: string): ModelProvider => ({
    name,
    health: async () => ({ status: "ok", detail: "" }),
    models: async () => [],
    generate: async (_, { onDelta }) => {
      seen.asked = now();
      onDelta?.({ kind: "text", text: "x" });
      const reply = { text: "x", toolCalls: [], reasoning: "", finish: "stop" as const, usage, model: "m" };
      return { ok: true, reply: { ...reply, firstTokenMs: 1, ms: 1 } };
    },
  });
  const gateway = createModelGateway({
    ...common(),
    providers: NAMES.map((name) => ({ provider: stub(name) })),
  });
  const before: number[] = [];
  let cpu = process.threadCpuUsage();
  for (let call = 0; call < SERIAL_WARM + SERIAL_CALLS; call += 1) {
    if (call === SERIAL_WARM) cpu = process.threadCpuUsage();
    const asked = request();
    const startedAt = now();
    await gateway.call(asked, { signal, onDelta: () => {} });
    if (call >= SERIAL_WARM) before.push(seen.asked - startedAt);
  }
  const { user, system } = process.threadCpuUsage(cpu);
  const { p50, p99 } = quantiles(before);
  return { meanCpuUs: (user + system) / SERIAL_CALLS, p50Us: p50 * 1_000, p99Us: p99 * 1_000 };
}

function report(arms: readonly Arm[], alone: Awaited<ReturnType<typeof serially>>): void {
  const us = (ms: number) => Math.round(ms * 1_000);
  const rows = arms.map(({ name, seen, gateway }) => {
    const good = seen.filter((one) => one.ok);
    const first = quantiles(good.map((one) => one.first - one.intended - FIRST_MS));
    const whole = quantiles(good.map((one) => one.end - one.intended - FIRST_MS - (PIECES - 1) * PACE_MS));
    const own = gateway
      ? {
          before: quantiles(good.map((one) => one.asked - one.called)),
          // What it adds before the provider is asked, and between the provider's first word and the caller's.
          first: quantiles(good.map((one) => one.asked - one.called + one.first - one.providerFirst)),
          end: quantiles(good.map((one) => one.end - one.providerEnd)),
        }
      : null;
    return { name, calls: seen.length, failed: seen.length - good.length, first, whole, own };
  });
  if (values.json) return console.log(JSON.stringify({ streams, rows, alone }, null, 2));
  console.log(
    `${streams} streams at a time, ${PIECES} pieces each, ${(PER_MS * 1_000).toFixed(0)} calls/s; beyond what the upstream takes, µs\n`,
  );
  console.log(
    "| way | calls | failed | first token p50 | p99 | whole answer p50 | p99 |\n|---|---|---|---|---|---|---|",
  );
  for (const row of rows) {
    const cells = [row.first.p50, row.first.p99, row.whole.p50, row.whole.p99].map((ms) =>
      us(ms).toLocaleString("en"),
    );
    console.log(`| ${row.name} | ${row.calls} | ${row.failed} | ${cells.join(" | ")} |`);
  }
  console.log("\nAdded by the gateway itself, by its own stamps, µs\n");
  console.log("| way | to the first token p50 | p99 | after the last p50 | p99 |\n|---|---|---|---|---|");
  for (const { name, own } of rows) {
    if (own === null) continue;
    const cells = [own.first.p50, own.first.p99, own.end.p50, own.end.p99].map((ms) =>
      us(ms).toLocaleString("en"),
    );
    console.log(`| ${name} | ${cells.join(" | ")} |`);
  }
  const { meanCpuUs, p50Us, p99Us } = alone;
  console.log(
    `\none call after the other, before the provider is asked: p50 ${p50Us.toFixed(0)} µs, p99 ${p99Us.toFixed(0)} µs; ` +
      `processor time of the whole call, mean: ${meanCpuUs.toFixed(0)} µs`,
  );
  const met = rows.find((row) => row.name === "gateway")?.own?.first;
  if (met === undefined) return;
  const verdict = us(met.p50) <= TARGET_P50_US && us(met.p99) <= TARGET_P99_US ? "met" : "missed";
  console.log(
    `\ntarget: p50 ≤ ${TARGET_P50_US} µs, p99 ≤ ${TARGET_P99_US} µs to the first token: ${verdict}`,
  );
}
