import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openSqliteStore, type SqliteStore } from "../src/adapters/store/sqlite/open.ts";
import type { Admission, Claim, Commit, RunStore } from "../src/contracts/run-store.ts";
import type { Fact, FactBody } from "../src/domain/fact.ts";

/** One measured number. `perSecond` is of `unit`; latencies are of one call of the store. */
export interface StoreMeasure {
  readonly name: string;
  readonly unit: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface StoreBenchOptions {
  /** How long each measurement runs. */
  readonly ms: number;
  /** Finished runs below the last measurements; 0 leaves them out. */
  readonly history: number;
  /** Ready runs of the large claim measurement. */
  readonly backlog: number;
}

/** Either database. */
export type Benched = Pick<SqliteStore, "reader"> & { readonly store: RunStore };

const BATCHES = [1, 32, 64];
const RUNS_AT_A_TIME = 64;
const STEPS_PER_RUN = 3;
const OUTPUT = "o".repeat(200);
const clock = { now: () => Date.now(), after: () => () => undefined };
export const WORKER = {
  id: "bench",
  host: "bench",
  pid: process.pid,
  processStart: "",
  slots: RUNS_AT_A_TIME,
};

/** Tenants that a backlog is of. */
const TENANTS = 1_000;
/** Runs put aside for full slots below the largest backlog. */
export const PARKED = 100_000;

let admitted = 0;

function admission(tenant = "default"): Admission {
  admitted += 1;
  const workflow = { name: "bench", version: "1", hash: "b".repeat(64) };
  const placed = { tenant, queue: "default", priority: 2, deadlineAt: null, parent: null };
  return {
    id: `run_${String(admitted).padStart(12, "0")}`,
    request: { workflow, inputs: { n: admitted }, title: "A run of the bench", ...placed },
    idempotency: null,
    at: Date.now(),
  };
}

/** Drives one claimed run the way the engine does: the end of a step and the start of the next are one entry. */
class BenchRun {
  readonly claim: Claim;
  readonly #steps: number;
  readonly #output: string;
  #seq = 1;
  #step = 0;

  constructor(claim: Claim, steps: number, output: string) {
    this.claim = claim;
    this.#steps = steps;
    this.#output = output;
  }

