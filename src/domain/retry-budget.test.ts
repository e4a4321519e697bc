import { describe, expect, it } from "vitest";
import {
  askRetry,
  earnRetry,
  newRetryBudget,
  RETRY_BUDGET,
  type RetryBudget,
  type RetryGrant,
  stricter,
} from "./retry-budget.ts";

const rules = { share: 0.2, floor: 2 };

/** Asks until it is told to wait; how many were granted at once. */
function drain(budget: RetryBudget, now: number): { readonly granted: number; readonly left: RetryBudget } {
  let left = budget;
  for (let granted = 0; ; granted += 1) {
    const asked = askRetry(left, rules, now);
    if (asked.grant.kind !== "now") return { granted, left };
    left = asked.spent;
  }
}

describe("the budget of retries", () => {
  it("is the floor, and a share of the work", () => {
    let budget = newRetryBudget(rules, 0);
    expect(drain(budget, 0).granted).toBe(2);
    for (let n = 0; n < 50; n += 1) budget = earnRetry(budget, rules, 0);
    expect(drain(budget, 0).granted).toBe(12);
  });

  it("saves up so much and no more", () => {
    let budget = newRetryBudget(rules, 0);
    for (let n = 0; n < 10_000; n += 1) budget = earnRetry(budget, rules, 0);
    expect(drain(budget, 0).granted).toBe(RETRY_BUDGET.most);
    const large = { share: 1, floor: 500 };
    expect(earnRetry(newRetryBudget(large, 0), large, 0).tokens).toBe(500);
  });

  it("comes back up to the floor by itself, and spreads what is asked meanwhile", () => {
    const { left } = drain(newRetryBudget(rules, 0), 0);
    const first = askRetry(left, rules, 0);
    expect(first.grant).toEqual({ kind: "later", ms: 30_000 });
    const second = askRetry(first.spent, rules, 0);
    expect(second.grant).toEqual({ kind: "later", ms: 60_000 });
    expect(drain(left, 3_600_000).granted).toBe(2);
    expect(askRetry(left, rules, -5_000).grant).toEqual({ kind: "later", ms: 30_000 });
  });

  it("ends when the next turn would come too late", () => {
    let { left } = drain(newRetryBudget(rules, 0), 0);
    for (let n = 0; n < 10; n += 1) left = askRetry(left, rules, 0).spent;
    expect(askRetry(left, rules, 0).grant).toEqual({ kind: "none" });
    const none = { share: 0, floor: 0 };
    expect(askRetry(newRetryBudget(none, 0), none, 0).grant).toEqual({ kind: "none" });
  });

  it("of two is what both allow", () => {
    const now: RetryGrant = { kind: "now" };
    const later = (ms: number): RetryGrant => ({ kind: "later", ms });
    const none: RetryGrant = { kind: "none" };
    expect(stricter(now, now)).toEqual(now);
    expect(stricter(now, later(1))).toEqual(later(1));
    expect(stricter(later(2), now)).toEqual(later(2));
    expect(stricter(later(2), later(1))).toEqual(later(2));
    expect(stricter(later(1), later(2))).toEqual(later(2));
    expect(stricter(none, now)).toEqual(none);
    expect(stricter(now, none)).toEqual(none);
  });
});
