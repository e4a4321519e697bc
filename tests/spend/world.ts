import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore } from "../../src/adapters/store/sqlite/open.ts";
import type { GatewayRequest, ModelGateway } from "../../src/contracts/model-gateway.ts";
import type { ModelProvider, ModelResult } from "../../src/contracts/model-provider.ts";
import type { SpendLedger } from "../../src/contracts/spend-ledger.ts";
import type { Budget, BudgetSettings, Payer } from "../../src/domain/budget.ts";
import { type ErrorCode, failure } from "../../src/domain/errors.ts";
import { NO_USAGE, type Usage } from "../../src/domain/message.ts";
import { createModelGateway, type GatewayOptions } from "../../src/gateway/gateway.ts";
import { SpendDesk } from "../../src/gateway/spend.ts";
import { ManualClock } from "../support/manual-clock.ts";

export const USD = 1_000_000;

/** What a model does with one call. */
export interface Play {
  /** Words, with the pause before each in ms. */
  readonly words?: readonly (readonly [pauseMs: number, text: string])[];
  readonly usage?: Partial<Usage>;
  readonly fails?: ErrorCode;
  /** Never ends by itself, whatever is done to it. */
  readonly hangs?: true;
}

export interface Player extends ModelProvider {
  plays: readonly Play[];
  calls: number;
  /** What the provider would bill for: the truth that the ledger is held against. */
  readonly billed: Usage[];
}

export function player(clock: ManualClock, name: string, plays: readonly Play[]): Player {
  const self: Player = {
    name,
    plays,
    calls: 0,
    billed: [],
    health: async () => ({ status: "ok", detail: "" }),
    models: async () => [],
    generate: (request, { signal, onDelta }) => {
      const play = self.plays[Math.min(self.calls, self.plays.length - 1)] as Play;
      self.calls += 1;
      return new Promise<ModelResult>((resolve) => {
        const words = [...(play.words ?? [])];
        const text = words.map(([, word]) => word).join("");
        signal.addEventListener("abort", () => {
          if (play.hangs !== true) resolve({ ok: false, failure: failure("canceled", "taken back") });
        });
        const next = () => {
          if (signal.aborted) return;
          const word = words.shift();
          if (word !== undefined) {
            clock.after(word[0], () => {
              if (!signal.aborted) onDelta?.({ kind: "text", text: word[1] });
              next();
            });
          } else if (play.hangs !== true) clock.after(0, () => resolve(end(self, play, request.model, text)));
        };
        next();
      });
    },
  };
  return self;
}

function end(self: Player, play: Play, model: string, text: string): ModelResult {
  if (play.fails !== undefined) return { ok: false, failure: failure(play.fails, play.fails) };
  const usage = { ...NO_USAGE, input: 100, output: 10, ...play.usage };
  self.billed.push(usage);
  const rest = { toolCalls: [], reasoning: "", finish: "stop" as const, firstTokenMs: 0, ms: 0 };
  return { ok: true, reply: { text, usage, model, ...rest } };
}

/** Micro-dollars per million tokens: a dollar a thousand tokens of output, a tenth of it for those of a prompt. */
export const DEAR = { input: 100 * USD, cacheRead: 10 * USD, cacheWrite: 100 * USD, output: 1_000 * USD };
export const CHEAP = { input: 10 * USD, cacheRead: USD, cacheWrite: 10 * USD, output: 100 * USD };

export function budget(over: Partial<Budget> = {}): Budget {
  return {
    scope: "global",
    name: null,
    window: "total",
    models: null,
    hardMicros: USD,
    softMicros: null,
    ...over,
  };
}

export function settings(budgets: readonly Budget[], over: Partial<BudgetSettings> = {}): BudgetSettings {
  return {
    budgets,
    unknownPrice: "deny",
    onRefusal: "cheaper",
    atCap: "finish",
    estimate: "p95",
    holdMs: 60_000,
    keepMs: 86_400_000,
    ...over,
  };
}

export const request: GatewayRequest = {
  system: "x".repeat(400),
  messages: [],
  tools: [],
  maxOutputTokens: 100,
  stage: "execute",
};

/** A database, and as many processes on it as are wanted. */
export interface World {
  readonly clock: ManualClock;
  readonly spend: SpendLedger;
  /** The database is closed and opened again, as by a restart. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export async function world(): Promise<World> {
  const clock = new ManualClock(Date.UTC(2026, 10, 21, 12));
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-spend-"));
  const open = () => openSqliteStore({ path: join(folder, "spend.db"), clock, beats: "none" });
  let opened = await open();
  // Whoever holds it goes on with the database as it is after a restart.
  const spend = new Proxy({} as SpendLedger, {
    get: (_, name) => Reflect.get(opened.spend, name) as unknown,
  });
  return {
    clock,
    spend,
    async restart() {
      await opened.close();
      opened = await open();
    },
    async close() {
      await opened.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface ProcessOptions {
  readonly plays: Readonly<Record<string, readonly Play[]>>;
  readonly budgets: () => BudgetSettings;
  readonly prices?: GatewayOptions["prices"];
  readonly options?: Partial<GatewayOptions>;
}

export interface Process {
  readonly gateway: ModelGateway;
  readonly models: Readonly<Record<string, Player>>;
  readonly problems: string[];
  readonly desk: SpendDesk;
  /** One call; time passes until it ends. */
  ask(over?: Partial<GatewayRequest>, payer?: Payer): ReturnType<ModelGateway["call"]>;
  /** One call that is under way. */
  call(over?: Partial<GatewayRequest>, payer?: Payer, signal?: AbortSignal): ReturnType<ModelGateway["call"]>;
}

/** One process's gateway on the world's ledger. */
export function processOf({ clock, spend }: World, of: ProcessOptions): Process {
  const models = Object.fromEntries(
    Object.entries(of.plays).map(([name, plays]) => [name, player(clock, name, plays)]),
  );
  const problems: string[] = [];
  const desk = new SpendDesk({
    ledger: spend,
    settings: of.budgets,
    clock,
    random: Math.random,
    defer: (run) => void setImmediate(run),
    onProblem: (problem) => problems.push(problem),
  });
  const gateway = createModelGateway({
    providers: Object.values(models).map((provider) => ({ provider })),
    default: Object.keys(models)
      .map((name) => `${name}/m`)
      .join(", "),
    howToConfigure: "",
    clock,
    random: () => 0.5,
    prices: of.prices ?? Object.fromEntries(Object.keys(models).map((name) => [`${name}/m`, DEAR])),
    spend: desk,
    ...of.options,
  });
  const call: Process["call"] = (over, payer, signal = new AbortController().signal) =>
    gateway.call(
      { ...request, ...over },
      { signal, onDelta: () => undefined, onRestart: () => undefined, ...(payer && { payer }) },
    );
  return { gateway, models, problems, desk, call, ask: (over, payer) => clock.run(call(over, payer)) };
}

export async function accountOf({ spend }: Pick<World, "spend">, key = "global:*|total|*") {
  const [account] = await spend.accounts([key]);
  return account ?? { key, committed: 0, held: 0, presumed: 0, risk: 0, warned: false };
}
