// How one installation answers a steady load, over HTTP, in an open loop: each request has its moment, and its answer is
// timed from that moment. Without an address it starts a server of its own on an empty folder.
// node bench/load.ts [--url http://127.0.0.1:8000] [--workflow load] [--inputs '{}'] [--rate 50] [--seconds 20]
//                    [--postgres] [--slots 16] [--json file]
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startPostgres } from "../tests/support/postgres.ts";
import { type Answer, LoadClient, quantile } from "./overload/load.ts";
import { startOverloadServer } from "./overload/server.ts";

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    workflow: { type: "string" },
    inputs: { type: "string", default: "{}" },
    rate: { type: "string", default: "50" },
    seconds: { type: "string", default: "20" },
    slots: { type: "string", default: "16" },
    postgres: { type: "boolean", default: false },
    json: { type: "string" },
  },
});
const MOST_RATE = 5_000;
const MOST_SECONDS = 600;
const DRAIN_MS = 120_000;
const WARM_SECONDS = 3;
const PAGE = 200;

/** A loop has an end: what is asked for beyond is refused. */
function within(name: "rate" | "seconds" | "slots", most: number): number {
  const value = Number(values[name]);
  if (value > 0 && value <= most) return value;
  throw new Error(`--${name} is ${values[name]}; expected a number above 0, at most ${most}`);
}

const rate = within("rate", MOST_RATE);
const seconds = within("seconds", MOST_SECONDS);
const slots = within("slots", MOST_RATE);

interface Run {
  readonly id: string;
  readonly status: string;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
}

const NOTHING_TO_DO = `name: load
version: "1"
description: A run with one step that does nothing.
steps:
  - id: nothing
    uses: noop
`;

async function ended(client: LoadClient, ids: ReadonlySet<string>): Promise<readonly Run[]> {
  const found = new Map<string, Run>();
  for (const end = performance.now() + DRAIN_MS; performance.now() < end; await sleep(200)) {
    for (let after = ""; found.size < ids.size; ) {
      const page = JSON.parse((await client.ask("GET", `/runs?limit=${PAGE}${after}`)).body);
      for (const run of page.runs as Run[])
        if (ids.has(run.id) && run.ended_at !== null) found.set(run.id, run);
      const oldest = (page.runs as Run[]).at(-1)?.id;
      if (page.next_after === null || oldest === undefined) break;
      after = `&after=${page.next_after}`;
    }
    if (found.size === ids.size) break;
  }
  return [...found.values()];
}

const rows: [string, string][] = [];
const ms = (list: readonly number[]) =>
  [0.5, 0.95, 0.99, 1].map((q) => quantile(list, q).toFixed(1)).join(" / ");

function tell(answers: readonly Answer[], runs: readonly Run[]): void {
  const taken = answers.filter(({ status }) => status === 202);
  const refused = answers.filter(({ status }) => status === 429 || status === 503);
  const at = (moment: string | null) => Date.parse(moment ?? "");
  const started = runs.filter((run) => run.started_at !== null);
  rows.push(["offered, accepted, refused", `${answers.length}, ${taken.length}, ${refused.length}`]);
  rows.push(["answered with anything else", String(answers.length - taken.length - refused.length)]);
  rows.push(["answered, ms: p50 / p95 / p99 / most", ms(taken.map((one) => one.ms))]);
  rows.push([
    "stored → begun, ms (whole ms of the database's clock)",
    ms(started.map((run) => at(run.started_at) - at(run.created_at))),
  ]);
  rows.push(["stored → ended, ms", ms(started.map((run) => at(run.ended_at) - at(run.created_at)))]);
  rows.push(["accepted and ended within two minutes", `${runs.length} of ${taken.length}`]);
  const statuses = Map.groupBy(runs, (run) => run.status);
  rows.push(["ended as", [...statuses].map(([status, all]) => `${status} ${all.length}`).join(", ")]);
}

async function load(url: string, workflow: string): Promise<void> {
  const client = new LoadClient(url);
  const inputs = JSON.parse(values.inputs) as object;
  const body = () => ({ workflow, inputs });
  await client.offer({ perSecond: Math.min(rate, 20), seconds: WARM_SECONDS, body });
  const answers = await client.offer({ perSecond: rate, seconds, body });
  const ids = answers.flatMap(({ status, body: text }) =>
    status === 202 ? [(JSON.parse(text) as Run).id] : [],
  );
  tell(answers, await ended(client, new Set(ids)));
  client.close();
}

const target = values.url;
const database = target === undefined && values.postgres ? await startPostgres({ fast: false }) : null;
const server =
  target === undefined
    ? await startOverloadServer({ slots, serviceMs: 0, databaseUrl: await database?.database() })
    : null;
try {
  const url = target ?? server?.url ?? "";
  if (server !== null) {
    const headers = { "content-type": "application/yaml" };
    const saved = await fetch(`${url}/workflows`, { method: "POST", headers, body: NOTHING_TO_DO });
    if (!saved.ok) throw new Error(`the workflow was refused: ${await saved.text()}`);
  }
  await load(url, values.workflow ?? "load");
} finally {
  await server?.stop();
  await database?.stop();
}
const where = target ?? (database === null ? "a server on SQLite" : "a server on PostgreSQL");
const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.versions.node}`;
console.log(`${rate}/s for ${seconds} s against ${where}; ${machine}`);
for (const [what, value] of rows) console.log(`${what.padEnd(56)} ${value}`);
if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(Object.fromEntries(rows), null, 2));
