import { describe, expect, it } from "vitest";
import { type Allowance, accountKey, NOBODY } from "./budget.ts";
import {
  accountsOf,
  applySpend,
  type Reserve,
  type Settle,
  type SpendAnswer,
  type SpendOp,
  spendBook,
  subjectOf,
  sweepSpend,
  usedMicros,
} from "./spend.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const HOLD_MS = 60_000;
const LATER = NOW + HOLD_MS;

function cap(hardMicros: number | null, over: Partial<Allowance> = {}): Allowance {
  return { scope: "global", name: "*", window: "total", models: null, hardMicros, softMicros: null, ...over };
}

const subject = subjectOf(NOBODY, { model: "p/m", stage: "execute" });

function reserve(id: string, micros: number, over: Partial<Reserve> = {}): Reserve {
  return {
    kind: "reserve",
    id,
    subject,
    allowances: [cap(100)],
    micros,
    ceiling: micros,
    accrued: 0,
    unpriced: false,
    holdMs: HOLD_MS,
    ...over,
  };
}

function settle(id: string, micros: number, over: Partial<Settle> = {}): Settle {
  return {
    kind: "settle",
    id,
    subject,
    allowances: [cap(100)],
    micros,
    estimated: false,
    unpriced: false,
    tokens: { input: 1, output: 2 },
    ...over,
  };
}

function renew(id: string, micros: number, accrued = 0, allowances = [cap(100)]): SpendOp {
  return { kind: "renew", id, allowances, micros, accrued, holdMs: HOLD_MS };
}

/** A book, and the account of the one cap as it is now. */
function ledger(allowance = cap(100)) {
  const book = spendBook([], []);
  const key = accountKey(allowance, NOW);
  return {
    book,
    do: (op: SpendOp, now = NOW): SpendAnswer => {
      sweepSpend(book, now);
      return applySpend(book, op, now);
    },
    get account() {
      const { committed, held, presumed, risk } = book.accounts.get(key)!;
      return { committed, held, presumed, risk };
    },
  };
}

describe("reserve", () => {
  it("holds the amount, and its ceiling is the declared overshoot", () => {
    const under = ledger();
    expect(under.do(reserve("a", 30, { ceiling: 50 }))).toEqual({ kind: "granted" });
    expect(under.account).toEqual({ committed: 0, held: 30, presumed: 0, risk: 20 });
  });

  it("refuses what would go beyond, with the figures, and changes nothing", () => {
    const under = ledger();
    under.do(settle("x", 20));
    under.do(reserve("a", 60));
    expect(under.do(reserve("b", 21))).toMatchObject({
      kind: "refused",
      refusal: { limitMicros: 100, spentMicros: 20, heldMicros: 60, neededMicros: 21, resetsAt: null },
    });
    expect(under.do(reserve("c", 20))).toEqual({ kind: "granted" });
    expect(under.account.held).toBe(80);
  });

  it("is on all accounts or on none", () => {
    const under = ledger();
    const both = [cap(100), cap(10, { scope: "tenant", name: "acme" })];
    expect(under.do(reserve("a", 20, { allowances: both }))).toMatchObject({
      refusal: { allowance: { scope: "tenant" } },
    });
    expect(under.book.accounts.size).toBe(0);
    under.do(reserve("b", 10, { allowances: both }));
    expect([...under.book.accounts.values()].map((one) => one.held)).toEqual([10, 10]);
  });

  it("of the same id twice counts once, also when its end was there first", () => {
    const under = ledger();
    under.do(reserve("a", 30));
    expect(under.do(reserve("a", 30))).toEqual({ kind: "granted" });
    under.do(settle("b", 5));
    under.do(reserve("b", 30));
    expect(under.account).toMatchObject({ committed: 5, held: 30 });
  });

  it("lets through what is known to cost nothing, and nothing else, when all is spent", () => {
    const under = ledger();
    under.do(settle("x", 100));
    expect(under.do(reserve("free", 0))).toEqual({ kind: "granted" });
    expect(under.do(reserve("unpriced", 0, { unpriced: true }))).toMatchObject({ kind: "refused" });
    expect(ledger().do(reserve("unpriced", 0, { unpriced: true }))).toEqual({ kind: "granted" });
  });

  it("is not stopped by a soft cap", () => {
    const under = ledger(cap(null, { softMicros: 1 }));
    expect(under.do(reserve("a", 500, { allowances: [cap(null, { softMicros: 1 })] }))).toEqual({
      kind: "granted",
    });
  });

  it("tells when the window ends", () => {
    const day = cap(10, { window: "day" });
    expect(ledger(day).do(reserve("a", 11, { allowances: [day] }))).toMatchObject({
      refusal: { resetsAt: Date.UTC(2026, 10, 22) },
    });
  });
});

