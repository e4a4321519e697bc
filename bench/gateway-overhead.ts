// What the gateway adds to a streamed call, beside the provider's adapter alone and one established gateway from npm. Open
// loop: calls begin when they were meant to begin, whatever the ones before them do, and their time counts from then.
// node bench/gateway-overhead.ts [--streams 500] [--seconds 12] [--rounds 1] [--portkey <installed folder>] [--no-portkey] [--json <file>]
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import {
  FIRST_MS,
  type Load,
  type Loaded,
  load,
  now,
  PACE_MS,
  PIECES,
  type Seen,
  STREAM_MS,
  type Way,
} from "./gateway/open-loop.ts";
import { startPortkey, startScript } from "./gateway/processes.ts";
import { type Figure, quantile, quantileAbove, quantileOf, type Sample } from "./gateway/quantiles.ts";
import { buildWays, CONTROL_US, request, type Ways } from "./gateway/ways.ts";

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "500" },
    seconds: { type: "string", default: "12" },
    rounds: { type: "string", default: "1" },
    portkey: { type: "string" },
    "no-portkey": { type: "boolean", default: false },
    json: { type: "string" },
  },
});
const streams = Number(values.streams);
const seconds = Number(values.seconds);

/** Of the ways side by side each has only a part of the calls, so they get so many times the seconds of one alone. */
const TOGETHER_FACTOR = 2;
const SERIAL_CALLS = 5_000;
const SERIAL_WARM = 5_000;
const TARGET_P50_US = 150;
const TARGET_P99_US = 1_000;

type Part = "first" | "whole" | "ownFirst" | "ownEnd" | "control";
const PARTS: Readonly<Record<Part, (seen: Seen) => number>> = {
  first: (seen) => seen.first - seen.intended - FIRST_MS,
  whole: (seen) => seen.end - seen.intended - STREAM_MS,
  // Before the provider is asked, and between the provider's first word and the caller's.
  ownFirst: (seen) => seen.asked - seen.called + seen.first - seen.providerFirst,
  ownEnd: (seen) => seen.end - seen.providerEnd,
  control: (seen) => seen.controlTo - seen.controlFrom,
};

interface Result {
  readonly seen: Map<string, Seen[]>;
  cpuMs: number;
}

const upstream = await startScript("upstream.ts", [FIRST_MS, PIECES, PACE_MS]);
const portkey = values["no-portkey"] ? null : await startPortkey(values.portkey);
const ways = await buildWays(upstream.url, portkey?.url ?? null);
try {
  // First, and so the load meets a process that has served some thousand calls, as one that runs for a day has.
  const alone = await serially(ways);
  const { together, single } = await measure(ways);
  report({ together, single, alone });
} finally {
  await ways.stop();
  await portkey?.stop();
  await upstream.stop();
}

async function measure(
  built: Ways,
): Promise<{ readonly together: Result; readonly single: readonly (Result & { readonly way: Way })[] }> {
  const { adapter, again, gateway, budgeted, portkey: other } = built;
  const beside = [adapter, again, gateway, budgeted, ...(other === null ? [] : [other])];
  const single = [adapter, gateway, budgeted, ...(other === null ? [] : [other])].map((way) => ({
    way,
    ...nothing(),
  }));
  const together = nothing();
  for (let round = 1; round <= Number(values.rounds); round += 1) {
    // Each round in the other direction, so that what drifts meets all alike.
    for (const one of round % 2 === 1 ? single : single.toReversed()) {
      add(one, await loaded({ ways: [one.way], streams, seconds, seed: round }));
    }
    add(together, await loaded({ ways: beside, streams, seconds: seconds * TOGETHER_FACTOR, seed: -round }));
  }
  return { together, single };
}

async function loaded(one: Load): Promise<Loaded> {
  process.stderr.write(`${one.ways.map(({ name }) => name).join(" · ")}: ${one.seconds} s\n`);
  return load(one);
}

function nothing(): Result {
  return { seen: new Map(), cpuMs: 0 };
}

function add(to: Result, { seen, cpuMs }: Loaded): void {
  for (const [name, calls] of seen) to.seen.set(name, [...(to.seen.get(name) ?? []), ...calls]);
  to.cpuMs += cpuMs / Number(values.rounds);
}

