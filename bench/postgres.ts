// Figures of the PostgreSQL store: npm run bench -- postgres, or node bench/postgres.ts [--url postgres://…] [--ms 3000] [--backlog 1000000]
// Without an address it starts a server of its own, with every commit on disk.
import { parseArgs } from "node:util";
import pg from "pg";
import { openPostgresStore, type PostgresStore } from "../src/adapters/store/postgres/open.ts";
import { startPostgres } from "../tests/support/postgres.ts";
import {
  claims,
  commits,
  fillBacklog,
  PARKED,
  parkedSql,
  type StoreMeasure,
  WORKER,
  wholeRuns,
} from "./store.ts";
import { submitAtRate } from "./submit.ts";

const { values } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: "string" },
    ms: { type: "string", default: "3000" },
    backlog: { type: "string", default: "1000000" },
  },
});
const ms = Number(values.ms);
const backlog = Number(values.backlog);
const SMALL_BACKLOG = 10_000;
const SUBMITS = 50;
const SUBMIT_SECONDS = 20;
const clock = { now: () => Date.now(), after: () => () => undefined };
/** What one process keeps in flight; several batches at a time overlap their waits for the disk. */
const BATCHES = [1, 32, 64, 256];

function show({ name, unit, perSecond, p50Ms, p99Ms }: StoreMeasure): void {
  const rate = `${Math.round(perSecond).toLocaleString("en")} ${unit}/s`;
  console.log(
    `${name.padEnd(48)} ${rate.padStart(20)}   p50 ${p50Ms.toFixed(2)} ms   p99 ${p99Ms.toFixed(2)} ms`,
  );
}

/** Ready runs straight into the tables: what an outage leaves behind, in seconds. */
async function fillQueue(url: string, runs: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("SET session_replication_role = replica");
  await client.query(`WITH made AS (
      INSERT INTO run (no, id, tenant, queue, priority, vt, workflow, workflow_version, workflow_hash, title, created_at)
      SELECT n, 'waiting_' || n, 'tenant' || n % 1000, 'default', 2, n, 'bench', '1', 'h', 'A waiting run', n
      FROM (SELECT nextval('run_no') AS n FROM generate_series(1, ${runs})) AS numbers RETURNING no, priority, vt)
    INSERT INTO ready (priority, vt, run_no) SELECT priority, vt, no FROM made`);
  await client.query(`UPDATE counter SET ready = ready + ${runs}, queued = queued + ${runs} WHERE shard = 0`);
  await client.query("VACUUM ANALYZE run, ready");
  await client.end();
}

async function fillParked(url: string, runs: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("SET session_replication_role = replica");
  for (const text of parkedSql(runs, "true")) await client.query(text);
  await client.query(
    `UPDATE counter SET parked = parked + ${runs}, queued = queued + ${runs} WHERE shard = 0`,
  );
  await client.query("VACUUM ANALYZE run, parked, run_slot, slot");
  await client.end();
}

async function walBytes(url: string, work: () => Promise<number>): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const at = async () => (await client.query("SELECT pg_current_wal_lsn() AS lsn")).rows[0].lsn as string;
  const before = await at();
  const count = await work();
  const { rows } = await client.query("SELECT pg_wal_lsn_diff($1, $2)::float8 AS bytes", [
    await at(),
    before,
  ]);
  await client.end();
  return rows[0].bytes / count;
}

/** At a rate that leaves the database idle in between: what one run's way costs. */
async function submits(opened: PostgresStore): Promise<void> {
  const { claimed, step } = await submitAtRate(opened, { perSecond: SUBMITS, seconds: SUBMIT_SECONDS });
  for (const [name, { p50, p99 }] of [
    [`submit → in a worker's hands, ${SUBMITS}/s`, claimed],
    [`submit → first step runs, ${SUBMITS}/s`, step],
  ] as const) {
    console.log(`${name.padEnd(69)}   p50 ${p50.toFixed(2)} ms   p99 ${p99.toFixed(2)} ms`);
  }
}

async function measure(url: string, opened: PostgresStore): Promise<void> {
  await submits(opened);
  await opened.store.join(WORKER);
  for (const batch of BATCHES) show(await commits(opened, batch, ms));
  show(await wholeRuns(opened, ms));
  let steps = 0;
  const perStep = await walBytes(url, async () => {
    const measured = await commits(opened, 64, ms);
    steps = (measured.perSecond * ms) / 1_000 / 2;
    return steps;
  });
  console.log(
    `${"WAL of a step with 200 bytes of output, 64 a commit".padEnd(48)} ${Math.round(perStep)} bytes`,
  );
  await fillBacklog(opened, SMALL_BACKLOG);
  show(await claims(opened, `claim 32 of ${SMALL_BACKLOG.toLocaleString("en")} ready`, ms));
  await fillQueue(url, backlog - SMALL_BACKLOG);
  show(await claims(opened, `claim 32 of ${backlog.toLocaleString("en")} ready`, ms));
  await fillParked(url, PARKED);
  show(await claims(opened, `  … beside ${PARKED.toLocaleString("en")} put aside`, ms));
}

const server = values.url === undefined ? await startPostgres({ fast: false }) : null;
try {
  const url = values.url ?? (await server?.database()) ?? "";
  const opened = await openPostgresStore({ url, clock });
  try {
    await measure(url, opened);
  } finally {
    await opened.close();
  }
} finally {
  await server?.stop();
}
