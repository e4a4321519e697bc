// Processes that pay for calls and are killed, a provider with books of its own, and what the two say afterwards.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import type { BillingView } from "../../../src/adapters/models/fake-server/billing.ts";
import { openPostgresStore } from "../../../src/adapters/store/postgres/open.ts";
import { openSqliteStore } from "../../../src/adapters/store/sqlite/open.ts";
import type { SpendLedger } from "../../../src/contracts/spend-ledger.ts";
import { accountKey, type BudgetSettings } from "../../../src/domain/budget.ts";
import { usedMicros } from "../../../src/domain/spend.ts";
import { realClock } from "../../support/real-clock.ts";
import { until } from "../../support/until.ts";
import { budget, settings } from "../world.ts";
import { type PayerOrder, type Store, type Tally, TENANTS } from "./shapes.ts";

const FAKE = fileURLToPath(new URL("fake.ts", import.meta.url));
const PAYER = fileURLToPath(new URL("payer.ts", import.meta.url));
const SAMPLE_MS = 50;
const STOP_MS = 90_000;
const WORK_MS = 60_000;

/** One is killed each so often, for so long; or each has ended so many calls when it is killed, however long that takes. */
export type Rhythm =
  | { readonly kind: "time"; readonly everyMs: number; readonly durationMs: number }
  | { readonly kind: "calls"; readonly kills: number; readonly calls: number };

export interface ChaosOptions {
  readonly store: Store;
  readonly processes: number;
  /** Calls under way at a time in each process. */
  readonly concurrency: number;
  readonly rhythm: Rhythm;
  readonly holdMs: number;
  /** Hard caps in micro-dollars, by tenant; the first ones are meant to be used up. */
  readonly limits: Readonly<Record<(typeof TENANTS)[number], number>>;
}

export interface TenantReport {
  readonly tenant: string;
  readonly limitMicros: number;
  /** What the provider billed. */
  readonly billedMicros: number;
  /** What the ledger says: settled, and presumed of the dead. */
  readonly ledgerMicros: number;
  /** By how much the two may differ: the ceilings of calls that were killed, and of answers that were cut short. */
  readonly estimateErrorMicros: number;
  /** What calls came to beyond what they held, and what came late. */
  readonly overshootMicros: number;
  /** Beyond the limit and what is declared; 0 is what must be. */
  readonly overspendMicros: number;
  /** The most that was seen beyond the limit while it ran: committed, presumed and held together. */
  readonly seenBeyondMicros: number;
  readonly refusedAtEnd: boolean;
}

export interface ChaosReport {
  readonly kills: number;
  readonly seconds: number;
  readonly requests: number;
  readonly entries: number;
  /** Calls of killed processes: nobody settled them. */
  readonly expired: number;
  readonly late: number;
  readonly estimated: number;
  readonly heldAtEnd: number;
  /** Calls that one process said it had refused. */
  readonly refused: number;
  readonly answered: number;
  readonly tenants: readonly TenantReport[];
}

interface Child {
  readonly process: ChildProcess;
  last: Tally;
  /** It ended by itself and not well. */
  crashed: boolean;
}

function budgetsOf({ limits, holdMs }: ChaosOptions): BudgetSettings {
  const tenants = TENANTS.map((name) => budget({ scope: "tenant", name, hardMicros: limits[name] }));
  const everybody = budget({ window: "month", hardMicros: 1_000_000_000 });
  const each = budget({ scope: "run", hardMicros: 100_000_000, softMicros: 50_000 });
  return settings([...tenants, everybody, each], { holdMs });
}

function start(file: string, argument: string): ChildProcess {
  return spawn(process.execPath, [file, argument], { stdio: ["pipe", "pipe", "inherit"] });
}

function startPayer(order: PayerOrder): Child {
  const child: Child = {
    process: start(PAYER, JSON.stringify(order)),
    last: { ok: 0, refused: 0, failed: 0, aborted: 0, problems: 0 },
    crashed: false,
  };
  child.process.once("exit", (code) => {
    child.crashed = code !== null && code !== 0;
  });
  let rest = "";
  child.process.stdout?.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    const line = lines.at(-1);
    if (line !== undefined) child.last = JSON.parse(line) as Tally;
  });
  child.process.stdin?.on("error", () => undefined);
  return child;
}

