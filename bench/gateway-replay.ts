// Is the simulation true? Two minutes of it are lived through: the same policy, the same arrivals and the same fates, but real
// adapters on four wires, real sockets and real time, against a server of its own. p50 and p95 to the first token must be
// within 10 %. node bench/gateway-replay.ts [--seconds 120] [--rate 12] [--seed 1] [--json]
import { parseArgs } from "node:util";
import { anthropicProvider } from "../src/adapters/models/anthropic/provider.ts";
import { googleProvider } from "../src/adapters/models/google/provider.ts";
import { ollamaProvider } from "../src/adapters/models/ollama/provider.ts";
import { openAiCompatibleProvider } from "../src/adapters/models/openai-compatible/provider.ts";
import { systemClock } from "../src/app/system-clock.ts";
import type { Clock } from "../src/base/clock.ts";
import type { ModelProvider } from "../src/contracts/model-provider.ts";
import { createModelGateway } from "../src/gateway/gateway.ts";
import { startScript } from "./gateway/processes.ts";
import { VirtualClock } from "./gateway/virtual-clock.ts";
import { arrivals, createWorld, SHORT_INCIDENTS, SLO_MS, stream } from "./gateway/world.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "120" },
    rate: { type: "string", default: "12" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
const ALLOWED = 0.1;
const LEAD_MS = 500;
const NAMES = ["anthropic", "openai", "google", "ollama"] as const;
const times = [
  ...arrivals(seed, Number(values.seconds) * Number(values.rate) * 4, Number(values.rate)),
].filter((at) => at < Number(values.seconds) * 1_000);

interface Outcome {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly sloMissPercent: number;
  readonly attempts: number;
  readonly codes: Readonly<Record<string, number>>;
}

interface Lived {
  readonly ms: number;
  readonly ok: boolean;
  readonly codes: readonly string[];
}

type Ask = (request: number) => Promise<Lived>;

function caller(clock: Clock, providers: readonly ModelProvider[], models: readonly string[]): Ask {
  // The same for all four, whatever the catalogue knows of the names: the simulation has no such differences.
  const price = { input: 2_000_000, cacheRead: 2_000_000, cacheWrite: 2_000_000, output: 10_000_000 };
  const names = NAMES.map((name, target) => `${name}/${models[target]}`);
  const gateway = createModelGateway({
    providers: providers.map((provider) => ({ provider })),
    howToConfigure: "",
    default: names.join(","),
    clock,
    random: stream(seed),
    policy: { maxAttempts: 3 },
    routing: { policy: "latency-first" },
    prices: Object.fromEntries(names.map((name) => [name, price])),
    catalogue: Object.fromEntries(names.map((name) => [name, { quality: 2 as const }])),
  });
  const { signal } = new AbortController();
  return async (request) => {
    const startedAt = clock.now();
    let first = Number.POSITIVE_INFINITY;
    const result = await gateway.call(
      {
        stage: "execute",
        system: String(request),
        messages: [{ role: "user", text: "x" }],
        tools: [],
        maxOutputTokens: 200,
      },
      {
        signal,
        onDelta: () => {
          first = Math.min(first, clock.now() - startedAt);
        },
      },
    );
    const codes = result.record.attempts.map((attempt) => attempt.code);
    return { ms: result.ok ? first : clock.now() - startedAt, ok: result.ok, codes };
  };
}

async function simulated(): Promise<Outcome> {
  const clock = new VirtualClock();
  const world = createWorld(clock, seed, { incidents: SHORT_INCIDENTS }, NAMES);
  const ask = caller(clock, world.providers, ["m", "m", "m", "m"]);
  const lived: Promise<Lived>[] = [];
  for (const [request, at] of times.entries()) clock.after(at, () => lived.push(ask(request)));
  await clock.run();
  return outcomeOf(await Promise.all(lived));
}

async function real(): Promise<Outcome> {
  // The model's name tells the server which target is meant.
  const models = ["alpha", "beta", "gamma", "delta"];
  const server = await startScript("replay-server.ts", [seed, models.join(",")]);
  const { url } = server;
  const deps = { clock: systemClock };
  const providers = [
    anthropicProvider({ apiKey: "k", baseUrl: url }, deps),
    openAiCompatibleProvider({ name: "openai", baseUrl: `${url}/v1` }, deps),
    googleProvider({ apiKey: "k", baseUrl: url }, deps),
    ollamaProvider({ baseUrl: url }, deps),
  ];
  try {
    // What is loaded at the first call is no part of what is compared.
    const warm = new AbortController();
    setTimeout(() => warm.abort(), LEAD_MS);
    await Promise.all(
      providers.map((provider, target) =>
        provider.generate(
          {
            model: models[target] ?? "",
            system: "0",
            messages: [{ role: "user", text: "x" }],
            tools: [],
            maxOutputTokens: 9,
          },
          { signal: warm.signal },
        ),
      ),
    );
    const ask = caller(systemClock, providers, models);
    const beganAt = Date.now() + LEAD_MS;
    server.tell(`${beganAt}\n`);
    const lived: Promise<Lived>[] = [];
    await Promise.all(
      times.map(
        (at, request) =>
          new Promise<void>((resolve) => {
            setTimeout(
              () => {
                lived.push(ask(request));
                resolve();
              },
              beganAt + at - Date.now(),
            );
          }),
      ),
    );
    return outcomeOf(await Promise.all(lived));
  } finally {
    await server.stop();
  }
}

function outcomeOf(lived: readonly Lived[]): Outcome {
  const sorted = lived.map((one) => one.ms).toSorted((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  const codes: Record<string, number> = {};
  for (const code of lived.flatMap((one) => one.codes)) codes[code] = (codes[code] ?? 0) + 1;
  const missed = lived.filter((one) => !one.ok || one.ms > SLO_MS).length;
  const attempts = lived.reduce((sum, one) => sum + one.codes.length, 0) / lived.length;
  return {
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    sloMissPercent: (100 * missed) / lived.length,
    attempts,
    codes,
  };
}

const said = await simulated();
const happened = await real();
const off = (of: "p50" | "p95") => happened[of] / said[of] - 1;
const good = Math.abs(off("p50")) <= ALLOWED && Math.abs(off("p95")) <= ALLOWED;
if (values.json)
  console.log(JSON.stringify({ requests: times.length, simulated: said, real: happened, good }, null, 2));
else {
  console.log(`${times.length} requests in ${values.seconds} s, seed ${seed}; ms to the first token\n`);
  console.log("| | p50 | p95 | p99 | SLO miss % | attempts |\n|---|---|---|---|---|---|");
  for (const [name, one] of [
    ["simulated", said],
    ["real", happened],
  ] as const) {
    const cells = [one.p50, one.p95, one.p99].map((ms) => Math.round(ms).toString());
    console.log(
      `| ${name} | ${cells.join(" | ")} | ${one.sloMissPercent.toFixed(2)} | ${one.attempts.toFixed(3)} |`,
    );
  }
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  console.log(
    `\np50 ${percent(off("p50"))}, p95 ${percent(off("p95"))}, ±${100 * ALLOWED} % allowed: ${good ? "met" : "missed"}`,
  );
  console.log(`attempts: ${JSON.stringify({ simulated: said.codes, real: happened.codes })}`);
}
process.exitCode = good ? 0 : 1;