interface Alone {
  readonly meanCpuUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** One call after the other against a provider that answers at once: what the gateway itself takes of the processor. */
async function serially(built: Ways): Promise<Alone> {
  let askedAt = 0;
  const gateway = built.unwired(() => {
    askedAt = now();
  });
  const before = new Float64Array(SERIAL_CALLS);
  let cpu = process.threadCpuUsage();
  for (let call = -SERIAL_WARM; call < SERIAL_CALLS; call += 1) {
    if (call === 0) cpu = process.threadCpuUsage();
    const asked = request();
    const { signal } = new AbortController();
    const startedAt = now();
    await gateway.call(asked, { signal, onDelta: () => {} });
    if (call >= 0) before[call] = (askedAt - startedAt) * 1_000;
    // Else what is booked in passing would never get its turn.
    if (call % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const { user, system } = process.threadCpuUsage(cpu);
  return {
    meanCpuUs: (user + system) / SERIAL_CALLS,
    p50Us: quantile(before, 0.5),
    p99Us: quantile(before, 0.99),
  };
}

function samples(calls: readonly Seen[] | undefined, part: Part): readonly Sample[] {
  const of = PARTS[part];
  return (calls ?? []).filter(({ ok }) => ok).map((seen) => ({ at: seen.intended, ms: of(seen) }));
}

interface Row {
  readonly way: string;
  readonly calls: number;
  readonly failed: number;
  readonly cpuMsPerCall?: number;
  readonly [figure: string]: Figure | string | number | undefined;
}

function row(name: string, calls: readonly Seen[], figures: Readonly<Record<string, Figure>>): Row {
  return { way: name, calls: calls.length, failed: calls.filter(({ ok }) => !ok).length, ...figures };
}

function report(of: {
  readonly together: Result;
  readonly single: readonly (Result & { readonly way: Way })[];
  readonly alone: Alone;
}): void {
  const both = (calls: readonly Seen[] | undefined, part: Part) => ({
    p50: quantileOf(samples(calls, part), 0.5),
    p99: quantileOf(samples(calls, part), 0.99),
  });
  const single = of.single.map(({ way, seen, cpuMs }) => {
    const calls = seen.get(way.name) ?? [];
    const [first, whole] = [both(calls, "first"), both(calls, "whole")];
    const figures = { firstP50: first.p50, firstP99: first.p99, wholeP50: whole.p50, wholeP99: whole.p99 };
    return { ...row(way.name, calls, figures), cpuMsPerCall: cpuMs };
  });
  const base = of.together.seen.get("adapter");
  const together = [...of.together.seen].map(([name, calls]) => {
    const above = (part: Part, share: number) =>
      quantileAbove(samples(calls, part), samples(base, part), share);
    return row(name, calls, {
      firstP50: above("first", 0.5),
      firstP99: above("first", 0.99),
      wholeP50: above("whole", 0.5),
      wholeP99: above("whole", 0.99),
    });
  });
  const own = of.single
    .filter(({ way }) => way.gateway)
    .map(({ way, seen }) => {
      const calls = seen.get(way.name) ?? [];
      const [first, end] = [both(calls, "ownFirst"), both(calls, "ownEnd")];
      const figures = { firstP50: first.p50, firstP99: first.p99, endP50: end.p50, endP99: end.p99 };
      return row(way.name, calls, figures);
    });
  const beside = of.single.find(({ way }) => way.gateway)?.seen.get("gateway") ?? [];
  const control = both(beside, "control");
  own.push(
    row(`${CONTROL_US} µs of arithmetic after each call of the first`, beside, {
      firstP50: control.p50,
      firstP99: control.p99,
    }),
  );
  if (values.json !== undefined) {
    const all = { streams, seconds, unit: "ms", own, single, together, alone: of.alone };
    writeFileSync(values.json, `${JSON.stringify(all, null, 2)}\n`);
  }
  print({ own, single, together, alone: of.alone });
}

function print(of: {
  readonly own: readonly Row[];
  readonly single: readonly Row[];
  readonly together: readonly Row[];
  readonly alone: Alone;
}): void {
  const rate = ((streams / STREAM_MS) * 1_000).toFixed(0);
  console.log(
    `${streams} streams of ${PIECES} pieces at a time, ${rate} calls/s in an open loop. µs, with 95 % intervals.`,
  );
  const heads = ["first token p50", "p99", "whole answer p50", "p99"];
  const keys = ["firstP50", "firstP99", "wholeP50", "wholeP99"];
  console.log("\nAdded by the gateway, by its own stamps, in a process that serves all streams\n");
  table(of.own, ["to the first token p50", "p99", "after the last p50", "p99"], {
    keys: ["firstP50", "firstP99", "endP50", "endP99"],
  });
  console.log(
    "\nAbove the adapter beside which it ran: of each call of one load one of these ways was drawn\n",
  );
  table(of.together, heads, { keys });
  console.log("\nBeyond what the upstream takes, each way alone with all streams\n");
  table(of.single, heads, { keys, cpu: true });
  const { meanCpuUs, p50Us, p99Us } = of.alone;
  console.log(
    `\none call after the other, before the provider is asked: p50 ${p50Us.toFixed(0)} µs, p99 ${p99Us.toFixed(0)} µs; ` +
      `processor time of the whole call, mean: ${meanCpuUs.toFixed(0)} µs`,
  );
  const met = of.own[0];
  const [p50, p99] = [micros(met?.firstP50), micros(met?.firstP99)];
  const verdict = p50 <= TARGET_P50_US && p99 <= TARGET_P99_US ? "met" : "missed";
  console.log(
    `\ntarget: p50 ≤ ${TARGET_P50_US} µs, p99 ≤ ${TARGET_P99_US} µs to the first token: ${verdict} (${p50}, ${p99})`,
  );
}

function table(
  rows: readonly Row[],
  heads: readonly string[],
  of: { readonly keys: readonly string[]; readonly cpu?: boolean },
): void {
  const cpu = of.cpu === true;
  const all = ["way", "calls", "failed", ...heads, ...(cpu ? ["this process's cpu per call, ms"] : [])];
  console.log(`| ${all.join(" | ")} |\n|${all.map(() => "---|").join("")}`);
  for (const one of rows) {
    const figures = of.keys.map((key) => cell(one[key] as Figure | undefined));
    const cells = [
      one.way,
      one.calls,
      one.failed,
      ...figures,
      ...(cpu ? [one.cpuMsPerCall?.toFixed(2)] : []),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

function cell(figure: Figure | undefined): string {
  if (figure === undefined) return "–";
  const { value, low, high } = figure;
  const [at, from, to] = [value, low, high].map((ms) => Math.round(ms * 1_000).toLocaleString("en"));
  return `${at} (${from} to ${to})`;
}

function micros(figure: Figure | string | number | undefined): number {
  return typeof figure === "object" ? Math.round(figure.value * 1_000) : Number.NaN;
}
