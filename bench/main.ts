// Figures of the engine, measured in one run of one process, beside what a bare SQLite can do here at that moment.
// npm run bench [-- --finished 1000000] [--runs 4000] [--json] [context | copy | fair-share | postgres]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { measureContextRecall } from "./context-recall.ts";
import {
  memoryOfRestingRuns,
  openBenchHouse,
  rawCommitsPerSecond,
  resumeOfThousandSteps,
  stepsPerSecond,
  submitToStart,
  threeStepRunsPerSecond,
} from "./engine.ts";
import { fillFinishedRuns } from "./finished-runs.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    finished: { type: "string", default: "1000000" },
    runs: { type: "string", default: "6000" },
    json: { type: "boolean", default: false },
  },
});
const runs = Number(values.runs);
const finished = Number(values.finished);

interface Row {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly target?: string;
}

const rows: Row[] = [];
function row(entry: Row): void {
  rows.push(entry);
  if (!values.json)
    console.log(
      `${entry.what.padEnd(58)} ${format(entry.value).padStart(12)} ${entry.unit.padEnd(10)} ${entry.target ?? ""}`,
    );
}

function format(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}

function median(of: readonly number[]): number {
  return [...of].sort((a, b) => a - b)[Math.floor(of.length / 2)] ?? 0;
}

async function repeated(times: number, measure: () => Promise<number>): Promise<number> {
  const all: number[] = [];
  for (let n = 0; n < times; n += 1) all.push(await measure());
  return median(all);
}

async function engine(): Promise<void> {
  const raw = rawCommitsPerSecond();
  row({ what: "raw SQLite commits, one row each (the limit without batches)", value: raw, unit: "/s" });
  const house = await openBenchHouse();
  await stepsPerSecond(house, Math.min(runs, 500));
  const before = house.bytesOnDisk();
  const steps = await repeated(3, () => stepsPerSecond(house, runs));
  row({
    what: "bytes on disk per step",
    value: (house.bytesOnDisk() - before) / (runs * 5 * 3),
    unit: "bytes",
  });
  row({
    what: "durable steps, 5-step chains, 64 runs at a time",
    value: steps,
    unit: "/s",
    target: "≥ 20,000",
  });
  row({ what: "  … per raw commit", value: steps / raw, unit: "×" });
  const three = await repeated(3, () => threeStepRunsPerSecond(house, runs));
  row({ what: "3-step runs, admission to end", value: three, unit: "/s", target: "≥ 4,000" });
  row({ what: "  … per raw commit", value: three / raw, unit: "×" });
  await onTopOfFinished();
  await house.close();
  const start = await submitToStart(300);
  row({ what: "submit → first step, p50", value: start.p50, unit: "ms", target: "≤ 1" });
  row({ what: "submit → first step, p99", value: start.p99, unit: "ms" });
  row({ what: "resume of a run with 1,000 steps", value: await resumeOfThousandSteps(), unit: "ms" });
  row({ what: "heap per 1,000 resting runs", value: await memoryOfRestingRuns(5_000), unit: "MB" });
}

/** The same measurement in turn on an empty and on a full database, so that a drift of the machine hits both. */
async function onTopOfFinished(): Promise<void> {
  if (finished === 0) return;
  const full = await openBenchHouse();
  await full.sqlite.close();
  fillFinishedRuns(full.path, finished);
  await full.reopen();
  const empty = await openBenchHouse();
  const ratios: number[] = [];
  for (let n = 0; n < 5; n += 1) {
    const bare = await stepsPerSecond(empty, runs);
    ratios.push((await stepsPerSecond(full, runs)) / bare);
  }
  row({
    what: `durable steps on top of ${finished.toLocaleString("en")} finished runs`,
    value: median(ratios),
    unit: "× empty",
    target: "≥ 0.9",
  });
  await empty.close();
  await full.close();
}

async function context(): Promise<void> {
  const cacheDir = mkdtempSync(join(tmpdir(), "agent-runner-bench-"));
  const ks = [10, 20, 40];
  const report = await measureContextRecall({
    repo: process.cwd(),
    commits: 50,
    skip: 0,
    fresh: false,
    ks,
    budgetTokens: 8_000,
    cacheDir,
  });
  rmSync(cacheDir, { recursive: true, force: true });
  console.log(JSON.stringify(report, null, 2));
}

const [which] = positionals;
if (which === "context") await context();
// Whole programs of their own, with options of their own: `node bench/fair-share.ts --help` is their first lines.
else if (which === "copy") await import("./copy.ts");
else if (which === "fair-share") await import("./fair-share.ts");
else if (which === "postgres") await import("./postgres.ts");
else await engine();
if (rows.length > 0 && values.json) console.log(JSON.stringify(rows, null, 2));
