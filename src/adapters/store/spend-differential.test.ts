import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { startPostgres } from "../../../tests/support/postgres.ts";
import { manualClock } from "../../contracts/run-store-suite/fixtures.suite.ts";
import { cap, reserve, settle } from "../../contracts/spend-ledger.suite.ts";
import type { SpendLedger } from "../../contracts/spend-ledger.ts";
import type { Allowance } from "../../domain/budget.ts";
import type { Account, SpendOp } from "../../domain/spend.ts";
import { createMemoryStore } from "./memory/store.ts";
import { openPostgresStore } from "./postgres/open.ts";
import { openSqliteStore } from "./sqlite/open.ts";

/** Batches of each database, of the same sequence; more with `DIFFERENTIAL=…`. */
const BATCHES = Number(process.env.DIFFERENTIAL ?? 250);

type Deed =
  | { readonly kind: "apply"; readonly ops: readonly SpendOp[] }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "sweep"; readonly limit: number }
  | { readonly kind: "prune"; readonly ageMs: number; readonly limit: number };

// Names are few on purpose, so that they collide.
const id = fc.constantFrom(..."abcdefghij");
const micros = fc.nat(60);
const allowances: fc.Arbitrary<readonly Allowance[]> = fc.subarray([
  cap(150),
  cap(90, { scope: "tenant", name: "acme", window: "day", softMicros: 30 }),
  cap(null, { scope: "user", name: "acme/änn", window: "month", softMicros: 50 }),
  cap(70, { scope: "run", name: "run_a", models: "p/*" }),
]);
const subject = fc.record({
  tenant: fc.constantFrom("acme", "beta"),
  user: fc.constantFrom("", "ann"),
  path: fc.constantFrom("", "run_a", "run_a/run_b", "run_ab"),
  model: fc.constantFrom("p/m", "p/n"),
  stage: fc.constantFrom("execute", "plan"),
});
const op: fc.Arbitrary<SpendOp> = fc
  .record({
    kind: fc.constantFrom("reserve", "renew", "settle"),
    id,
    subject,
    allowances,
    micros,
    more: micros,
    yes: fc.boolean(),
    unpriced: fc.boolean(),
  })
  .map(({ kind, yes, more, unpriced, ...rest }): SpendOp => {
    if (kind === "reserve") {
      return {
        ...reserve(rest.id, rest.micros),
        ...rest,
        ceiling: rest.micros + more,
        accrued: more,
        unpriced,
      };
    }
    const { subject: _subject, ...renewal } = rest;
    if (kind === "renew") return { kind: "renew", ...renewal, accrued: more, holdMs: 60_000 };
    const tokens = { input: more, output: rest.micros };
    return { ...settle(rest.id, rest.micros), ...rest, estimated: yes, unpriced, tokens };
  });
const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("apply" as const), ops: fc.array(op, { maxLength: 5 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("advance" as const),
      ms: fc.constantFrom(1, 30_000, 60_000, 86_400_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("sweep" as const), limit: fc.constant(1_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("prune" as const),
      ageMs: fc.constantFrom(0, 60_000),
      limit: fc.constant(1_000),
    }),
  },
);

/** Everything that can be read. */
async function snapshot(ledger: SpendLedger): Promise<object> {
  // PostgreSQL opens accounts before it knows whether they will count anything.
  const counting = ({ committed, held, presumed, risk }: Account) => committed + held + presumed + risk > 0;
  const accounts = await ledger.accountsFrom({ prefix: "", after: null, limit: 1_000 });
  const users = await ledger.accountsFrom({ prefix: "user:", after: null, limit: 1_000 });
  return {
    accounts: accounts.filter(counting),
    users: users.filter(counting),
    all: await ledger.spent({}),
    acme: await ledger.spent({ tenant: "acme", user: "ann" }),
    run: await ledger.spent({ path: "run_a" }),
    outputs: (await ledger.outputs({ model: "p/m", stage: "plan", limit: 1_000 })).toSorted(),
  };
}

it("one random sequence on SQLite, on PostgreSQL and in plain values: every answer and all that can be read is the same", {
  timeout: 600_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-ledgers-"));
  const server = await startPostgres();
  const clock = manualClock();
  const stores = {
    memory: createMemoryStore({ clock }),
    sqlite: await openSqliteStore({ path: join(folder, "spend.db"), clock, beats: "none" }),
    postgres: await openPostgresStore({ url: await server.database(), clock, beats: "none" }),
  };
  const carryOut = async (ledger: SpendLedger, what: Deed): Promise<unknown> => {
    if (what.kind === "apply") return ledger.apply(what.ops);
    if (what.kind === "sweep") return ledger.sweep(what.limit);
    return what.kind === "prune" ? ledger.prune(clock.now() - what.ageMs, what.limit) : null;
  };
  try {
    for (const what of fc.sample(deed, BATCHES)) {
      if (what.kind === "advance") clock.advance(what.ms);
      const expected = await carryOut(stores.memory.spend, what);
      const seen = await snapshot(stores.memory.spend);
      for (const name of ["sqlite", "postgres"] as const) {
        expect(await carryOut(stores[name].spend, what), `${name}: ${JSON.stringify(what)}`).toEqual(
          expected,
        );
        expect(await snapshot(stores[name].spend), `${name} after ${JSON.stringify(what)}`).toEqual(seen);
      }
    }
  } finally {
    for (const store of Object.values(stores)) await store.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
