import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { openSqliteStore } from "../src/adapters/store/sqlite/open.ts";
import type { Commit, Committed, RunStore } from "../src/contracts/run-store.ts";

/**
 * The same commits with SQLite on the main thread and behind a thread of its own, for decision 0004: what a hop to
 * another thread costs (copying the batch, two wake-ups) against what it frees (the loop, while the disk syncs).
 */

type Committer = (batch: readonly Commit[]) => Promise<readonly Committed[]>;

export interface ThreadMeasure {
  readonly where: "main thread" | "writer thread";
  readonly runs: number;
  readonly stepsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Share of the time in which the main thread's loop could not turn. */
  readonly loopBusy: number;
}

const clock = { now: () => Date.now(), after: () => () => undefined };
const HOLD = { kind: "hold" } as const;
const EMPTY = { paused: false, consumed: [], children: [], posts: [], approvals: [], closedApprovals: [] };

async function prepare(store: RunStore, runs: number) {
  await store.join({ id: "w", host: "bench", pid: process.pid, processStart: "", slots: runs });
  const workflow = { name: "bench", version: "1", hash: "b" };
  const placed = {
    title: "",
    tenant: "default",
    queue: "default",
    priority: 2,
    deadlineAt: null,
    parent: null,
  };
  const ids = Array.from({ length: runs }, (_, n) => `run_${n}`);
  await store.admit(
    ids.map((id) => ({
      id,
      request: { workflow, inputs: null, ...placed },
      idempotency: null,
      at: Date.now(),
    })),
  );
  return (await store.claim({ worker: "w", limit: runs })) ?? [];
}

/** Each run writes the end of a step and the start of the next, waits until it is durable, and goes on. */
async function drive(
  of: { readonly path: string; readonly runs: number; readonly ms: number },
  commit: Committer,
) {
  const opened = await openSqliteStore({ path: of.path, clock, beats: "none" });
  const claims = await prepare(opened.store, of.runs);
  const waiting: { readonly entry: Commit; readonly resolve: () => void }[] = [];
  let flushing = false;
  const flush = async (): Promise<void> => {
    flushing = true;
    while (waiting.length > 0) {
      const batch = waiting.splice(0);
      const answers = await commit(batch.map(({ entry }) => entry));
      if (answers.some((answer) => answer.kind !== "ok")) throw new Error(JSON.stringify(answers));
      for (const { resolve } of batch) resolve();
      // The runs that were answered get their turn, so that the next batch is theirs together.
      await new Promise(setImmediate);
    }
    flushing = false;
  };
  const taken: number[] = [];
  const busy = performance.eventLoopUtilization();
  const end = performance.now() + of.ms;
  const run = async (claim: (typeof claims)[number]): Promise<void> => {
    for (let seq = 2; performance.now() < end; seq += 2) {
      const at = Date.now();
      const step = `s${seq}`;
      const facts: Commit["facts"] = [
        { kind: "step_started", step, attempt: 1, input: null, seq, at },
        { kind: "step_succeeded", step, attempt: 1, output: { text: "o".repeat(200) }, seq: seq + 1, at },
      ];
      const before = performance.now();
      await new Promise<void>((resolve) => {
        waiting.push({ entry: { ...EMPTY, claim, facts, next: HOLD, started: seq === 2 }, resolve });
        if (!flushing) void flush();
      });
      taken.push(performance.now() - before);
    }
  };
  await Promise.all(claims.map(run));
  const { utilization } = performance.eventLoopUtilization(busy);
  await opened.close();
  taken.sort((a, b) => a - b);
  return { taken, utilization };
}

async function onThread<T>(path: string, work: (commit: Committer) => Promise<T>): Promise<T> {
  const thread = new Worker(new URL(import.meta.url), { workerData: { path } });
  await once(thread, "message");
  let next = 0;
  const open = new Map<number, (answers: readonly Committed[]) => void>();
  thread.on("message", ({ id, answers }) => {
    open.get(id)?.(answers);
    open.delete(id);
  });
  try {
    return await work((batch) => {
      next += 1;
      const id = next;
      return new Promise((resolve) => {
        open.set(id, resolve);
        thread.postMessage({ id, batch });
      });
    });
  } finally {
    await thread.terminate();
  }
}

export async function benchThreads(ms: number): Promise<readonly ThreadMeasure[]> {
  const measures: ThreadMeasure[] = [];
  for (const runs of [1, 8, 64]) {
    for (const where of ["main thread", "writer thread"] as const) {
      const folder = mkdtempSync(join(tmpdir(), "agent-runner-bench-threads-"));
      const path = join(folder, "runs.db");
      const own = await openSqliteStore({ path, clock, beats: "none" });
      const of = { path, runs, ms };
      const { taken, utilization } =
        where === "main thread"
          ? await drive(of, (batch) => own.store.commit(batch))
          : await onThread(path, (commit) => drive(of, commit));
      await own.close();
      rmSync(folder, { recursive: true, force: true });
      const at = (share: number) => taken[Math.floor(taken.length * share)] ?? 0;
      const stepsPerSecond = taken.length / (ms / 1_000);
      measures.push({ where, runs, stepsPerSecond, p50Ms: at(0.5), p99Ms: at(0.99), loopBusy: utilization });
    }
  }
  return measures;
}

async function serveCommits(path: string): Promise<void> {
  const { store } = await openSqliteStore({ path, clock, beats: "none" });
  parentPort?.on("message", async ({ id, batch }) => {
    parentPort?.postMessage({ id, answers: await store.commit(batch) });
  });
  parentPort?.postMessage("ready");
}

if (!isMainThread) await serveCommits((workerData as { path: string }).path);
else if (import.meta.main) {
  for (const { where, runs, stepsPerSecond, p50Ms, p99Ms, loopBusy } of await benchThreads(3_000)) {
    const rate = `${Math.round(stepsPerSecond).toLocaleString("en")} steps/s`;
    const busy = `loop busy ${Math.round(loopBusy * 100)} %`;
    console.log(
      `${where.padEnd(14)} ${`${runs} runs`.padStart(8)} ${rate.padStart(16)}  p50 ${p50Ms.toFixed(2)} ms  p99 ${p99Ms.toFixed(2)} ms  ${busy}`,
    );
  }
}
