// Ten times more work than a real server can do, offered over HTTP in an open loop: what is accepted meets its promises
// or is reported, what is refused is answered at once, the memory stays, and afterwards all is as before.
// node bench/overload.ts [postgres]     (OVERLOAD_SECONDS=60 OVERLOAD_FACTOR=10 OVERLOAD_JSON=file)
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { startPostgres } from "../tests/support/postgres.ts";
import { type Answer, LoadClient, quantile } from "./overload/load.ts";
import { type OverloadServer, startOverloadServer } from "./overload/server.ts";

const SECONDS = Number(process.env.OVERLOAD_SECONDS ?? 60);
const FACTOR = Number(process.env.OVERLOAD_FACTOR ?? 10);
const SLOTS = 8;
const SERVICE_MS = 200;
const CALM_SECONDS = 8;
const PAGE = 200;
/** Journals read to the end, of runs that missed a promise. */
const JOURNALS = 300;

interface Run {
  readonly id: string;
  readonly status: string;
  readonly ended_at: string | null;
  readonly started_at: string | null;
  readonly failure: { readonly code: string } | null;
  readonly sla: {
    readonly state: string;
    readonly start_by: string | null;
    readonly deadline_at: string | null;
    readonly breaches: readonly { readonly what: string }[];
  };
}

const checks: { readonly what: string; readonly value: string; readonly ok: boolean | null }[] = [];
const note = (what: string, value: string | number) => checks.push({ what, value: String(value), ok: null });
const must = (what: string, value: string | number, ok: boolean) =>
  checks.push({ what, value: String(value), ok });
const ms = (value: number) => `${value.toFixed(1)} ms`;

/** Asks `/healthz` and the memory again and again, beside the load. */
async function watch(client: LoadClient, until: AbortSignal) {
  const health: number[] = [];
  const memory: number[] = [];
  let silent = 0;
  for (let n = 0; !until.aborted; n += 1) {
    const asked = performance.now();
    const answer = await client.ask("GET", "/healthz");
    health.push(performance.now() - asked);
    if (answer.status !== 200) silent += 1;
    if (n % 10 === 0) {
      const { body } = await client.ask("GET", "/metrics");
      memory.push(Number(/process_resident_memory_bytes (\d\S*)/.exec(body)?.[1] ?? 0));
    }
    await sleep(100);
  }
  return { health, memory, silent };
}

async function drained(client: LoadClient): Promise<void> {
  const end = performance.now() + 60_000;
  while (performance.now() < end) {
    const state = JSON.parse((await client.ask("GET", "/v1/queue")).body);
    if (state.queued + state.leased === 0) return;
    await sleep(200);
  }
  throw new Error("the queue did not drain within a minute");
}

async function allRuns(client: LoadClient): Promise<ReadonlyMap<string, Run>> {
  const runs = new Map<string, Run>();
  for (let after = ""; ; ) {
    const page = JSON.parse((await client.ask("GET", `/runs?limit=${PAGE}${after}`)).body);
    for (const run of page.runs as Run[]) runs.set(run.id, run);
    if (page.next_after === null) return runs;
    after = `&after=${page.next_after}`;
  }
}

/** Whether a run kept its promises, or its answer and its journal say that it did not. */
async function judge(client: LoadClient, ids: readonly string[]): Promise<void> {
  const runs = await allRuns(client);
  const ends: Record<string, number> = {};
  let unreported = 0;
  let journals = 0;
  for (const id of ids) {
    const run = runs.get(id);
    const end = run === undefined ? "lost" : (run.failure?.code ?? run.status);
    ends[end] = (ends[end] ?? 0) + 1;
    if (run === undefined || run.ended_at === null) {
      unreported += 1;
      continue;
    }
    const { start_by, deadline_at, state, breaches } = run.sla;
    const missed =
      (start_by !== null && (run.started_at ?? run.ended_at) >= start_by) ||
      (deadline_at !== null && run.ended_at >= deadline_at);
    if (missed !== (state === "breached")) unreported += 1;
    if (!missed || journals >= JOURNALS) continue;
    journals += 1;
    const { events } = JSON.parse((await client.ask("GET", `/runs/${id}/events?limit=${PAGE}`)).body);
    const said = new Set(
      events
        .filter((event: { kind: string }) => event.kind === "sla_breached")
        .map((event: { data: { what: string } }) => event.data.what),
    );
    if (!breaches.every(({ what }) => said.has(what))) unreported += 1;
  }
  note("accepted runs ended as", JSON.stringify(ends));
  note("journals of breached runs read", journals);
  must("accepted and neither in time nor reported (target 0)", unreported, unreported === 0);
}

