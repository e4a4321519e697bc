import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Clock } from "../base/clock.ts";
import { type Allowance, accountKey, type Payer } from "../domain/budget.ts";
import { type Reserve, type Settle, type SpendOp, subjectOf } from "../domain/spend.ts";
import { type ManualClock, manualClock, START } from "./run-store-suite/fixtures.suite.ts";
import type { SpendLedger } from "./spend-ledger.ts";

export interface LedgerUnderTest {
  readonly spend: SpendLedger;
  close(): Promise<void>;
}

/** An empty ledger whose database has the given clock. */
export interface LedgerMaker {
  readonly name: string;
  open(clock: Clock): Promise<LedgerUnderTest>;
}

export const HOLD_MS = 60_000;

export function cap(hardMicros: number | null, over: Partial<Allowance> = {}): Allowance {
  return { scope: "global", name: "*", window: "total", models: null, hardMicros, softMicros: null, ...over };
}

export const ACME: Payer = {
  tenant: "acme",
  user: "ann",
  runs: [
    { id: "run_a", budgetMicros: null },
    { id: "run_b", budgetMicros: null },
  ],
};

const CALL = { model: "p/m", stage: "execute" };
const TENANT = cap(1_000, { scope: "tenant", name: "acme" });
const BOTH = [cap(100), TENANT];

export function reserve(id: string, micros: number, over: Partial<Reserve> = {}): Reserve {
  return {
    kind: "reserve",
    id,
    subject: subjectOf(ACME, CALL),
    allowances: BOTH,
    micros,
    ceiling: micros,
    accrued: 0,
    unpriced: false,
    holdMs: HOLD_MS,
    ...over,
  };
}

export function settle(id: string, micros: number, over: Partial<Settle> = {}): Settle {
  return {
    kind: "settle",
    id,
    subject: subjectOf(ACME, CALL),
    allowances: BOTH,
    micros,
    estimated: false,
    unpriced: false,
    tokens: { input: 10, output: 20 },
    ...over,
  };
}

export function renew(id: string, micros: number, accrued = 0): SpendOp {
  return { kind: "renew", id, allowances: BOTH, micros, accrued, holdMs: HOLD_MS };
}

// Long because it is the one place that says what every ledger does.