describe("settle", () => {
  it("turns the hold into what was billed, once", () => {
    const under = ledger();
    under.do(reserve("a", 30, { ceiling: 40 }));
    expect(under.do(settle("a", 12))).toEqual({ kind: "settled", booked: true, late: false, warnings: [] });
    expect(under.do(settle("a", 12))).toEqual({ kind: "settled", booked: false, late: false, warnings: [] });
    expect(under.account).toEqual({ committed: 12, held: 0, presumed: 0, risk: 0 });
  });

  it("books more than was held: what was billed is billed", () => {
    const under = ledger();
    under.do(reserve("a", 30));
    under.do(settle("a", 45));
    expect(under.account.committed).toBe(45);
    expect(under.book.entries.get("a")).toMatchObject({ ceiling: 45, charged: 45 });
  });

  it("is booked without a hold, marked late; outside of all budgets nothing is late", () => {
    const under = ledger();
    expect(under.do(settle("a", 5))).toMatchObject({ booked: true, late: true });
    expect(under.do(settle("b", 5, { allowances: [] }))).toMatchObject({ booked: true, late: false });
    expect(under.account.committed).toBe(5);
  });

  it("belongs to the window in which it was admitted", () => {
    const day = cap(100, { window: "day" });
    const under = ledger(day);
    const tomorrow = Date.UTC(2026, 10, 22, 0, 1);
    under.do(reserve("a", 30, { allowances: [day], holdMs: 86_400_000 }));
    under.do(settle("a", 20, { allowances: [day] }), tomorrow);
    expect(under.account).toMatchObject({ committed: 20, held: 0 });
    expect(under.book.accounts.has(accountKey(day, tomorrow))).toBe(false);
  });

  it("tells a soft cap once, to whoever crosses it", () => {
    const soft = cap(null, { softMicros: 10 });
    const under = ledger(soft);
    const allowances = [soft, cap(100, { scope: "tenant", name: "t" })];
    expect(under.do(settle("a", 9, { allowances }))).toMatchObject({ warnings: [] });
    expect(under.do(settle("b", 1, { allowances }))).toMatchObject({
      warnings: [{ softMicros: 10, spentMicros: 10, allowance: { scope: "global" } }],
    });
    expect(under.do(settle("c", 50, { allowances }))).toMatchObject({ warnings: [] });
  });

  it("of a hold that was admitted under fewer budgets warns of those it has", () => {
    const soft = cap(null, { softMicros: 1 });
    const under = ledger(soft);
    under.do(reserve("a", 1, { allowances: [] }));
    expect(under.do(settle("a", 5, { allowances: [soft] }))).toMatchObject({ warnings: [] });
  });
});

describe("expiry", () => {
  it("gives the hold up when its time is over, and presumes what it had accrued", () => {
    const under = ledger();
    under.do(reserve("a", 30, { ceiling: 50, accrued: 8 }));
    expect(sweepSpend(under.book, LATER - 1)).toBe(0);
    expect(sweepSpend(under.book, LATER)).toBe(1);
    expect(sweepSpend(under.book, LATER)).toBe(0);
    expect(under.account).toEqual({ committed: 0, held: 0, presumed: 8, risk: 0 });
  });

  it("a late end is booked for what it was, and marked", () => {
    const under = ledger();
    under.do(reserve("a", 30, { accrued: 8 }));
    expect(under.do(settle("a", 25), LATER)).toMatchObject({ booked: true, late: true });
    expect(under.account).toEqual({ committed: 25, held: 0, presumed: 0, risk: 0 });
  });

  it("what it accrued is at most what it held", () => {
    const under = ledger();
    under.do(reserve("a", 5, { accrued: 9 }));
    sweepSpend(under.book, LATER);
    expect(under.account.presumed).toBe(5);
  });
});