function tellAnswers(answers: readonly Answer[]): { readonly accepted: string[] } {
  const taken = answers.filter(({ status }) => status === 202);
  const refused = answers.filter(({ status }) => status === 429 || status === 503);
  const other = answers.filter((one) => !taken.includes(one) && !refused.includes(one));
  const byCode: Record<string, number> = {};
  for (const { body } of refused) {
    const { code } = JSON.parse(body).error;
    byCode[code] = (byCode[code] ?? 0) + 1;
  }
  note("offered", answers.length);
  note("accepted", taken.length);
  note("refused", `${refused.length} ${JSON.stringify(byCode)}`);
  must("answered with anything else (target 0)", other.length, other.length === 0);
  if (other[0] !== undefined)
    note("  the first of them", `${other[0].status} ${other[0].body.slice(0, 200)}`);
  note(
    "accepted answered, p50 / p99",
    `${ms(
      quantile(
        taken.map((a) => a.ms),
        0.5,
      ),
    )} / ${ms(
      quantile(
        taken.map((a) => a.ms),
        0.99,
      ),
    )}`,
  );
  const late = quantile(
    refused.map((one) => one.ms),
    0.99,
  );
  note(
    "refused answered, p50",
    ms(
      quantile(
        refused.map((one) => one.ms),
        0.5,
      ),
    ),
  );
  must("refused answered, p99 (target < 50 ms)", ms(late), late < 50);
  const hasTime = refused.every(({ retryAfter }) => Number(retryAfter) >= 1);
  must("every refusal says when to come again", hasTime ? "yes" : "no", hasTime && refused.length > 0);
  return { accepted: taken.map(({ body }) => JSON.parse(body).id as string) };
}

async function recovery(
  client: LoadClient,
  calm: { readonly rate: number; readonly p95: number },
): Promise<void> {
  const answers = await client.offer({ perSecond: calm.rate, seconds: CALM_SECONDS });
  const normal = Math.max(calm.p95 * 2, calm.p95 + 10);
  const seconds = Array.from({ length: CALM_SECONDS }, (_, second) => {
    const own = answers.filter((one) => one.second === second);
    const ok = own.every(({ status }) => status === 202);
    return {
      p95: quantile(
        own.map((one) => one.ms),
        0.95,
      ),
      ok,
    };
  });
  const bad = seconds.findLastIndex(({ p95, ok }) => p95 > normal || !ok);
  note(
    "p95 by second after the load",
    seconds.map(({ p95, ok }) => `${p95.toFixed(0)}${ok ? "" : "!"}`).join(" "),
  );
  must("back to normal after (target ≤ 5 s)", `${bad + 1} s`, bad + 1 <= 5);
}

async function measure(server: OverloadServer): Promise<void> {
  const client = new LoadClient(server.url);
  await client.capacity({ lanes: SLOTS, seconds: 3 });
  const capacity = await client.capacity({ lanes: SLOTS * 2, seconds: 6 });
  note("slots × service time", `${SLOTS} × ${SERVICE_MS} ms`);
  note("measured capacity", `${capacity.toFixed(1)} runs/s`);
  const rate = Math.max(1, capacity / 2);
  const before = await client.offer({ perSecond: rate, seconds: CALM_SECONDS });
  const p95 = quantile(
    before.map((one) => one.ms),
    0.95,
  );
  note(
    "calm: answered, p50 / p95",
    `${ms(
      quantile(
        before.map((one) => one.ms),
        0.5,
      ),
    )} / ${ms(p95)}`,
  );
  await drained(client);
  const stop = new AbortController();
  const watching = watch(client, stop.signal);
  const answers = await client.offer({ perSecond: capacity * FACTOR, seconds: SECONDS });
  stop.abort();
  const { health, memory, silent } = await watching;
  const { accepted } = tellAnswers(answers);
  must("/healthz without an answer (target 0)", `${silent} of ${health.length}`, silent === 0);
  note("/healthz p50 / p99 / most", [0.5, 0.99, 1].map((q) => ms(quantile(health, q))).join(" / "));
  await recovery(client, { rate, p95 });
  const MB = 1_048_576;
  // What a heap takes before it collects is no leak: the second half must not outgrow the first.
  const half = Math.ceil(memory.length / 2);
  const [first, second] = [memory.slice(0, half), memory.slice(half)].map((part) => Math.max(...part) / MB);
  note("resident memory, most, first and second half", `${first?.toFixed(0)} and ${second?.toFixed(0)} MB`);
  must("memory is bounded", second === undefined ? "?" : "yes", (second ?? 0) <= (first ?? 0) * 1.3 + 50);
  await drained(client);
  await judge(client, accepted);
  client.close();
}

const database = process.argv.includes("postgres") ? await startPostgres({ fast: false }) : null;
const server = await startOverloadServer({
  slots: SLOTS,
  serviceMs: SERVICE_MS,
  databaseUrl: await database?.database(),
});
try {
  await measure(server);
} finally {
  await server.stop();
  await database?.stop();
}
console.log(
  `${FACTOR} × the capacity for ${SECONDS} s, ${database === null ? "SQLite" : "PostgreSQL"}, ${cpus().length} cores`,
);
for (const { what, value, ok } of checks)
  console.log(`${ok === null ? " " : ok ? "✓" : "✗"} ${what.padEnd(56)} ${value}`);
if (process.env.OVERLOAD_JSON) writeFileSync(process.env.OVERLOAD_JSON, JSON.stringify(checks, null, 2));
if (checks.some(({ ok }) => ok === false)) process.exitCode = 1;
