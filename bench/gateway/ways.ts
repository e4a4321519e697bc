import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openAiCompatibleProvider } from "../../src/adapters/models/openai-compatible/provider.ts";
import { genaiPrices } from "../../src/adapters/prices/genai-prices.ts";
import { openSqliteStore, type SqliteStore } from "../../src/adapters/store/sqlite/open.ts";
import { redactorFor } from "../../src/app/redact.ts";
import { systemClock } from "../../src/app/system-clock.ts";
import type { GatewayRequest, ModelGateway } from "../../src/contracts/model-gateway.ts";
import type { ModelProvider } from "../../src/contracts/model-provider.ts";
import type { Budget } from "../../src/domain/budget.ts";
import type { Message } from "../../src/domain/message.ts";
import { createModelGateway } from "../../src/gateway/gateway.ts";
import { SpendDesk } from "../../src/gateway/spend.ts";
import { type Ask, now, type Seen, type Way } from "./open-loop.ts";

/** Of every call: a history that was sent before, and one message that is new, as in the turns of an agent. */
const LINE =
  "src/cart.ts:14: export function total(cart: Cart): number { return subtotal(cart) - discount(cart); }\n";
/** Has the form of a secret's assignment and must be looked at closely; in one of so many new messages. */
const SUSPECT = "src/session.ts:9: const session = { token: sessionTokenOf(request), user };\n";
const SUSPECT_EVERY = 5;
const history: readonly Message[] = Array.from({ length: 12 }, (_, index) =>
  index % 2 === 0
    ? { role: "user", text: `${index} ${LINE.repeat(10)}` }
    : { role: "assistant", text: `${index} ${LINE.repeat(10)}`, toolCalls: [] },
);
const NAMES = ["alpha", "beta", "gamma"] as const;
/** Micro-dollars per million tokens. */
const PRICE = { input: 3_000_000, cacheRead: 300_000, cacheWrite: 3_750_000, output: 15_000_000 };
const HARD: Budget = {
  scope: "global",
  name: null,
  window: "day",
  models: null,
  hardMicros: 1_000_000_000_000,
  softMicros: null,
};

let sent = 0;
export function request(): GatewayRequest {
  sent += 1;
  const text = `${sent} ${LINE.repeat(9)}${sent % SUSPECT_EVERY === 0 ? SUSPECT : LINE}`;
  return {
    stage: "execute",
    system: LINE.repeat(20),
    messages: [...history, { role: "user", text }],
    tools: [],
    maxOutputTokens: 500,
  };
}

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
    const { signal } = new AbortController();
    const onDelta = () => {
      if (Number.isNaN(seen.first)) seen.first = now();
    };
    seen.called = now();
    const answer = gateway.call(asked, { signal, onDelta });
    control(seen);
    const result = await answer;
    seen.end = now();
    seen.ok = result.ok && result.record.attempts.length === 1;
  };
}

function byAdapter(provider: ModelProvider): Ask {
  return async (seen) => {
    const { stage: _, ...asked } = request();
    const { signal } = new AbortController();
    const onDelta = () => {
      if (Number.isNaN(seen.first)) seen.first = now();
    };
    const answer = provider.generate({ ...asked, model: "m" }, { signal, onDelta });
    control(seen);
    const result = await answer;
    seen.end = now();
    seen.ok = result.ok;
  };
}

/** Nothing but arithmetic, so long: what the machine does to it, it does to the gateway, too. */
export const CONTROL_US = 50;

/** Once a call is on its way, so that it is not late by it. */
function control(seen: Seen): void {
  seen.controlFrom = now();
  let mixed = 0;
  do for (let n = 0; n < 100; n += 1) mixed = Math.imul(mixed ^ n, 0x9e3779b1) >>> 3;
  while ((now() - seen.controlFrom) * 1_000 < CONTROL_US);
  seen.controlTo = now();
}

export interface Ways {
  /** The adapter alone, and the same once more: how far two of the same lie apart is the noise. */
  readonly adapter: Way;
  readonly again: Way;
  readonly gateway: Way;
  readonly budgeted: Way;
  /** `null` where it could not be had. */
  readonly portkey: Way | null;
  /** The gateway as above, but its providers answer at once. */
  readonly unwired: (onAsked: () => void) => ModelGateway;
  stop(): Promise<void>;
}

export async function buildWays(upstream: string, portkey: string | null): Promise<Ways> {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-overhead-"));
  const sqlite = await openSqliteStore({ path: join(folder, "spend.db"), clock: systemClock });
  const desks: SpendDesk[] = [];
  const gateway = (budgets: readonly Budget[], provider: (name: string) => ModelProvider) => {
    const spend = desk(sqlite, budgets);
    desks.push(spend);
    return createModelGateway({
      howToConfigure: "",
      default: NAMES.map((name) => `${name}/m`).join(","),
      clock: systemClock,
      random: Math.random,
      redactor: redactorFor(process.env),
      routing: { policy: "latency-first", hedge: false },
      priceSource: genaiPrices({ baseUrls: {} }),
      prices: Object.fromEntries(NAMES.map((name) => [`${name}/m`, PRICE])),
      providers: NAMES.map((name) => ({ provider: provider(name) })),
      spend,
    });
  };
  const provider = (name: string, url = upstream, headers: Record<string, string> = {}) =>
    openAiCompatibleProvider({ name, baseUrl: `${url}/v1`, apiKey: "k", headers }, { clock: systemClock });
  const wired = (name: string) => watched(provider(name));
  const headers = { "x-portkey-provider": "openai", "x-portkey-custom-host": `${upstream}/v1` };
  const direct = (name: string, ask: Ask): Way => ({ name, ask, gateway: false });
  return {
    adapter: direct("adapter", byAdapter(provider("direct"))),
    again: direct("adapter, again", byAdapter(provider("direct"))),
    gateway: { name: "gateway", ask: byGateway(gateway([], wired)), gateway: true },
    budgeted: {
      name: "gateway, hard budget in SQLite",
      ask: byGateway(gateway([HARD], wired)),
      gateway: true,
    },
    portkey:
      portkey === null
        ? null
        : direct("adapter, through Portkey", byAdapter(provider("portkey", portkey, headers))),
    unwired: (onAsked) => gateway([], (name) => instant(name, onAsked)),
    stop: async () => {
      for (const one of desks) await one.flush();
      await sqlite.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function instant(name: string, onAsked: () => void): ModelProvider {
  const usage = { input: 3_000, output: 1, cacheRead: 0, cacheWrite: 0, reasoning: 0 };
  const reply = { text: "x", toolCalls: [], reasoning: "", finish: "stop", usage, model: "m" } as const;
  return {
    name,
    health: async () => ({ status: "ok", detail: "" }),
    models: async () => [],
    generate: async (_, { onDelta }) => {
      onAsked();
      onDelta?.({ kind: "text", text: "x" });
      return { ok: true, reply: { ...reply, firstTokenMs: 1, ms: 1 } };
    },
  };
}

function desk(sqlite: SqliteStore, budgets: readonly Budget[]): SpendDesk {
  return new SpendDesk({
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
}