  /** The next entry; the last one ends the run. */
  next(): Commit {
    const bodies: FactBody[] = [];
    const first = this.#step === 0;
    const last = this.#step === this.#steps;
    const result = { n: this.#step, text: this.#output };
    if (first) bodies.push({ kind: "run_started", worker: this.claim.worker });
    else bodies.push({ kind: "step_succeeded", step: `s${this.#step - 1}`, attempt: 1, output: result });
    if (last) bodies.push({ kind: "run_completed", output: null });
    else bodies.push({ kind: "step_started", step: `s${this.#step}`, attempt: 1, input: { n: this.#step } });
    this.#step += 1;
    const end = { kind: "end", status: "completed", output: null, failure: null } as const;
    return {
      ...EMPTY,
      claim: this.claim,
      facts: this.#numbered(bodies),
      next: last ? end : HOLD,
      started: first,
    };
  }

  get ended(): boolean {
    return this.#step > this.#steps;
  }

  #numbered(bodies: readonly FactBody[]): Fact[] {
    return bodies.map((body) => {
      this.#seq += 1;
      return { ...body, seq: this.#seq, at: Date.now() };
    });
  }
}

const HOLD = { kind: "hold" } as const;
const EMPTY = { paused: false, consumed: [], children: [], posts: [], approvals: [], closedApprovals: [] };

async function measure(
  name: string,
  of: { readonly unit: string; readonly ms: number },
  call: () => Promise<number>,
): Promise<StoreMeasure> {
  for (let warm = 0; warm < 20; warm += 1) await call();
  const taken: number[] = [];
  let count = 0;
  const start = performance.now();
  while (performance.now() - start < of.ms) {
    const before = performance.now();
    count += await call();
    taken.push(performance.now() - before);
  }
  const seconds = (performance.now() - start) / 1_000;
  taken.sort((a, b) => a - b);
  const at = (share: number) => taken[Math.floor(taken.length * share)] ?? 0;
  return { name, unit: of.unit, perSecond: count / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** What SQLite itself can do with the same rows, without our schema, laws or code: the limit we are measured by. */
async function rawLimit(folder: string, batch: number, ms: number): Promise<StoreMeasure> {
  const db = new DatabaseSync(join(folder, `raw-${batch}.db`));
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000");
  db.exec("CREATE TABLE journal (run INTEGER, seq INTEGER, body TEXT, UNIQUE (run, seq)) STRICT");
  const insert = db.prepare("INSERT INTO journal (run, seq, body) VALUES (?, ?, ?)");
  const body = JSON.stringify({ output: { n: 1, text: OUTPUT } });
  let seq = 0;
  const result = await measure(`raw SQLite, ${batch} entries a commit`, { unit: "facts", ms }, async () => {
    db.exec("BEGIN IMMEDIATE");
    for (let run = 0; run < batch; run += 1) {
      insert.run(run, seq, body);
      insert.run(run, seq + 1, "{}");
    }
    seq += 2;
    db.exec("COMMIT");
    return batch * 2;
  });
  db.close();
  return result;
}

async function claimAll(benched: Benched, runs: number): Promise<readonly Claim[]> {
  await benched.store.admit(Array.from({ length: runs }, () => admission()));
  return (await benched.store.claim({ worker: WORKER.id, limit: runs })) ?? [];
}

/** Facts of long runs in commits of `batch` entries, two facts each: what the engine's steady state costs. */
export async function commits(benched: Benched, batch: number, ms: number): Promise<StoreMeasure> {
  const claims = await claimAll(benched, batch);
  const runs = claims.map((claim) => new BenchRun(claim, Number.MAX_SAFE_INTEGER, OUTPUT));
  const result = await measure(`store.commit, ${batch} entries`, { unit: "facts", ms }, async () => {
    const answers = await benched.store.commit(runs.map((run) => run.next()));
    if (answers.some((answer) => answer.kind !== "ok")) throw new Error(JSON.stringify(answers));
    return batch * 2;
  });
  const end = { kind: "end", status: "canceled", output: null, failure: null } as const;
  await benched.store.commit(
    claims.map((claim) => ({ ...EMPTY, claim, facts: [], next: end, started: false })),
  );
  return result;
}

/** Whole runs of three steps: admitted, claimed, started, stepped and ended, 64 at a time. */
export async function wholeRuns(benched: Benched, ms: number): Promise<StoreMeasure> {
  return measure("whole runs of 3 steps, 64 at a time", { unit: "runs", ms }, async () => {
    const claims = await claimAll(benched, RUNS_AT_A_TIME);
    const runs = claims.map((claim) => new BenchRun(claim, STEPS_PER_RUN, OUTPUT));
    while (runs.some((run) => !run.ended)) await benched.store.commit(runs.map((run) => run.next()));
    return runs.length;
  });
}

/** Claims 32 and gives them back, so that the backlog stays as it is. */
export async function claims(benched: Benched, name: string, ms: number): Promise<StoreMeasure> {
  const taken: number[] = [];
  const result = await measure(name, { unit: "claims", ms }, async () => {
    const before = performance.now();
    const got = (await benched.store.claim({ worker: WORKER.id, limit: 32 })) ?? [];
    taken.push(performance.now() - before);
    const giveBack = { kind: "yield" } as const;
    await benched.store.commit(
      got.map((claim) => ({ ...EMPTY, claim, facts: [], next: giveBack, started: false })),
    );
    return got.length;
  });
  taken.sort((a, b) => a - b);
  const at = (share: number) => taken[Math.floor(taken.length * share)] ?? 0;
  return { ...result, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** Rows of finished runs straight into the file: what years of use leave behind, in seconds. */
function fillHistory(path: string, runs: number): void {
  const db = new DatabaseSync(path);
  const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
  db.exec("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; BEGIN");
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
  const { base } = db.prepare("SELECT coalesce(max(no), 0) AS base FROM run").get() as { base: number };
  const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${runs})`;
  db.exec(`${numbers} INSERT INTO run (no, id, tenant, queue, priority, vt, workflow, workflow_version, workflow_hash,
      title, status, created_at, started_at, ended_at, result)
    SELECT ${base} + i, printf('old_%012d', i), 'tenant' || (i % 50), 'default', 2, i, 'flow' || (i % 20), '1', 'h',
      'An old run', 'completed', i, i, i, '{"output":null,"failure":null}' FROM n`);
  db.exec(`${numbers} INSERT INTO journal (run_no, seq, at, kind, token, body)
    SELECT ${base} + i, 1, i, 'run_queued', 0, '{"request":{"inputs":{}}}' FROM n`);
  db.exec(`${numbers} INSERT INTO journal (run_no, seq, at, kind, step, attempt, token, body)
    SELECT ${base} + i, 2, i, 'step_succeeded', 's0', 1, 1, '{"output":null}' FROM n`);
  for (const { sql } of triggers) db.exec(String(sql));
  db.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
}

export async function fillBacklog(benched: Benched, runs: number): Promise<void> {
  for (let left = runs; left > 0; left -= 5_000) {
    const batch = Array.from({ length: Math.min(left, 5_000) }, (_, n) => admission(`tenant${n % TENANTS}`));
    await benched.store.admit(batch);
  }
}

/** Statements that put runs aside by hand, for either database: what caps leave behind in a busy week. */
export function parkedSql(runs: number, yes: "1" | "true"): readonly string[] {
  const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${runs})`;
  const from = "1000000000";
  return [
    `${numbers} INSERT INTO run (no, id, tenant, queue, priority, vt, workflow, workflow_version, workflow_hash, title, created_at, gated)
     SELECT ${from} + i, 'parked_' || i, 'tenant' || (i % ${TENANTS}), 'default', 2, i, 'bench', '1', 'h', 'A run', i, ${yes} FROM n`,
    `${numbers} INSERT INTO slot (key, cap) SELECT 'tenant:' || i, 5 FROM n WHERE i <= ${TENANTS}`,
    `${numbers} INSERT INTO run_slot (run_no, key, cap, hold) SELECT ${from} + i, 'tenant:' || (1 + i % ${TENANTS}), 5, 'lease' FROM n`,
    `${numbers} INSERT INTO parked (key, lane, priority, vt, run_no) SELECT 'tenant:' || (1 + i % ${TENANTS}), 0, 2, i, ${from} + i FROM n`,
  ];
}

function fillParked(path: string, runs: number): void {
  const db = new DatabaseSync(path);
  const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
  db.exec("PRAGMA synchronous = OFF; BEGIN");
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
  for (const statement of parkedSql(runs, "1")) db.exec(statement);
  db.exec(`UPDATE counter SET value = value + ${runs} WHERE name IN ('parked', 'queued')`);
  for (const { sql } of triggers) db.exec(String(sql));
  db.exec("COMMIT");
  db.close();
}

function bytesOf(path: string): number {
  const sizes = ["", "-wal"].map((end) => (existsSync(path + end) ? statSync(path + end).size : 0));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Bytes of the file for one step with 1 KiB of output, whole runs of ten steps. */
async function bytesPerStep(folder: string): Promise<number> {
  const path = join(folder, "bytes.db");
  const sqlite = await openBench(path);
  const steps = 10;
  for (let round = 0; round < 20; round += 1) {
    const held = await claimAll(sqlite, RUNS_AT_A_TIME);
    // Different texts, as real outputs are: equal ones would be kept once.
    const runs = held.map((claim) => new BenchRun(claim, steps, claim.run.repeat(64).slice(0, 1_024)));
    while (runs.some((run) => !run.ended)) await sqlite.store.commit(runs.map((run) => run.next()));
  }
  await sqlite.close();
  const db = new DatabaseSync(path);
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
  return bytesOf(path) / (20 * RUNS_AT_A_TIME * steps);
}

async function openBench(path: string): Promise<SqliteStore> {
  const sqlite = await openSqliteStore({ path, clock });
  await sqlite.store.join(WORKER);
  return sqlite;
}

export interface StoreReport {
  readonly measures: readonly StoreMeasure[];
  /** Bytes of the file for one step with 1 KiB of output. */
  readonly bytesPerStep: number;
}

export async function benchStore(options: StoreBenchOptions): Promise<StoreReport> {
  const { ms, history, backlog } = options;
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-bench-store-"));
  const measures: StoreMeasure[] = [];
  try {
    const path = join(folder, "store.db");
    let sqlite = await openBench(path);
    for (const batch of BATCHES) {
      measures.push(await rawLimit(folder, batch, ms), await commits(sqlite, batch, ms));
    }
    measures.push(await wholeRuns(sqlite, ms));
    await fillBacklog(sqlite, 10_000);
    measures.push(await claims(sqlite, "claim 32 of 10,000 ready", ms));
    await fillBacklog(sqlite, backlog - 10_000);
    measures.push(await claims(sqlite, `claim 32 of ${backlog.toLocaleString("en")} ready`, ms));
    await sqlite.close();
    fillParked(path, PARKED);
    sqlite = await openBench(path);
    const beside = `claim 32 of ${backlog.toLocaleString("en")} ready, ${PARKED.toLocaleString("en")} put aside`;
    measures.push(await claims(sqlite, beside, ms));
    await sqlite.close();
    if (history > 0) {
      const old = join(folder, "old.db");
      await (await openSqliteStore({ path: old, clock })).close();
      fillHistory(old, history);
      sqlite = await openBench(old);
      const after = async (measured: Promise<StoreMeasure>) => {
        const result = await measured;
        measures.push({
          ...result,
          name: `${result.name}, over ${history.toLocaleString("en")} finished runs`,
        });
      };
      await after(commits(sqlite, 64, ms));
      await after(wholeRuns(sqlite, ms));
      await fillBacklog(sqlite, 10_000);
      await after(claims(sqlite, "claim 32 of 10,000 ready", ms));
      await sqlite.close();
    }
    return { measures, bytesPerStep: await bytesPerStep(folder) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const quick = process.argv.includes("--quick");
  const report = await benchStore(
    quick ? { ms: 500, history: 0, backlog: 20_000 } : { ms: 2_000, history: 1_000_000, backlog: 1_000_000 },
  );
  for (const { name, unit, perSecond, p50Ms, p99Ms } of report.measures) {
    const rate = `${Math.round(perSecond).toLocaleString("en")} ${unit}/s`;
    console.log(
      `${name.padEnd(70)} ${rate.padStart(18)}  p50 ${p50Ms.toFixed(2)} ms  p99 ${p99Ms.toFixed(2)} ms`,
    );
  }
  console.log(`${Math.round(report.bytesPerStep)} bytes on disk for a step with 1 KiB of output`);
}
