import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startPostgres, type TestPostgres } from "../../tests/support/postgres.ts";
import { until } from "../../tests/support/until.ts";
import { readConfig } from "./config.ts";
import { type Check, diagnose } from "./doctor.ts";
import { openRunner } from "./runner.ts";

const folder = mkdtempSync(join(tmpdir(), "connections-"));
let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const FLOW = `name: nap
version: "1"
description: Rests for a moment.
steps:
  - id: nap
    uses: wait
    with: { for: 10ms }
`;

async function connectionsOf(client: pg.Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT application_name AS name FROM pg_stat_activity
     WHERE datname = current_database() AND application_name LIKE 'agent-runner %' ORDER BY 1`,
  );
  return rows.map(({ name }) => name.replace("agent-runner ", ""));
}

async function checkOf(env: Readonly<Record<string, string>>): Promise<Check | undefined> {
  const config = readConfig({ ...env, AGENT_RUNNER_DATA: folder });
  if (!config.ok) throw new Error(config.failure.message);
  for await (const check of diagnose(config.value, folder)) if (check.name === "connections") return check;
  return undefined;
}

it.each([
  { connections: 5, names: ["beat", "commits+claims+doors+spend+live", "leader", "listen", "read"] },
  {
    connections: 12,
    names: [
      "beat",
      "claims",
      "commits",
      "doors",
      "leader",
      "listen",
      "live",
      "rates",
      "read",
      "read",
      "read",
      "spend",
    ],
  },
])("a process with $connections connections does all its work with no more of them", async (given) => {
  const limits = join(folder, "limits.yaml");
  writeFileSync(limits, "default: { rate: 1000/s, max_running: 4 }");
  const url = await server.database();
  const env = {
    DATABASE_URL: url,
    DATABASE_CONNECTIONS: String(given.connections),
    AGENT_RUNNER_LIMITS: limits,
    AGENT_RUNNER_LOG: "silent",
  };
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const runner = await openRunner({ dataDir: join(folder, String(given.connections)), env });
  try {
    await runner.addWorkflow(FLOW);
    const many = await Promise.all(Array.from({ length: 20 }, () => runner.start("nap", {})));
    const ended = await Promise.all(many.map(({ id }) => runner.wait(id)));
    expect(new Set(ended.map(({ status }) => status))).toEqual(new Set(["completed"]));
    // Each is made when it is first needed.
    const seen = await connectionsOf(client);
    expect(seen.length).toBeLessThanOrEqual(given.connections);
    for (const name of seen) expect(given.names).toContain(name.replace(/^beat .*/, "beat"));
    const check = await until("the process to be a member", async () => {
      const now = await checkOf(env);
      return now?.detail.startsWith("1 ×") ? now : null;
    });
    expect(check).toMatchObject({ status: "ok", remedy: null });
    expect(check.detail).toMatch(new RegExp(`^1 × ${given.connections} of \\d+, \\d+ in use now$`));
  } finally {
    await runner.close();
    await client.end();
  }
});

it("doctor warns when the processes may need nearly all that the server takes", async () => {
  const url = await server.database();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const runner = await openRunner({
    dataDir: join(folder, "many"),
    env: { DATABASE_URL: url, AGENT_RUNNER_LOG: "silent" },
  });
  try {
    const at = Date.now() + 30_000;
    await client.query(
      `INSERT INTO member (id, host, pid, process_start, version, roles, labels, slots, held, draining, joined_at, seen_at)
       SELECT 'other_' || n, 'h', n, '', '1', '[]', '[]', 1, 0, false, $1, $1 FROM generate_series(1, 40) AS n`,
      [at],
    );
    expect(await checkOf({ DATABASE_URL: url })).toMatchObject({
      status: "warn",
      detail: expect.stringMatching(/^4[01] × 12 of /),
      remedy: expect.stringContaining("DATABASE_CONNECTIONS"),
    });
  } finally {
    await runner.close();
    await client.end();
  }
});

it.each(["4", "65", "many", "7.5"])("DATABASE_CONNECTIONS=%s is refused, with what is expected", (value) => {
  const read = readConfig({ DATABASE_CONNECTIONS: value });
  expect(read.ok ? null : read.failure).toMatchObject({
    code: "invalid_config",
    message: `DATABASE_CONNECTIONS is "${value}": expected a whole number from 5 to 64`,
  });
});