describe("renew", () => {
  it("keeps the hold longer and raises it where there is room", () => {
    const under = ledger();
    under.do(reserve("a", 30, { ceiling: 60 }));
    expect(under.do(renew("a", 50, 10), NOW + 1_000)).toEqual({ kind: "renewed", covered: true });
    expect(under.account).toEqual({ committed: 0, held: 50, presumed: 0, risk: 10 });
    expect(sweepSpend(under.book, LATER)).toBe(0);
    expect(sweepSpend(under.book, LATER + 1_000)).toBe(1);
    expect(under.account.presumed).toBe(10);
  });

  it("keeps it as it is where there is none, and never lowers it", () => {
    const under = ledger();
    under.do(reserve("a", 30, { ceiling: 200 }));
    under.do(reserve("b", 60));
    expect(under.do(renew("a", 50))).toEqual({ kind: "renewed", covered: false });
    expect(under.do(renew("a", 10))).toEqual({ kind: "renewed", covered: true });
    expect(under.account).toMatchObject({ held: 90, risk: 170 });
  });

  it("asks hard caps only, and learns that the ceiling was too low", () => {
    const soft = cap(null, { softMicros: 1 });
    const under = ledger(soft);
    under.do(reserve("a", 30, { allowances: [soft] }));
    expect(under.do(renew("a", 500, 0, [soft]))).toEqual({ kind: "renewed", covered: true });
    expect(under.book.entries.get("a")).toMatchObject({ reserved: 500, ceiling: 500 });
  });

  it("takes an expired one back where there is room, and otherwise says that it is gone", () => {
    const under = ledger();
    under.do(reserve("a", 30, { accrued: 8 }));
    expect(under.do(renew("a", 30, 9), LATER)).toEqual({ kind: "renewed", covered: true });
    expect(under.account).toMatchObject({ held: 30, presumed: 0 });
    const again = LATER + HOLD_MS;
    under.do(reserve("b", 85), again);
    expect(under.account).toMatchObject({ held: 85, presumed: 9 });
    expect(under.do(renew("a", 30), again)).toEqual({ kind: "gone" });
    expect(under.account).toMatchObject({ held: 85, presumed: 9 });
  });

  it("of what is settled or was never there is gone", () => {
    const under = ledger();
    under.do(settle("a", 1));
    expect(under.do(renew("a", 5))).toEqual({ kind: "gone" });
    expect(under.do(renew("x", 5))).toEqual({ kind: "gone" });
  });

  it("under budgets it was not admitted to, is kept to those as if they were empty", () => {
    const under = ledger();
    under.do(reserve("a", 30, { allowances: [] }));
    expect(under.do(renew("a", 50))).toEqual({ kind: "renewed", covered: true });
  });
});

describe("a batch", () => {
  it("names every account it may change, in order", () => {
    const under = ledger();
    const day = cap(5, { window: "day" });
    under.do(reserve("a", 1, { allowances: [day] }));
    const entries = [...under.book.entries.values()];
    const tomorrow = Date.UTC(2026, 10, 22);
    expect(accountsOf([settle("a", 1, { allowances: [day] }), reserve("b", 1)], entries, tomorrow)).toEqual([
      "global:*|day|*|2026-11-21",
      "global:*|day|*|2026-11-22",
      "global:*|total|*",
    ]);
  });

  it("goes on from what was stored", () => {
    const under = ledger();
    under.do(reserve("a", 30));
    const stored = spendBook([...under.book.accounts.values()], [...under.book.entries.values()]);
    expect(stored.touched.accounts.size).toBe(0);
    applySpend(stored, settle("a", 12), NOW);
    expect([...stored.accounts.values()]).toMatchObject([{ committed: 12, held: 0 }]);
    expect([...stored.touched.entries]).toEqual(["a"]);
  });

  it("says whose money it is", () => {
    const runs = [
      { id: "run_a", budgetMicros: null },
      { id: "run_b", budgetMicros: 5 },
    ];
    expect(subjectOf({ tenant: "t", user: "u", runs }, { model: "p/m", stage: "plan" })).toEqual({
      tenant: "t",
      user: "u",
      path: "run_a/run_b",
      model: "p/m",
      stage: "plan",
    });
    expect(usedMicros({ key: "", committed: 1, held: 2, presumed: 3, risk: 9, warned: false })).toBe(6);
  });
});
