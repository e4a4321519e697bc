import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startPostgres, type TestPostgres } from "../../../../tests/support/postgres.ts";
import { manualClock } from "../../../contracts/run-store-suite/fixtures.suite.ts";
import { openPostgresStore, type PostgresStore } from "./open.ts";
import { CONNECTION_SETTINGS } from "./session.ts";
import { allStatements } from "./sql.ts";

/**
 * Every statement of the store is asked for the plan that it gets whatever its parameters are, over a queue that is
 * worth a plan: none reads a large table or one of its indexes from end to end, and none sorts what waits.
 */
const LARGE = new Set([
  "run",
  "journal",
  "ready",
  "parked",
  "rest",
  "run_slot",
  "inbox",
  "approval",
  "blob",
  "slot",
]);

/** Read for reports and by hand, never on the way of a run. */
const REPORTS = [/FROM waiting GROUP BY/];

interface Plan {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Cond"?: string;
  readonly "Recheck Cond"?: string;
  readonly Plans?: readonly Plan[];
}

interface Above {
  /** Somebody stops reading when there is enough. */
  readonly limited: boolean;
  readonly sorted: boolean;
}

function offences(plan: Plan, above: Above): string[] {
  const type = plan["Node Type"];
  const table = plan["Relation Name"] ?? "";
  const found: string[] = [];
  if (LARGE.has(table) && /Scan$/.test(type) && !/Tid/.test(type)) {
    const bounded = plan["Index Cond"] !== undefined || plan["Recheck Cond"] !== undefined;
    if (type === "Seq Scan") found.push(`${type} on ${table}`);
    else if (!bounded && !(above.limited && !above.sorted)) found.push(`${type} without a bound on ${table}`);
    const waits = table === "ready" || table === "parked";
    // A run's own row is one; what is found by a lane or a key is as much as waits there.
    const many = bounded && !/run_no|no = /.test(plan["Index Cond"] ?? "");
    if (waits && many && above.sorted && !above.limited) found.push(`a sort of ${table}`);
  }
  const sorts = type === "Sort" || type === "Incremental Sort";
  const below: Above = {
    limited: sorts ? false : above.limited || type === "Limit",
    sorted: type === "Limit" ? false : above.sorted || sorts,
  };
  for (const child of plan.Plans ?? []) found.push(...offences(child, below));
  return found;
}

let server: TestPostgres;
let opened: PostgresStore;
let sql: pg.Client;

beforeAll(async () => {
  server = await startPostgres();
  const url = await server.database();
  opened = await openPostgresStore({ url, clock: manualClock(), beats: "none" });
  sql = new pg.Client({ connectionString: url });
  await sql.connect();
  // What an outage leaves behind: 20,000 runs of 200 tenants in three lanes, a tenth of them put aside.
  await sql.query(`SET session_replication_role = replica;
    INSERT INTO lane (id, labels) VALUES (1, '["gpu"]'), (2, '["os=linux"]');
    INSERT INTO run (no, id, tenant, queue, priority, vt, workflow, workflow_version, workflow_hash, title, created_at, lane, gated)
      SELECT n, 'waiting_' || n, 'tenant' || n % 200, 'default', n % 5, n, 'bench', '1', 'h', 'A run', n, n % 3, n % 10 = 0
      FROM generate_series(1, 20000) AS n;
    INSERT INTO journal (run_no, seq, at, kind, token, body) SELECT no, 1, 0, 'run_queued', 0, '{}' FROM run;
    INSERT INTO ready (lane, priority, vt, run_no, gated)
      SELECT lane, priority, vt, no, gated FROM run WHERE NOT gated;
    INSERT INTO run_slot (run_no, key, cap, hold) SELECT no, 'tenant:' || tenant, 5, 'lease' FROM run WHERE gated;
    INSERT INTO slot (key, cap) SELECT DISTINCT key, cap FROM run_slot;
    INSERT INTO parked (key, lane, priority, vt, run_no)
      SELECT 'tenant:' || tenant, lane, priority, vt, no FROM run WHERE gated;
    INSERT INTO share (tenant, priority) SELECT DISTINCT tenant, priority FROM run;
    INSERT INTO waiting (tenant, priority, shard, n) SELECT tenant, priority, 0, count(*) FROM run GROUP BY 1, 2;
    INSERT INTO run (no, id, tenant, queue, priority, vt, workflow, workflow_version, workflow_hash, title, created_at,
        status, parent_no, parent_id, parent_step, idem_key, idem_hash)
      SELECT n, 'resting_' || n, 'tenant' || n % 200, 'default', 2, n, 'bench', '1', 'h', 'A run', n,
        'running', n - 20000, 'waiting_' || (n - 20000), 's', 'k' || n, 'h' FROM generate_series(20001, 30000) AS n;
    INSERT INTO rest (run_no, wake_at, waiting_for)
      SELECT no, CASE WHEN no % 2 = 0 THEN no END, '[]' FROM run WHERE no > 20000;
    INSERT INTO inbox (run_no, id, kind, name, body, sender, at)
      SELECT no, 'm', 'signal', 'go', '{}', 'api', 0 FROM run WHERE no > 20000;
    INSERT INTO approval (id, run_no, step, title, details, risk, requested_at)
      SELECT 'apr_' || no, no, 's', '?', '{}', 'low', 0 FROM run WHERE no > 20000;
    INSERT INTO blob (hash, enc, size, data)
      SELECT sha256(n::text::bytea), 'plain', 1, 'x' FROM generate_series(1, 5000) AS n;
    INSERT INTO journal (run_no, seq, at, kind, token, blob)
      SELECT n + 20000, 1, 0, 'run_queued', 0, sha256(n::text::bytea) FROM generate_series(1, 5000) AS n;
    SET session_replication_role = origin;
    ANALYZE`);
  await sql.query(CONNECTION_SETTINGS);
});
afterAll(async () => {
  await sql?.end();
  await opened?.close();
  await server?.stop();
});

it("no statement reads a large table from end to end, or sorts what waits", async () => {
  const asked = allStatements().filter(({ text }) => /^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)/.test(text));
  expect(asked.length).toBeGreaterThan(80);
  const offenders: string[] = [];
  for (const { text } of asked) {
    if (REPORTS.some((report) => report.test(text))) continue;
    const { rows } = await sql.query(`EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${text}`);
    const [{ Plan: plan }] = rows[0]["QUERY PLAN"];
    for (const offence of offences(plan, { limited: false, sorted: false })) {
      offenders.push(`${offence} <- ${text}`);
    }
  }
  expect(offenders).toEqual([]);
});
