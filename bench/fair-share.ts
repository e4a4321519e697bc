// Whether one tenant can starve the others: npm run bench -- fair-share, or node bench/fair-share.ts [--flood 10000] [--json] [--only sqlite|postgres]
// One tenant with 10,000 runs against ten with 10 each; then tenants of equal and of unequal weight, all with more work
// than can be done. On SQLite and on PostgreSQL (a server of its own, every commit on disk). Waits are counted in the
// virtual time of a worker pool that does not get faster or slower, so that a busy machine does not change the figures;
// the wall time of a claim is shown beside them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openPostgresStore } from "../src/adapters/store/postgres/open.ts";
import { openSqliteStore } from "../src/adapters/store/sqlite/open.ts";
import type { Admission, Commit, RunStore } from "../src/contracts/run-store.ts";
import { emptyDatabase, startPostgres } from "../tests/support/postgres.ts";
import { WORKER } from "./store.ts";

const { values } = parseArgs({
  allowPositionals: true,
  options: {
    flood: { type: "string", default: "10000" },
    only: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const FLOOD = Number(values.flood);
const SLOTS = 8;
const SERVICE_MS = 100;
const SMALL_TENANTS = 10;
const SMALL_RUNS = 10;
/** Runs of the flood that have been served when the others arrive. */
const HEAD_START = 200;
const clock = { now: () => Date.now(), after: () => () => undefined };
const END = { kind: "end", status: "completed", output: null, failure: null } as const;
const SIDES = { paused: false, consumed: [], children: [], posts: [], approvals: [], closedApprovals: [] };

let admitted = 0;

function admission(tenant: string, weight = 1): Admission {
  admitted += 1;
  const workflow = { name: "bench", version: "1", hash: "b".repeat(64) };
  const placed = { tenant, queue: "default", priority: 2, deadlineAt: null, parent: null };
  return {
    id: `run_${tenant}_${admitted}`,
    request: { workflow, inputs: {}, title: "A run of the bench", ...placed },
    idempotency: null,
    at: Date.now(),
    weight,
  };
}

async function admit(store: RunStore, batch: readonly Admission[]): Promise<void> {
  for (let from = 0; from < batch.length; from += 500) {
    const answers = await store.admit(batch.slice(from, from + 500));
    if (answers.some((answer) => answer.kind !== "created")) throw new Error(JSON.stringify(answers[0]));
  }
}

const tenantOf = (run: string): string => run.split("_")[1] ?? "";

/** Serves `SLOTS` runs at a time, each for `SERVICE_MS`; the runs in the order in which they were begun. */
async function serve(store: RunStore, count: number, taken: number[]): Promise<string[]> {
  const order: string[] = [];
  while (order.length < count) {
    const before = performance.now();
    const claims = (await store.claim({ worker: WORKER.id, limit: SLOTS })) ?? [];
    taken.push(performance.now() - before);
    if (claims.length === 0) break;
    order.push(...claims.map((claim) => claim.run));
    const done: Commit[] = claims.map((claim) => ({ ...SIDES, claim, facts: [], next: END, started: true }));
    await store.commit(done);
  }
  return order;
}

/** Virtual ms until each of the given tenants' runs began, 95th percentile. */
function p95Wait(order: readonly string[], tenants: ReadonlySet<string>): number {
  const waits = order.flatMap((run, place) =>
    tenants.has(tenantOf(run)) ? [Math.floor(place / SLOTS) * SERVICE_MS] : [],
  );
  return percentile(waits, 0.95);
}

function percentile(of: readonly number[], share: number): number {
  const sorted = [...of].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** 1 when all have the same, 1/n when one has all. */
function jain(of: readonly number[]): number {
  const sum = of.reduce((a, b) => a + b, 0);
  return (sum * sum) / (of.length * of.reduce((a, b) => a + b * b, 0));
}

interface Row {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly target: string;
}

type Fresh = () => Promise<{ readonly store: RunStore; readonly close: () => Promise<void> }>;

async function neighbours(fresh: Fresh, flood: number, taken: number[]): Promise<number> {
  const { store, close } = await fresh();
  try {
    await admit(
      store,
      Array.from({ length: flood }, () => admission("flood")),
    );
    if (flood > 0) await serve(store, Math.min(HEAD_START, flood), []);
    const small = Array.from({ length: SMALL_TENANTS }, (_, n) => `small${n}`);
    const runs = small.flatMap((tenant) => Array.from({ length: SMALL_RUNS }, () => admission(tenant)));
    await admit(store, runs);
    const order = await serve(store, runs.length * 3, taken);
    const begun = order.filter((run) => tenantOf(run) !== "flood").length;
    if (begun !== runs.length) throw new Error(`only ${begun} of ${runs.length} small runs were begun`);
    return p95Wait(order, new Set(small));
  } finally {
    await close();
  }
}

/** What each tenant got of a window in which all of them had more to do. */
async function shares(fresh: Fresh, weights: readonly number[]): Promise<number[]> {
  const { store, close } = await fresh();
  try {
    const each = 400;
    const window = 1_000;
    for (const [n, weight] of weights.entries()) {
      await admit(
        store,
        Array.from({ length: each * Math.max(1, weight) }, () => admission(`t${n}`, weight)),
      );
    }
    const order = await serve(store, window, []);
    return weights.map((_, n) => order.filter((run) => tenantOf(run) === `t${n}`).length);
  } finally {
    await close();
  }
}

async function measure(name: string, fresh: Fresh): Promise<Row[]> {
  const taken: number[] = [];
  const quiet = await neighbours(fresh, 0, []);
  const noisy = await neighbours(fresh, FLOOD, taken);
  const equal = await shares(fresh, [1, 1, 1, 1, 1]);
  const weights = [1, 2, 4, 8];
  const unequal = await shares(fresh, weights);
  const total = weights.reduce((a, b) => a + b, 0);
  const got = unequal.reduce((a, b) => a + b, 0);
  const off = unequal.map((runs, n) => Math.abs(runs / got - (weights[n] ?? 0) / total));
  return [
    { what: `${name}: p95 wait of the ten, quiet`, value: quiet, unit: "virtual ms", target: "" },
    {
      what: `${name}: p95 wait beside ${FLOOD} runs of another`,
      value: noisy,
      unit: "virtual ms",
      target: "",
    },
    { what: `${name}:   … as a multiple of quiet`, value: noisy / quiet, unit: "×", target: "≤ 2" },
    { what: `${name}: Jain's index, equal weights`, value: jain(equal), unit: "", target: "≥ 0.99" },
    {
      what: `${name}: furthest from its weight (1:2:4:8)`,
      value: Math.max(...off) * 100,
      unit: "% points",
      target: "≤ 2",
    },
    {
      what: `${name}: claim of ${SLOTS} beside the flood, p50`,
      value: percentile(taken, 0.5),
      unit: "ms",
      target: "",
    },
  ];
}

const rows: Row[] = [];
if (values.only !== "postgres") {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-bench-fair-"));
  let files = 0;
  const fresh: Fresh = async () => {
    files += 1;
    const { store, close } = await openSqliteStore({ path: join(folder, `${files}.db`), clock });
    await store.join(WORKER);
    return { store, close };
  };
  try {
    rows.push(...(await measure("SQLite", fresh)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
if (values.only !== "sqlite") {
  const server = await startPostgres({ fast: false });
  try {
    const url = await server.database();
    const fresh: Fresh = async () => {
      const { store, close } = await openPostgresStore({ url, clock });
      await store.join(WORKER);
      return {
        store,
        close: async () => {
          await close();
          await emptyDatabase(url);
        },
      };
    };
    rows.push(...(await measure("PostgreSQL", fresh)));
  } finally {
    await server.stop();
  }
}
if (values.json) console.log(JSON.stringify(rows, null, 2));
else {
  for (const { what, value, unit, target } of rows) {
    console.log(`${what.padEnd(52)} ${value.toFixed(3).padStart(10)} ${unit.padEnd(11)} ${target}`);
  }
}