async function startFake(): Promise<{ readonly url: string; readonly process: ChildProcess }> {
  const child = start(FAKE, "");
  if (child.stdout === null) throw new Error("no output");
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { url: line.toString().trim(), process: child };
}

async function end(child: ChildProcess, signal?: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  if (signal === undefined) child.stdin?.end();
  else child.kill(signal);
  await exit;
}

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { store } = options;
  const opened =
    store.kind === "sqlite"
      ? await openSqliteStore({ path: store.path, clock: realClock, busyTimeoutMs: 20_000 })
      : await openPostgresStore({ url: store.url, clock: realClock, onPolling: () => undefined });
  const fake = await startFake();
  const budgets = budgetsOf(options);
  const all: Child[] = [];
  const hire = (name: string) => {
    const child = startPayer({ name, store, fake: fake.url, concurrency: options.concurrency, budgets });
    all.push(child);
    return child;
  };
  const watching = watch(opened.spend, options);
  try {
    const team = Array.from({ length: options.processes }, (_, n) => hire(`${n}`));
    const began = performance.now();
    const kills = await killOneByOne(team, options.rhythm, hire);
    await within(STOP_MS, Promise.all(team.map((child) => end(child.process))));
    const seen = await watching.stop();
    if (all.some((child) => child.crashed)) throw new Error("a paying process ended by itself");
    const billing = await booksOf(fake.url);
    await until(
      "every hold is given up",
      async () =>
        (await opened.spend.sweep(10_000)) === 0 && (await held(opened.spend)) === 0 ? true : null,
      options.holdMs * 3,
    );
    const heldAtEnd = await held(opened.spend);
    const tallies = all.map((child) => child.last);
    const figures = await figuresOf(store);
    return {
      kills,
      seconds: Math.round((performance.now() - began) / 1_000),
      requests: billing.totals.requests,
      entries: figures.reduce((sum, one) => sum + one.entries, 0),
      expired: figures.reduce((sum, one) => sum + one.expired, 0),
      late: figures.reduce((sum, one) => sum + one.late, 0),
      estimated: figures.reduce((sum, one) => sum + one.estimated, 0),
      heldAtEnd,
      refused: tallies.reduce((sum, one) => sum + one.refused, 0),
      answered: tallies.reduce((sum, one) => sum + one.ok, 0),
      tenants: await Promise.all(
        TENANTS.map((tenant) => reportOf({ tenant, options, billing, figures, seen, spend: opened.spend })),
      ),
    };
  } finally {
    await watching.stop();
    await Promise.all(all.map((child) => end(child.process, "SIGKILL")));
    await end(fake.process);
    await opened.close();
  }
}

function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const late = sleep(ms, undefined, { ref: false }).then(() => {
    throw new Error(`not within ${ms} ms: the processes end`);
  });
  return Promise.race([work, late]);
}

async function killOneByOne(team: Child[], rhythm: Rhythm, hire: (name: string) => Child): Promise<number> {
  const began = performance.now();
  for (let kills = 0; ; kills += 1) {
    const at = kills % team.length;
    const victim = team[at];
    if (victim === undefined) throw new Error("nobody to kill");
    if (rhythm.kind === "calls") {
      if (kills >= rhythm.kills) return kills;
      const { calls } = rhythm;
      await until("the next one has ended its calls", () => (ended(victim) >= calls ? true : null), WORK_MS);
    } else {
      await sleep(rhythm.everyMs);
      if (performance.now() - began >= rhythm.durationMs) return kills;
    }
    await end(victim.process, "SIGKILL");
    team[at] = hire(`${at}-${kills}`);
  }
}

function ended({ last, crashed }: Child): number {
  if (crashed) throw new Error("a paying process ended by itself");
  return last.ok + last.refused + last.aborted + last.failed;
}

/** Looks at every tenant's account all the time: the most that was seen beyond each limit. */
function watch(spend: SpendLedger, { limits }: ChaosOptions) {
  const seen = new Map<string, number>();
  let watching = true;
  const done = (async () => {
    while (watching) {
      for (const tenant of TENANTS) {
        const [account] = await spend.accounts([keyOf(tenant)]);
        const beyond = account === undefined ? 0 : usedMicros(account) - limits[tenant];
        seen.set(tenant, Math.max(seen.get(tenant) ?? 0, beyond));
      }
      await sleep(SAMPLE_MS);
    }
  })();
  return {
    async stop() {
      watching = false;
      await done;
      return seen;
    },
  };
}

