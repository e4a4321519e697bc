// What a reservation costs: without a budget, with one, and when everybody wants the same row.
// node bench/spend.ts [--seconds 3] [--store sqlite|postgres|both] [--json]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createMemoryStore } from "../src/adapters/store/memory/store.ts";
import { openPostgresStore } from "../src/adapters/store/postgres/open.ts";
import { openSqliteStore } from "../src/adapters/store/sqlite/open.ts";
import type { SpendLedger } from "../src/contracts/spend-ledger.ts";
import { type BudgetSettings, NO_BUDGETS, type Payer } from "../src/domain/budget.ts";
import { NO_USAGE } from "../src/domain/message.ts";
import { type Attempt, SpendDesk } from "../src/gateway/spend.ts";
import { startPostgres } from "../tests/support/postgres.ts";
import { realClock } from "../tests/support/real-clock.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "3" },
    store: { type: "string", default: "both" },
    json: { type: "boolean", default: false },
  },
});
const DURATION_MS = Number(values.seconds) * 1_000;
const FREE_CALLS = 200_000;
const DESKS = 4;
const WIDTHS = [1, 50, 200];

const BUDGETS: BudgetSettings = {
  ...NO_BUDGETS,
  budgets: (["global", "tenant", "user", "task", "run"] as const).map((scope) => ({
    scope,
    name: null,
    window: scope === "global" ? "month" : "day",
    models: null,
    hardMicros: 1_000_000_000_000,
    softMicros: null,
  })),
};
const PRICE = { input: 3_000_000, cacheRead: 300_000, cacheWrite: 3_750_000, output: 15_000_000 };

interface Row {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
}
const rows: Row[] = [];
function row(what: string, value: number, unit: string): void {
  rows.push({ what, value, unit });
  const shown = value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
  if (!values.json) console.log(`${what.padEnd(66)} ${shown.padStart(10)} ${unit}`);
}

function deskOn(ledger: SpendLedger, budgets: BudgetSettings): SpendDesk {
  return new SpendDesk({
    ledger,
    settings: () => budgets,
    clock: realClock,
    random: Math.random,
    defer: (run) => void setImmediate(run),
    onProblem: (problem) => console.error(problem),
  });
}

function attempt(lane: number): Attempt {
  const payer: Payer = {
    tenant: `t${lane % 4}`,
    user: `u${lane % 16}`,
    runs: [{ id: `run_${lane}`, budgetMicros: null }],
  };
  const size = { inputTokens: 1_000, maxOutputTokens: 1_000 };
  return { payer, model: "p/m", stage: "execute", price: PRICE, size };
}

const SPENT = { usage: { ...NO_USAGE, input: 1_000, output: 300 }, estimated: false };

async function once(desk: SpendDesk, lane: number): Promise<void> {
  const asked = desk.admit(attempt(lane));
  const admitted = asked instanceof Promise ? await asked : asked;
  if (!admitted.ok) throw new Error(admitted.failure.message);
  await admitted.hold.settle(SPENT);
}

/** Calls a second that are reserved and settled, and how long one takes; nothing happens between the two. */
async function load(
  desks: readonly SpendDesk[],
  width: number,
): Promise<{ readonly perSecond: number; readonly p50: number; readonly p99: number }> {
  const took: number[] = [];
  const until = performance.now() + DURATION_MS;
  const lane = async (desk: SpendDesk, n: number) => {
    while (performance.now() < until) {
      const began = performance.now();
      await once(desk, n);
      took.push(performance.now() - began);
    }
  };
  await Promise.all(
    desks.flatMap((desk, at) => Array.from({ length: width }, (_, n) => lane(desk, at * width + n))),
  );
  took.sort((a, b) => a - b);
  const at = (share: number) => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0;
  return { perSecond: took.length / (DURATION_MS / 1_000), p50: at(0.5), p99: at(0.99) };
}

async function withoutBudget(): Promise<void> {
  const desk = deskOn(createMemoryStore({ clock: realClock }).spend, NO_BUDGETS);
  const began = performance.now();
  for (let n = 0; n < FREE_CALLS; n += 1) {
    const admitted = desk.admit(attempt(n % 8));
    if (admitted instanceof Promise || !admitted.ok) throw new Error("a call without a budget waited");
    admitted.hold.release();
  }
  row(
    "without a budget: added to a call before it is sent",
    ((performance.now() - began) * 1_000) / FREE_CALLS,
    "µs",
  );
}

async function measure(
  kind: string,
  open: () => Promise<{ spend: SpendLedger; close(): Promise<void> }>,
): Promise<void> {
  const opened = await Promise.all(Array.from({ length: DESKS }, open));
  const desks = opened.map(({ spend }) => deskOn(spend, BUDGETS));
  const [first] = desks;
  if (first === undefined) throw new Error("no desk");
  try {
    for (const width of WIDTHS) {
      const { perSecond, p50, p99 } = await load([first], width);
      const what = `${kind}, 5 scopes, one process × ${width}`;
      row(`${what}: reserved and settled`, perSecond, "calls/s");
      row(`${what}: both together, p50`, p50, "ms");
      row(`${what}: both together, p99`, p99, "ms");
    }
    const { perSecond, p50, p99 } = await load(desks, WIDTHS.at(-1) ?? 1);
    const what = `${kind}, 5 scopes, ${DESKS} connections × ${WIDTHS.at(-1)}`;
    row(`${what}: reserved and settled`, perSecond, "calls/s");
    row(`${what}: both together, p50`, p50, "ms");
    row(`${what}: both together, p99`, p99, "ms");
  } finally {
    for (const desk of desks) await desk.flush();
    for (const one of opened) await one.close();
  }
}

await withoutBudget();
if (values.store !== "postgres") {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-spend-"));
  try {
    await measure("sqlite", () => openSqliteStore({ path: join(folder, "spend.db"), clock: realClock }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
if (values.store !== "sqlite") {
  const server = await startPostgres({ fast: false });
  try {
    const url = await server.database();
    await measure("postgres", () => openPostgresStore({ url, clock: realClock, onPolling: () => undefined }));
  } finally {
    await server.stop();
  }
}
if (values.json) console.log(JSON.stringify(rows, null, 2));
