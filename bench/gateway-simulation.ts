// Hours of traffic over models that have bad days, in virtual time. "agent-runner" is the real gateway, with its clock, its
// randomness and its providers injected; the others are what gateways commonly do, over the same providers and draws.
// node bench/gateway-simulation.ts [--requests 100000] [--seeds 3] [--scenario incidents] [--policy <name>] [--json]
// The plot in docs: node bench/gateway-simulation.ts --seeds 5 --json > results.json
//                   node bench/gateway/plot.ts results.json docs/gateway-simulation.svg
import { parseArgs } from "node:util";
import type { GatewayRequest } from "../src/contracts/model-gateway.ts";
import { createModelGateway } from "../src/gateway/gateway.ts";
import type { RoutingSettings } from "../src/gateway/house.ts";
import { callBy, PICKERS } from "./gateway/baselines.ts";
import { VirtualClock } from "./gateway/virtual-clock.ts";
import { arrivals, createWorld, SCENARIOS, type Scenario, SLO_MS, stream, TARGETS } from "./gateway/world.ts";

const PER_SECOND = 28;
const MAX_ATTEMPTS = 3;

const OURS: Readonly<Record<string, RoutingSettings>> = {
  "agent-runner, latency-first": { policy: "latency-first" },
  "agent-runner, without hedging": { policy: "latency-first", hedge: false },
  "agent-runner, cost-first": { policy: "cost-first" },
};

interface Outcome {
  readonly sloMissPercent: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly attempts: number;
  /** Of the cheapest target for every request. */
  readonly cost: number;
}

interface Setting {
  readonly seed: number;
  readonly requests: number;
  readonly rate: number;
  readonly scenario: Scenario;
}

async function simulate(policy: string, setting: Setting): Promise<Outcome> {
  const { seed, requests } = setting;
  const clock = new VirtualClock();
  const world = createWorld(clock, seed, setting.scenario);
  const ask = caller(policy, { clock, world, seed });
  const firstTokens = new Float64Array(requests);
  let misses = 0;
  const times = arrivals(seed, requests, setting.rate);
  const next = (index: number) => {
    const at = times.next();
    if (at.done === true) return;
    clock.after(at.value - clock.now(), () => {
      next(index + 1);
      const startedAt = clock.now();
      let first = Number.POSITIVE_INFINITY;
      const onFirst = () => {
        first = Math.min(first, clock.now() - startedAt);
      };
      void ask(index, onFirst).then((ok) => {
        // A request that never got an answer took as long as it took to know that.
        firstTokens[index] = ok ? first : clock.now() - startedAt;
        if (!ok || first > SLO_MS) misses += 1;
      });
    });
  };
  next(0);
  await clock.run();
  firstTokens.sort();
  const at = (share: number) => firstTokens[Math.min(requests - 1, Math.floor(requests * share))] as number;
  return {
    sloMissPercent: (100 * misses) / requests,
    p50: at(0.5) / 1_000,
    p95: at(0.95) / 1_000,
    p99: at(0.99) / 1_000,
    attempts: world.attempts() / requests,
    cost: world.costMicros() / (requests * 2_000),
  };
}

type Ask = (index: number, onFirst: () => void) => Promise<boolean>;

function caller(
  policy: string,
  around: {
    readonly clock: VirtualClock;
    readonly world: ReturnType<typeof createWorld>;
    readonly seed: number;
  },
): Ask {
  const { clock, world, seed } = around;
  const random = stream(seed);
  const request = (index: number) => ({
    system: String(index),
    messages: [{ role: "user" as const, text: "x" }],
    tools: [],
    maxOutputTokens: 200,
  });
  const pick = PICKERS[policy];
  if (pick !== undefined) {
    const picker = pick({ clock, random, count: TARGETS.length, foresee: world.foresee });
    return (index, onFirst) =>
      callBy(
        picker,
        { clock, providers: world.providers },
        { index, request: { ...request(index), model: "m" }, onFirst },
      );
  }
  const gateway = createModelGateway({
    providers: world.providers.map((provider) => ({ provider })),
    howToConfigure: "",
    default: TARGETS.map(({ name }) => `${name}/m`).join(","),
    clock,
    random,
    prices: world.prices,
    policy: { maxAttempts: MAX_ATTEMPTS },
    routing: OURS[policy] ?? {},
  });
  const { signal } = new AbortController();
  return async (index, onFirst) => {
    const asked: GatewayRequest = { ...request(index), stage: "execute" };
    return (await gateway.call(asked, { signal, onDelta: onFirst })).ok;
  };
}

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "100000" },
    seeds: { type: "string", default: "3" },
    rate: { type: "string", default: String(PER_SECOND) },
    scenario: { type: "string", default: "incidents" },
    policy: { type: "string", multiple: true },
    json: { type: "boolean", default: false },
  },
});
const scenario = SCENARIOS[values.scenario];
if (scenario === undefined) throw new Error(`--scenario is one of ${Object.keys(SCENARIOS).join(", ")}`);
const policies = [...Object.keys(PICKERS), ...Object.keys(OURS)];
const wanted = values.policy ?? policies;

const COLUMNS = ["sloMissPercent", "p50", "p95", "p99", "attempts", "cost"] as const;
const DIGITS = { sloMissPercent: 3, p50: 2, p95: 2, p99: 2, attempts: 3, cost: 3 } as const;

/** Mean over the seeds and, where they differ, half the width of its 95 % interval. */
function spread(of: readonly number[], digits: number): string {
  const mean = of.reduce((sum, one) => sum + one, 0) / of.length;
  if (of.length < 2) return mean.toFixed(digits);
  const variance = of.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (of.length - 1);
  const half = studentT(of.length - 1) * Math.sqrt(variance / of.length);
  return `${mean.toFixed(digits)} ± ${half.toFixed(digits)}`;
}

function studentT(degrees: number): number {
  return [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26][degrees - 1] ?? 2;
}

const results: Record<string, readonly Outcome[]> = {};
if (!values.json) {
  console.log(
    `${values.scenario}: ${values.requests} requests, ${values.rate}/s, ${values.seeds} seeds; seconds\n`,
  );
  console.log("| policy | SLO miss % | p50 | p95 | p99 | attempts | cost |");
  console.log("|---|---|---|---|---|---|---|");
}
for (const policy of wanted) {
  const outcomes: Outcome[] = [];
  for (let seed = 1; seed <= Number(values.seeds); seed += 1) {
    const setting = { seed, requests: Number(values.requests), rate: Number(values.rate), scenario };
    outcomes.push(await simulate(policy, setting));
  }
  results[policy] = outcomes;
  const cells = COLUMNS.map((column) =>
    spread(
      outcomes.map((one) => one[column]),
      DIGITS[column],
    ),
  );
  if (!values.json) console.log(`| ${policy} | ${cells.join(" | ")} |`);
}
if (values.json) {
  const { requests, seeds, rate } = values;
  const about = {
    scenario: values.scenario,
    requests: Number(requests),
    seeds: Number(seeds),
    rate: Number(rate),
  };
  console.log(JSON.stringify({ ...about, policies: results }, null, 2));
}