function keyOf(tenant: string): string {
  const of = budget({ scope: "tenant", name: tenant });
  return accountKey({ ...of, name: tenant }, Date.now());
}

async function booksOf(url: string): Promise<BillingView> {
  return until("the provider has seen every end", async () => {
    const view = (await (await fetch(`${url}/__fake/ledger?entries=0`)).json()) as BillingView;
    return view.open === 0 ? view : null;
  });
}

async function held(spend: SpendLedger): Promise<number> {
  const accounts = await Promise.all(
    TENANTS.map(async (tenant) => (await spend.accounts([keyOf(tenant)]))[0]),
  );
  return accounts.reduce((sum, account) => sum + (account?.held ?? 0), 0);
}

interface Figures {
  readonly tenant: string;
  readonly entries: number;
  readonly expired: number;
  readonly late: number;
  readonly estimated: number;
  /** Ceilings of what nobody knows exactly. */
  readonly unsure: number;
  readonly overshoot: number;
}

/** Straight from the tables, past the code that is on trial. */
async function figuresOf(store: Store): Promise<readonly Figures[]> {
  const yes = (flag: string) => (store.kind === "sqlite" ? `${flag} = 1` : flag);
  const sql = `SELECT tenant, count(*) AS entries,
    sum(CASE WHEN state = 'expired' THEN 1 ELSE 0 END) AS expired,
    sum(CASE WHEN ${yes("late")} THEN 1 ELSE 0 END) AS late,
    sum(CASE WHEN ${yes("estimated")} THEN 1 ELSE 0 END) AS estimated,
    sum(CASE WHEN state = 'expired' OR ${yes("estimated")} THEN ceiling ELSE 0 END) AS unsure,
    sum(CASE WHEN ${yes("late")} THEN charged
      WHEN state = 'settled' AND charged > reserved THEN charged - reserved
      WHEN state = 'expired' AND accrued > reserved THEN accrued - reserved ELSE 0 END) AS overshoot
    FROM spend GROUP BY tenant`;
  const rows = store.kind === "sqlite" ? fromSqlite(store.path, sql) : await fromPostgres(store.url, sql);
  return rows.map((row) => ({
    tenant: String(row.tenant),
    entries: Number(row.entries),
    expired: Number(row.expired),
    late: Number(row.late),
    estimated: Number(row.estimated),
    unsure: Number(row.unsure),
    overshoot: Number(row.overshoot),
  }));
}

function fromSqlite(path: string, sql: string): readonly Record<string, unknown>[] {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return db.prepare(sql).all();
  } finally {
    db.close();
  }
}

async function fromPostgres(url: string, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function reportOf(of: {
  readonly tenant: (typeof TENANTS)[number];
  readonly options: ChaosOptions;
  readonly billing: BillingView;
  readonly figures: readonly Figures[];
  readonly seen: ReadonlyMap<string, number>;
  readonly spend: SpendLedger;
}): Promise<TenantReport> {
  const { tenant, options, billing, figures, seen, spend } = of;
  const [account] = await spend.accounts([keyOf(tenant)]);
  const mine = figures.find((one) => one.tenant === tenant);
  const limitMicros = options.limits[tenant];
  const ledgerMicros = (account?.committed ?? 0) + (account?.presumed ?? 0);
  const billedMicros = billing.byModel[tenant]?.costMicros ?? 0;
  const estimateErrorMicros = mine?.unsure ?? 0;
  const overshootMicros = mine?.overshoot ?? 0;
  const beyond = Math.max(
    ledgerMicros - overshootMicros,
    billedMicros - overshootMicros - estimateErrorMicros,
  );
  return {
    tenant,
    limitMicros,
    billedMicros,
    ledgerMicros,
    estimateErrorMicros,
    overshootMicros,
    overspendMicros: Math.max(0, beyond - limitMicros),
    seenBeyondMicros: seen.get(tenant) ?? 0,
    refusedAtEnd: ledgerMicros + 6_000 > limitMicros,
  };
}
