import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startPostgres, type TestPostgres } from "../../../../tests/support/postgres.ts";
import type { Claim, CommitNext } from "../../../contracts/run-store.ts";
import {
  admission,
  COMPLETED,
  commit,
  manualClock,
  START,
  worker,
} from "../../../contracts/run-store-suite/fixtures.suite.ts";
import { slot } from "../../../contracts/run-store-suite/slots.suite.ts";
import { openPostgresStore, type PostgresStore } from "./open.ts";

/** Several processes' worth of connections on one database, all of them after the same few slots. */

const STORES = 4;
const RUNS = Number(process.env.SLOT_RUNS ?? 96);
/** Far more rounds than it takes: a run that is never woken shows as rounds without end. */
const ROUNDS = RUNS * 20;
const clock = manualClock();

let server: TestPostgres;
let url: string;
let stores: PostgresStore[];
let sql: pg.Client;

beforeAll(async () => {
  server = await startPostgres();
  url = await server.database();
  stores = [];
  for (let n = 0; n < STORES; n += 1) stores.push(await openPostgresStore({ url, clock, beats: "none" }));
  sql = new pg.Client({ connectionString: url });
  await sql.connect();
});
afterAll(async () => {
  await sql?.end();
  for (const store of stores ?? []) await store.close();
  await server?.stop();
});

const canceled = { kind: "end", status: "canceled", output: null, failure: null } as const;
const rest = { kind: "rest", wakeAt: START, waitingFor: ["timer"] } as const;

/** What a run does with its n-th claim: it goes through rest and yield before it ends. */
function nextOf(run: string, times: number): CommitNext {
  const n = Number(run.split("_")[1]);
  if (times === 0 && n % 3 === 0) return rest;
  if (times === 0 && n % 5 === 0) return { kind: "yield" };
  return n % 7 === 0 ? canceled : COMPLETED;
}

function slotsOf(n: number) {
  const all = [
    slot("tenant:a", { limit: 3 }),
    slot("key:a", { limit: 1, hold: "run" }),
    slot("key:b", { limit: 2, hold: "run" }),
  ];
  return all.filter((_, index) => (n >> index) % 2 === 0);
}

async function overfilled(): Promise<number> {
  const { rows } = await sql.query(
    `SELECT count(*)::int AS n FROM slot WHERE held > cap
       OR held <> (SELECT count(*) FROM run_slot WHERE run_slot.key = slot.key AND run_slot.held)`,
  );
  return rows[0].n;
}

it("slots are never overfilled, and everybody's turn comes, however many are after them at once", async () => {
  const times = new Map<string, number>();
  let ended = 0;
  const drive = async ({ store }: PostgresStore, id: string): Promise<void> => {
    await store.join(worker(id, { labels: id === "w0" ? ["gpu"] : [] }));
    for (let round = 0; ended < RUNS && round < ROUNDS; round += 1) {
      const claims: readonly Claim[] = (await store.claim({ worker: id, limit: 1 + (round % 4) })) ?? [];
      const entries = claims.map((claim) => {
        const seen = times.get(claim.run) ?? 0;
        times.set(claim.run, seen + 1);
        return commit(claim, { started: true, next: nextOf(claim.run, seen) });
      });
      const answers = await store.commit(entries);
      expect(answers.every((answer) => answer.kind === "ok")).toBe(true);
      ended += entries.filter((entry) => entry.next.kind === "end").length;
      if (claims.length === 0) await store.wakeDue(START, 10);
      if (id === "w1") expect(await overfilled()).toBe(0);
    }
  };
  const ask = async ({ store }: PostgresStore): Promise<void> => {
    for (let from = 0; from < RUNS; from += 8) {
      const batch = Array.from({ length: Math.min(8, RUNS - from) }, (_, n) =>
        admission(`run_${from + n}`, {
          slots: slotsOf(from + n),
          tenant: `t${n % 3}`,
          priority: n % 2,
          ...(n % 6 === 0 ? { needs: ["gpu"] } : {}),
        }),
      );
      await store.admit(batch);
      // Every now and then somebody cancels what may be anywhere.
      const run = `run_${from + 3}`;
      await store.post([
        { run, id: "c", kind: "cancel", name: "cancel", body: null, from: "api", at: START },
      ]);
    }
  };
  const [first] = stores;
  if (first === undefined) throw new Error("no store");
  await Promise.all([ask(first), ...stores.map((store, n) => drive(store, `w${n}`))]);
  expect(ended).toBe(RUNS);
  expect(await first.reader.load(START)).toMatchObject({
    ready: 0,
    parked: 0,
    leased: 0,
    resting: 0,
    queued: 0,
  });
  const { rows } = await sql.query(
    "SELECT (SELECT count(*) FROM run_slot)::int AS used, (SELECT count(*) FROM slot)::int AS slots",
  );
  expect(rows).toEqual([{ used: 0, slots: 0 }]);
}, 60_000);