/** What every ledger does. */
export function spendLedgerSuite(maker: LedgerMaker): void {
  describe(`spend ledger: ${maker.name}`, () => {
    let under: LedgerUnderTest;
    let clock: ManualClock;
    beforeEach(async () => {
      clock = manualClock();
      under = await maker.open(clock);
    });
    afterEach(async () => under.close());

    const one = async (op: SpendOp) => (await under.spend.apply([op]))[0];
    const account = async (allowance = cap(100)) =>
      (await under.spend.accounts([accountKey(allowance, clock.now())]))[0];

    it("holds, settles and forgets nothing", async () => {
      expect(await one(reserve("a", 30, { ceiling: 50 }))).toEqual({ kind: "granted" });
      expect(await account()).toEqual({
        key: "global:*|total|*",
        committed: 0,
        held: 30,
        presumed: 0,
        risk: 20,
        warned: false,
      });
      expect(await one(settle("a", 12))).toEqual({
        kind: "settled",
        booked: true,
        late: false,
        warnings: [],
      });
      expect(await account()).toMatchObject({ committed: 12, held: 0, risk: 0 });
      expect(await account(TENANT)).toMatchObject({ committed: 12, held: 0 });
    });

    it("answers a batch in order, and what is refused leaves its neighbours alone", async () => {
      const answers = await under.spend.apply([
        reserve("a", 60),
        reserve("b", 60),
        settle("a", 10),
        reserve("c", 60),
        renew("c", 90),
      ]);
      expect(answers.map((answer) => answer.kind)).toEqual([
        "granted",
        "refused",
        "settled",
        "granted",
        "renewed",
      ]);
      expect(answers[1]).toMatchObject({ refusal: { limitMicros: 100, heldMicros: 60, neededMicros: 60 } });
      expect(await account()).toMatchObject({ committed: 10, held: 90 });
      expect(await under.spend.apply([])).toEqual([]);
    });

    it("reserves on all accounts or on none", async () => {
      const small = [cap(1_000), cap(5, { scope: "tenant", name: "acme", window: "day" })];
      expect(await one(reserve("a", 6, { allowances: small }))).toMatchObject({
        kind: "refused",
        refusal: { allowance: { scope: "tenant" }, limitMicros: 5 },
      });
      expect((await account(cap(1_000)))?.held ?? 0).toBe(0);
    });

    it("every operation may be sent again", async () => {
      for (let n = 0; n < 2; n += 1) await one(reserve("a", 30));
      expect(await account()).toMatchObject({ held: 30 });
      await one(settle("a", 12));
      expect(await one(settle("a", 12))).toMatchObject({ booked: false });
      await one(reserve("a", 30));
      expect(await account()).toMatchObject({ committed: 12, held: 0 });
    });

    it("gives up holds that nobody renewed, by the database's clock", async () => {
      await one(reserve("a", 60, { accrued: 5 }));
      await one(reserve("b", 40));
      clock.advance(HOLD_MS - 1);
      expect(await one(renew("b", 40))).toEqual({ kind: "renewed", covered: true });
      expect(await one(reserve("c", 10))).toMatchObject({ kind: "refused" });
      clock.advance(1);
      expect(await one(reserve("c", 55))).toEqual({ kind: "granted" });
      expect(await account()).toMatchObject({ held: 95, presumed: 5 });
      expect(await one(settle("a", 50))).toMatchObject({ booked: true, late: true });
      expect(await account()).toMatchObject({ committed: 50, held: 95, presumed: 0 });
    });

    it("sweeps when it is told to, up to a limit", async () => {
      await under.spend.apply(["a", "b", "c"].map((id) => reserve(id, 10)));
      expect(await under.spend.sweep(10)).toBe(0);
      clock.advance(HOLD_MS);
      expect(await under.spend.sweep(2)).toBe(2);
      expect(await under.spend.sweep(10)).toBe(1);
      expect(await account()).toMatchObject({ held: 0 });
    });

    it("books an end that no hold was for, and marks it late", async () => {
      expect(await one(settle("x", 7))).toMatchObject({ booked: true, late: true });
      expect(await account()).toMatchObject({ committed: 7 });
    });

    it("tells a soft cap to one of those who cross it together", async () => {
      const soft = [cap(null, { softMicros: 10 })];
      await under.spend.apply([1, 2, 3].map((n) => reserve(`${n}`, 10, { allowances: soft })));
      const ends = await Promise.all([1, 2, 3].map((n) => one(settle(`${n}`, 10, { allowances: soft }))));
      expect(ends.flatMap((end) => (end?.kind === "settled" ? end.warnings : []))).toHaveLength(1);
      expect(await account()).toMatchObject({ committed: 30, warned: true });
    });

    it("never lets more through than there is room for, however many ask at once", async () => {
      const asks = Array.from({ length: 40 }, (_, n) => one(reserve(`${n}`, 7)));
      const granted = (await Promise.all(asks)).filter((answer) => answer?.kind === "granted");
      expect(granted).toHaveLength(14);
      expect(await account()).toMatchObject({ held: 98 });
    });

    it("sums up by model and stage what a tenant, a user or a run and its children spent", async () => {
      const other: Payer = { tenant: "beta", user: null, runs: [{ id: "run_ab", budgetMicros: null }] };
      const parent: Payer = { ...ACME, runs: ACME.runs.slice(0, 1) };
      const plan = { model: "p/m", stage: "plan" };
      await under.spend.apply([
        settle("1", 5, { allowances: [] }),
        settle("2", 7, { allowances: [], estimated: true, subject: subjectOf(parent, CALL) }),
        settle("3", 0, { allowances: [], unpriced: true, subject: subjectOf(parent, plan) }),
        reserve("4", 30),
        settle("5", 11, { allowances: [], subject: subjectOf(other, CALL) }),
      ]);
      const sum = { model: "p/m", stage: "execute", presumedMicros: 0, unpricedCalls: 0 };
      const ofAcme = {
        ...sum,
        calls: 3,
        chargedMicros: 12,
        estimatedMicros: 7,
        heldMicros: 30,
        inputTokens: 20,
        outputTokens: 40,
      };
      expect(await under.spend.spent({ tenant: "acme" })).toMatchObject([
        ofAcme,
        { stage: "plan", calls: 1, unpricedCalls: 1 },
      ]);
      expect(await under.spend.spent({ path: "run_a" })).toMatchObject([ofAcme, { calls: 1 }]);
      expect(await under.spend.spent({ path: "run_a/run_b" })).toMatchObject([
        { calls: 2, chargedMicros: 5, heldMicros: 30 },
      ]);
      expect(await under.spend.spent({ tenant: "acme", user: "ann", since: START })).toHaveLength(2);
      expect(await under.spend.spent({ tenant: "acme", user: "bob" })).toEqual([]);
      expect(await under.spend.spent({ path: "" })).toEqual([]);
      expect(await under.spend.spent({ since: START + 1 })).toEqual([]);
      expect(await under.spend.spent({ until: START })).toEqual([]);
      expect((await under.spend.spent({})).map((row) => row.calls)).toEqual([4, 1]);
      clock.advance(HOLD_MS);
      await under.spend.sweep(1);
      expect(await under.spend.spent({ path: "run_a/run_b" })).toMatchObject([{ heldMicros: 0 }]);
    });

    it("knows how long the latest answers were", async () => {
      for (const [n, output] of [5, 50, 500, 0].entries()) {
        await one(settle(`${n}`, 1, { tokens: { input: 1, output } }));
        clock.advance(1);
      }
      await one(settle("guess", 1, { estimated: true, tokens: { input: 1, output: 9_999 } }));
      expect(await under.spend.outputs({ ...CALL, limit: 2 })).toEqual([500, 50]);
      expect(await under.spend.outputs({ ...CALL, stage: "plan", limit: 2 })).toEqual([]);
    });

    it("lists accounts by the beginning of their keys, page by page", async () => {
      const names = ["acme", "acme-2", "beta"];
      await under.spend.apply(
        names.map((name, n) => settle(`${n}`, 1, { allowances: [cap(9, { scope: "tenant", name })] })),
      );
      const prefix = "tenant:";
      const first = await under.spend.accountsFrom({ prefix, after: null, limit: 2 });
      expect(first.map((found) => found.key)).toEqual(["tenant:acme-2|total|*", "tenant:acme|total|*"]);
      const after = first[1]?.key ?? "";
      const next = await under.spend.accountsFrom({ prefix, after, limit: 2 });
      expect(next.map((found) => found.key)).toEqual(["tenant:beta|total|*"]);
      expect(await under.spend.accountsFrom({ prefix: "user:", after: null, limit: 9 })).toEqual([]);
    });

    it("prunes what ended long ago; what it came to stays counted", async () => {
      await one(settle("a", 5));
      clock.advance(1_000);
      await under.spend.apply([settle("b", 5), reserve("c", 5)]);
      expect(await under.spend.prune(clock.now(), 10)).toBe(1);
      expect(await under.spend.prune(clock.now() + 1, 0)).toBe(0);
      expect(await under.spend.prune(clock.now() + 1, 10)).toBe(1);
      expect(await under.spend.spent({})).toMatchObject([{ calls: 1, heldMicros: 5 }]);
      expect(await account()).toMatchObject({ committed: 10, held: 5 });
    });

    it("forgets accounts of runs and windows that rest for long, and no others", async () => {
      const day = cap(100, { window: "day" });
      const run = cap(100, { scope: "run", name: "run_a" });
      await under.spend.apply([
        settle("a", 5, { allowances: [cap(100), day, run, TENANT] }),
        reserve("b", 5, { allowances: [cap(100, { scope: "run", name: "run_b" })], holdMs: 9 * HOLD_MS }),
      ]);
      const keys = async () => {
        const all = await under.spend.accountsFrom({ prefix: "", after: null, limit: 9 });
        return all.map(({ key }) => key.split("|").slice(0, 2).join("|"));
      };
      await under.spend.prune(clock.now(), 10);
      expect(await keys()).toHaveLength(5);
      await under.spend.prune(clock.now() + 1, 10);
      expect(await keys()).toEqual(["global:*|total", "run:run_b|total", "tenant:acme|total"]);
    });

    it("has the database's clock", async () => {
      expect(await under.spend.now()).toBe(clock.now());
    });

    it("keeps sums that are near the end of exact numbers", async () => {
      const vast = 9_000_000_000_000_000;
      await one(settle("a", vast, { allowances: [cap(null)] }));
      expect(await account()).toMatchObject({ committed: vast });
      expect(await under.spend.spent({})).toMatchObject([{ chargedMicros: vast }]);
      expect(await one(reserve("b", 1))).toMatchObject({ refusal: { spentMicros: vast } });
    });
  });
}
