import type { Clock } from "../../src/base/clock.ts";
import type { ModelProvider, ModelResult } from "../../src/contracts/model-provider.ts";
import { failure } from "../../src/domain/errors.ts";
import { NO_USAGE } from "../../src/domain/message.ts";
import type { PriceTable } from "../../src/gateway/prices.ts";

const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const SLO_MS = 5_000;
/** Of every request, in tokens; what differs between the targets is their price. */
const INPUT_TOKENS = 1_000;
const OUTPUT_TOKENS = 200;
const REFUSAL_MS = 50;

export interface TargetSpec {
  readonly name: string;
  /** ms to the first token: lognormal. */
  readonly medianMs: number;
  readonly sigma: number;
  /** US dollars per million tokens of input; output is five times as dear. */
  readonly usd: number;
}

export const TARGETS: readonly TargetSpec[] = [
  { name: "alpha", medianMs: 450, sigma: 0.45, usd: 4 },
  { name: "beta", medianMs: 600, sigma: 0.35, usd: 2 },
  { name: "gamma", medianMs: 550, sigma: 0.55, usd: 2.5 },
  { name: "delta", medianMs: 1_100, sigma: 0.4, usd: 1 },
];

type Trouble =
  | { readonly kind: "brownout"; readonly factor: number }
  | { readonly kind: "overload"; readonly share: number }
  | { readonly kind: "hang"; readonly share: number };

/** Something that goes wrong at a target, by minutes of each hour. */
export interface Incident {
  readonly target: number;
  readonly from: number;
  readonly to: number;
  readonly what: Trouble;
}

/** A black hole is a hang of everything. */
const INCIDENTS: readonly Incident[] = [
  { target: 0, from: 5, to: 10, what: { kind: "brownout", factor: 8 } },
  { target: 2, from: 15, to: 20, what: { kind: "overload", share: 0.6 } },
  { target: 1, from: 25, to: 30, what: { kind: "hang", share: 0.15 } },
  { target: 0, from: 35, to: 38, what: { kind: "hang", share: 1 } },
];

/** Two minutes with some of the same, short enough to be lived through in real time. */
export const SHORT_INCIDENTS: readonly Incident[] = [
  { target: 0, from: 0.4, to: 0.7, what: { kind: "brownout", factor: 8 } },
  { target: 2, from: 0.8, to: 1.1, what: { kind: "overload", share: 0.6 } },
  { target: 1, from: 1.2, to: 1.5, what: { kind: "hang", share: 0.15 } },
  { target: 0, from: 1.6, to: 1.8, what: { kind: "hang", share: 1 } },
];

export interface Scenario {
  readonly incidents: readonly Incident[];
  /** Calls at a time that a target takes before it answers 429, and that slow it down as it fills; absent for no limit. */
  readonly capacity?: number;
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  calm: { incidents: [] },
  incidents: { incidents: INCIDENTS },
  crowded: { incidents: INCIDENTS, capacity: 60 },
};

/** Deterministic and uniform in [0, 1): the same numbers meet every policy. */
export function draw(...of: readonly number[]): number {
  let h = 0x9e3779b9;
  for (const one of of) {
    h = Math.imul(h ^ one, 0x85ebca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35);
    h ^= h >>> 16;
  }
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 4_294_967_296;
}

function normal(...of: readonly number[]): number {
  const u = Math.max(1e-12, draw(...of, 1));
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * draw(...of, 2));
}

/** A stream of draws for a policy's own randomness. */
export function stream(seed: number): () => number {
  let n = 0;
  return () => {
    n += 1;
    return draw(seed, 7, n);
  };
}

/** What a request meets at a target: ms to the first token, or to the refusal. */
export interface Fate {
  readonly ms: number;
  readonly end: "ok" | "529" | "429" | "never";
}

/** Without load, which only a simulated world knows. `now` in ms since the world began. */
export function fateOf(of: {
  readonly seed: number;
  readonly request: number;
  readonly target: number;
  readonly now: number;
  readonly incidents: readonly Incident[];
}): Fate {
  const { seed, request, target, now } = of;
  const spec = TARGETS[target] as TargetSpec;
  const ms = spec.medianMs * Math.exp(spec.sigma * normal(seed, request, target));
  const trouble = troubleOf(of.incidents, target, now);
  if (trouble?.kind === "brownout") return { ms: ms * trouble.factor, end: "ok" };
  if (trouble === null || draw(seed, request, target, 3) >= trouble.share) return { ms, end: "ok" };
  return trouble.kind === "overload"
    ? { ms: REFUSAL_MS, end: "529" }
    : { ms: Number.POSITIVE_INFINITY, end: "never" };
}

