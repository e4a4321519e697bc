import { describe, expect, it } from "vitest";
import {
  type Allowance,
  accountKey,
  allowancesFor,
  type Budget,
  budgetExhausted,
  describeAllowance,
  matchesModel,
  NOBODY,
  type Payer,
  readAccountKey,
  resetOf,
  startOf,
} from "./budget.ts";

const NOW = Date.UTC(2026, 10, 21, 12);
const budget = (over: Partial<Budget>): Budget => ({
  scope: "global",
  name: null,
  window: "total",
  models: null,
  hardMicros: 100,
  softMicros: null,
  ...over,
});
const payer: Payer = {
  tenant: "acme",
  user: "ann",
  runs: [
    { id: "run_a", budgetMicros: 50 },
    { id: "run_b", budgetMicros: null },
  ],
};
const at = (budgets: readonly Budget[], who = payer, model = "p/m") =>
  allowancesFor(budgets, who, model).map(({ scope, name, window, hardMicros, softMicros }) => ({
    at: `${scope}:${name}|${window}`,
    hardMicros,
    softMicros,
  }));

describe("which budgets hold for a call", () => {
  it("those of its run and of every run above it, its task, user, tenant and everybody, narrowest first", () => {
    const scopes = ["global", "tenant", "user", "task", "run"] as const;
    expect(at(scopes.map((scope) => budget({ scope }))).map((one) => one.at)).toEqual([
      "run:run_a|total",
      "run:run_b|total",
      "task:run_a|total",
      "user:acme/ann|total",
      "tenant:acme|total",
      "global:*|total",
    ]);
  });

  it("none where nobody has one", () => {
    expect(at([])).toEqual([{ at: "run:run_a|total", hardMicros: 50, softMicros: 40 }]);
    const scopes = ["run", "task", "user", "tenant", "global"] as const;
    expect(
      at(
        scopes.map((scope) => budget({ scope })),
        NOBODY,
      ).map((one) => one.at),
    ).toEqual(["global:*|total"]);
  });

  it("a user without a tenant is not the user of that name elsewhere", () => {
    expect(at([budget({ scope: "user" })], { tenant: null, user: "ann", runs: [] })[0]?.at).toBe(
      "user:/ann|total",
    );
  });

  it("the one with a name goes before the one for each, in its own window only", () => {
    const budgets = [
      budget({ scope: "tenant", window: "day", hardMicros: 1 }),
      budget({ scope: "tenant", window: "day", hardMicros: 9, name: "acme" }),
      budget({ scope: "tenant", window: "month", hardMicros: 20 }),
      budget({ scope: "tenant", window: "month", hardMicros: 5, name: "other" }),
      budget({ scope: "tenant", window: "day", hardMicros: 3, models: "p/*" }),
    ];
    expect(at(budgets)).toEqual([
      { at: "run:run_a|total", hardMicros: 50, softMicros: 40 },
      { at: "tenant:acme|day", hardMicros: 9, softMicros: null },
      { at: "tenant:acme|month", hardMicros: 20, softMicros: null },
      { at: "tenant:acme|day", hardMicros: 3, softMicros: null },
    ]);
  });

  it("of a run's own budget and a configured one, the tighter cap holds", () => {
    const budgets = [budget({ scope: "run", hardMicros: 30, softMicros: 45 })];
    expect(at(budgets)[0]).toEqual({ at: "run:run_a|total", hardMicros: 30, softMicros: 40 });
    expect(at([budget({ scope: "run", hardMicros: null, softMicros: 7 })])[0]).toEqual({
      at: "run:run_a|total",
      hardMicros: 50,
      softMicros: 7,
    });
  });

  it("only those for its model", () => {
    const budgets = [budget({ models: "p/*" }), budget({ models: "q/x", window: "day" })];
    expect(at(budgets, NOBODY).map((one) => one.at)).toEqual(["global:*|total"]);
    expect(matchesModel("q/x", "q/x")).toBe(true);
    expect(matchesModel("q/x", "q/xy")).toBe(false);
    expect(matchesModel(null, "q/x")).toBe(true);
  });
});

