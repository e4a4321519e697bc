import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { newId } from "../src/base/id.ts";
import { admit, type BenchHouse, benchAction, chain, openHouse, runRequest, save } from "./engine-house.ts";

const SLOTS = 64;

/** What one process can do at best: single-row commits of 200 bytes, WAL, synchronous=FULL, nothing else. */
export function rawCommitsPerSecond(forMs = 1_500): number {
  const dir = mkdtempSync(join(tmpdir(), "agent-runner-bench-"));
  const db = new DatabaseSync(join(dir, "raw.db"));
  db.exec(
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)",
  );
  const insert = db.prepare("INSERT INTO t(body) VALUES (?)");
  const body = "x".repeat(200);
  const began = performance.now();
  let commits = 0;
  while (performance.now() - began < forMs) {
    insert.run(body);
    commits += 1;
  }
  const perSecond = commits / ((performance.now() - began) / 1_000);
  db.close();
  rmSync(dir, { recursive: true, force: true });
  return perSecond;
}

async function drained(house: BenchHouse): Promise<void> {
  for (;;) {
    const { ready, leased, byStatus } = await house.sqlite.reader.counts();
    if (byStatus.failed > 0) throw new Error("a run of the bench failed");
    if (ready + leased === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Durable no-op steps per second: chains of 5, 64 runs at a time, already admitted. */
export async function stepsPerSecond(house: BenchHouse, runs: number): Promise<number> {
  const flow = chain(5);
  await save(house.sqlite, flow);
  await admit(house, flow, runs);
  const began = performance.now();
  house.worker.start();
  await drained(house);
  const seconds = (performance.now() - began) / 1_000;
  await house.worker.stop();
  return (runs * 5) / seconds;
}

/** Runs of three steps per second, from admission to end: the worker works while they are admitted. */
export async function threeStepRunsPerSecond(house: BenchHouse, runs: number): Promise<number> {
  const flow = chain(3);
  await save(house.sqlite, flow);
  house.worker.start();
  const began = performance.now();
  await admit(house, flow, runs);
  await drained(house);
  const seconds = (performance.now() - began) / 1_000;
  await house.worker.stop();
  return runs / seconds;
}

/** From the call that admits a run to the first line of its first step, one run at a time; ms. */
export async function submitToStart(
  samples: number,
): Promise<{ readonly p50: number; readonly p99: number }> {
  let began = 0;
  const times: number[] = [];
  let next: () => void = () => {};
  const probe = benchAction("probe", async () => {
    times.push(performance.now() - began);
    next();
    return null;
  });
  const house = await openHouse({ slots: SLOTS, actions: [probe] });
  const flow = chain(1, "probe");
  await save(house.sqlite, flow);
  house.worker.start();
  for (let n = 0; n < samples; n += 1) {
    const started = new Promise<void>((resolve) => {
      next = resolve;
    });
    began = performance.now();
    await house.sqlite.store.admit([
      {
        id: newId("run", Date.now(), Math.random),
        request: runRequest(flow),
        idempotency: null,
        at: Date.now(),
      },
    ]);
    await started;
    await drained(house);
  }
  await house.close();
  const sorted = times.sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}

/** How long it takes to take up a run with a thousand steps behind it, in ms: claim, read, fold, decide, next step. */
export async function resumeOfThousandSteps(): Promise<number> {
  let passed = 0;
  let reached: () => void = () => {};
  let hold = true;
  const gate = benchAction("gate", async (input, context) => {
    passed += 1;
    const last = (input as { n: number }).n === 999;
    if (last) reached();
    if (last && hold) await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
    return null;
  });
  const house = await openHouse({ slots: SLOTS, actions: [gate] });
  const flow = { ...chain(1_000, "gate"), maxParallel: 8 };
  await save(house.sqlite, flow);
  const first = new Promise<void>((resolve) => {
    reached = resolve;
  });
  await admit(house, flow, 1);
  house.worker.start();
  await first;
  await house.worker.stop(0);
  hold = false;
  const again = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const began = performance.now();
  house.worker.start();
  await again;
  const ms = performance.now() - began;
  await drained(house);
  await house.close();
  if (passed !== 1_001) throw new Error(`expected 1001 performances, saw ${passed}`);
  return ms;
}

/** Memory of the process per thousand runs that rest on a signal, in MB. */
export async function memoryOfRestingRuns(runs: number): Promise<number> {
  const wait = benchAction("wait", async (_, context) =>
    (await context.waitForSignal("go", { name: "go" })) === null ? null : true,
  );
  const house = await openHouse({ slots: SLOTS, actions: [wait] });
  const flow = chain(1, "wait");
  await save(house.sqlite, flow);
  house.worker.start();
  await admit(house, flow, 500);
  await drained(house);
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  await admit(house, flow, runs);
  await drained(house);
  globalThis.gc?.();
  const after = process.memoryUsage().heapUsed;
  const { resting } = await house.sqlite.reader.counts();
  if (resting !== runs + 500) throw new Error(`${resting} runs rest`);
  await house.close();
  return (after - before) / 1e6 / (runs / 1_000);
}

export function openBenchHouse(): Promise<BenchHouse> {
  return openHouse({ slots: SLOTS });
}