/** ms from the first token to the end of an answer. */
export function restMs(seed: number, request: number, target: number): number {
  return 1_000 + 2_000 * draw(seed, request, target, 4);
}

export interface World {
  readonly providers: readonly ModelProvider[];
  readonly prices: PriceTable;
  readonly attempts: () => number;
  readonly costMicros: () => number;
  /** What this request would meet at each target if it were sent now: ms to the first token, `Infinity` for a failure. */
  foresee(request: number): readonly number[];
}

export function createWorld(
  clock: Clock,
  seed: number,
  scenario: Scenario,
  names: readonly string[] = TARGETS.map(({ name }) => name),
): World {
  let attempts = 0;
  let costMicros = 0;
  const loads = TARGETS.map(() => 0);
  const fate = (target: number, request: number): Fate => {
    const load = loads[target] as number;
    const { capacity, incidents } = scenario;
    if (capacity !== undefined && load >= capacity) return { ms: 30, end: "429" };
    const coupled = capacity === undefined ? 1 : 1 + (load / capacity) ** 2;
    const { ms, end } = fateOf({ seed, request, target, now: clock.now(), incidents });
    return { ms: end === "ok" ? ms * coupled : ms, end };
  };
  const providers = TARGETS.map(
    (spec, target): ModelProvider => ({
      name: names[target] as string,
      health: async () => ({ status: "ok", detail: "" }),
      models: async () => ["m"],
      generate: (request, { signal, onDelta }) => {
        const index = Number(request.system);
        const { ms, end } = fate(target, index);
        const startedAt = clock.now();
        attempts += 1;
        loads[target] = (loads[target] as number) + 1;
        return new Promise<ModelResult>((resolve) => {
          let cancel = () => {};
          const finish = (result: ModelResult) => {
            loads[target] = (loads[target] as number) - 1;
            // Refusals cost nothing; what was begun is paid, and the input of what hung or was taken back as well.
            const output = result.ok ? OUTPUT_TOKENS : 0;
            if (end !== "529" && end !== "429") costMicros += spec.usd * (INPUT_TOKENS + 5 * output);
            signal.removeEventListener("abort", onAbort);
            resolve(result);
          };
          const onAbort = () => {
            cancel();
            finish({ ok: false, failure: failure("canceled", "taken back") });
          };
          signal.addEventListener("abort", onAbort, { once: true });
          if (end === "never") return;
          cancel = clock.after(ms, () => {
            if (end === "529") return finish({ ok: false, failure: failure("model_overloaded", "529") });
            if (end === "429") {
              return finish({
                ok: false,
                failure: failure("model_rate_limited", "429"),
                retryAfterMs: 1_000,
              });
            }
            onDelta?.({ kind: "text", text: "x" });
            cancel = clock.after(restMs(seed, index, target), () =>
              finish(answered(clock.now() - startedAt, ms)),
            );
          });
        });
      },
    }),
  );
  const prices = Object.fromEntries(
    TARGETS.map(({ usd }, target) => {
      const micros = usd * 1_000_000;
      return [
        `${names[target]}/m`,
        { input: micros, cacheRead: micros, cacheWrite: micros, output: 5 * micros },
      ];
    }),
  );
  return {
    providers,
    prices,
    attempts: () => attempts,
    costMicros: () => costMicros,
    foresee: (request) =>
      TARGETS.map((_, target) => {
        const { ms, end } = fate(target, request);
        return end === "ok" ? ms : Number.POSITIVE_INFINITY;
      }),
  };
}

function troubleOf(incidents: readonly Incident[], target: number, now: number): Trouble | null {
  const minute = (now % HOUR) / MINUTE;
  return (
    incidents.find((one) => one.target === target && minute >= one.from && minute < one.to)?.what ?? null
  );
}

function answered(ms: number, firstTokenMs: number): ModelResult {
  return {
    ok: true,
    reply: {
      text: "x",
      toolCalls: [],
      reasoning: "",
      finish: "stop",
      usage: { ...NO_USAGE, input: INPUT_TOKENS, output: OUTPUT_TOKENS },
      model: "m",
      firstTokenMs,
      ms,
    },
  };
}

/** Arrivals in ms: calm and busy minutes by turns, so that there is something to burst. */
export function* arrivals(seed: number, count: number, perSecond: number): Generator<number> {
  let at = 0;
  for (let n = 0; n < count; n += 1) {
    const busy = draw(seed, 11, Math.floor(at / 20_000)) < 0.25;
    const rate = perSecond * (busy ? 2.2 : 0.6);
    at += (-Math.log(Math.max(1e-12, draw(seed, 13, n))) / rate) * 1_000;
    yield at;
  }
}