describe("where a call is booked", () => {
  const allowance = (over: Partial<Allowance>): Allowance => ({ ...budget({}), name: "*", ...over });

  it("every window has an account of its own", () => {
    expect(accountKey(allowance({}), NOW)).toBe("global:*|total|*");
    expect(accountKey(allowance({ window: "day" }), NOW)).toBe("global:*|day|*|2026-11-21");
    expect(accountKey(allowance({ window: "day" }), NOW + 86_400_000)).toBe("global:*|day|*|2026-11-22");
    expect(accountKey(allowance({ window: "month", models: "a/b" }), NOW)).toBe(
      "global:*|month|a%2Fb|2026-11",
    );
  });

  it("no name can be taken for another account", () => {
    const named = accountKey(allowance({ scope: "tenant", name: "a|day|*|2026-11-21" }), NOW);
    expect(named).not.toBe(accountKey(allowance({ scope: "tenant", name: "a", window: "day" }), NOW));
    expect(accountKey(allowance({ name: "\ud800" }), NOW)).toBe("global:%EF%BF%BD|total|*");
  });

  it("is read back, when it is of this window", () => {
    const day = allowance({ scope: "tenant", name: "a|b", window: "day", models: "p/*" });
    const read = { scope: "tenant", name: "a|b", window: "day", models: "p/*" };
    expect(readAccountKey(accountKey(day, NOW), NOW)).toEqual(read);
    expect(readAccountKey(accountKey(day, NOW), NOW + 86_400_000)).toBeNull();
    expect(readAccountKey("global:*|total|*", NOW)).toMatchObject({ scope: "global", models: null });
    for (const key of ["", "planet:x|total|*", "global:*|year|*", "global:*|total"]) {
      expect(readAccountKey(key, NOW)).toBeNull();
    }
  });

  it("begins and ends with its window", () => {
    expect([startOf({ window: "total" }, NOW), resetOf({ window: "total" }, NOW)]).toEqual([0, null]);
    expect([startOf({ window: "day" }, NOW), resetOf({ window: "day" }, NOW)]).toEqual([
      Date.UTC(2026, 10, 21),
      Date.UTC(2026, 10, 22),
    ]);
    expect([startOf({ window: "month" }, NOW), resetOf({ window: "month" }, NOW)]).toEqual([
      Date.UTC(2026, 10, 1),
      Date.UTC(2026, 11, 1),
    ]);
  });
});

describe("what a refusal says", () => {
  const allowance: Allowance = {
    ...budget({ scope: "tenant", window: "day", models: "p/*" }),
    name: "acme",
  };

  it("scope, limit, spent, held, what was needed, and when it resets", () => {
    const refused = budgetExhausted(
      {
        allowance,
        limitMicros: 5_000_000,
        spentMicros: 4_900_000,
        heldMicros: 80_000,
        neededMicros: 50_000,
        resetsAt: Date.UTC(2026, 10, 22),
      },
      "a call to p/m",
    );
    expect(refused).toMatchObject({ code: "budget_exhausted", retryable: false });
    expect(refused.message).toBe(
      "the day's budget of tenant acme for p/* has no room for a call to p/m, which may cost $0.05: limit $5.00, spent $4.90, held by calls under way $0.08; it resets at 2026-11-22T00:00:00Z",
    );
    expect(refused.details).toEqual({
      scope: "tenant",
      name: "acme",
      window: "day",
      models: "p/*",
      limit_micros: 5_000_000,
      spent_micros: 4_900_000,
      held_micros: 80_000,
      needed_micros: 50_000,
      resets_at: "2026-11-22T00:00:00Z",
    });
  });

  it("that it never resets", () => {
    const all: Allowance = { ...budget({}), name: "*" };
    const refused = budgetExhausted(
      { allowance: all, limitMicros: 1, spentMicros: 1, heldMicros: 0, neededMicros: 1, resetsAt: null },
      "it",
    );
    expect(refused.message).toContain("the budget of everybody has no room for it");
    expect(refused.message).toContain("it never resets");
    expect(refused.details).toMatchObject({ resets_at: null });
    expect(describeAllowance({ ...all, scope: "run", name: "run_a" })).toBe("the budget of run run_a");
  });
});
