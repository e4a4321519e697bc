import { describe, expect, it } from "vitest";
import { conclude } from "./conclude.ts";
import { LIMITS } from "./limits.ts";
import type { Outcome } from "./outcome.ts";
import type { RetryGrant } from "./retry-budget.ts";
import { Bench, step, tinyExpressions, workflow } from "./testing.suite.ts";

const retry = { maxAttempts: 99, backoff: { initialMs: 100, factor: 1, maxMs: 100 } };
const failure = { code: "x", message: "x", retryable: true };
const waits = [{ key: "k", on: "timer" as const, until: 5_000 }];

function concluded(
  run: Bench,
  outcome: Outcome,
  of: { step?: string; attempt?: number; retry?: RetryGrant } = {},
) {
  const done = { step: of.step ?? "a", attempt: of.attempt ?? 1, outcome };
  const { plan, now, random } = run;
  const budget = of.retry === undefined ? {} : { retry: of.retry };
  return conclude(run.state, done, {
    run: "run_1",
    plan,
    now,
    random,
    expressions: tinyExpressions,
    ...budget,
  });
}

function running(): Bench {
  const run = new Bench(workflow([step("a", { retry })]));
  run.go();
  return run;
}

describe("conclude", () => {
  it.each<[Outcome, object]>([
    [
      { kind: "succeeded", output: 3 },
      { kind: "step_succeeded", step: "a", attempt: 1, output: 3 },
    ],
    [
      { kind: "waiting", waits },
      { kind: "step_waiting", step: "a", attempt: 1, waits },
    ],
    [
      { kind: "canceled", reason: "r" },
      { kind: "step_canceled", step: "a", attempt: 1, reason: "r" },
    ],
    [
      { kind: "failed", failure },
      { kind: "step_retrying", step: "a", attempt: 1, failure, nextAt: 1_050 },
    ],
  ])("makes one fact of %j", (outcome, fact) => {
    expect(concluded(running(), outcome)).toEqual([fact]);
  });

  it("gives no further attempt to a canceled run, nor past the house's own bound", () => {
    const run = running();
    expect(concluded(run, { kind: "failed", failure }, { attempt: LIMITS.stepAttempts })).toMatchObject([
      { kind: "step_failed" },
    ]);
    run.add([{ kind: "cancel_requested", by: "ann", reason: "stop" }]);
    expect(concluded(run, { kind: "failed", failure })).toEqual([
      { kind: "step_failed", step: "a", attempt: 1, failure },
    ]);
  });

  it("puts a retry off when the budget of retries is spent, and says so", () => {
    const later = (ms: number) =>
      concluded(running(), { kind: "failed", failure }, { retry: { kind: "later", ms } });
    expect(later(5_000)).toEqual([
      { kind: "retry_budget_exhausted", step: "a", attempt: 1, delayMs: 4_950 },
      { kind: "step_retrying", step: "a", attempt: 1, failure, nextAt: 6_000 },
    ]);
    expect(later(10)).toMatchObject([{ delayMs: 0 }, { nextAt: 1_050 }]);
    expect(concluded(running(), { kind: "failed", failure }, { retry: { kind: "now" } }).length).toBe(1);
  });

  it("fails a step whose retry the budget leaves no room for, with its own failure inside", () => {
    const none = { retry: { kind: "none" } } as const;
    const detailed = { ...failure, details: { n: 1 } };
    const [said, failed] = concluded(running(), { kind: "failed", failure: detailed }, none);
    expect(said).toEqual({ kind: "retry_budget_exhausted", step: "a", attempt: 1, delayMs: null });
    expect(failed).toMatchObject({
      failure: { code: "retry_budget_exhausted", details: { cause: detailed } },
    });
    const [, bare] = concluded(running(), { kind: "failed", failure }, none);
    expect(bare).toMatchObject({ failure: { details: { cause: failure } } });
    const lasting = { ...failure, retryable: false };
    expect(concluded(running(), { kind: "failed", failure: lasting }, none)).toEqual([
      { kind: "step_failed", step: "a", attempt: 1, failure: lasting },
    ]);
  });

  it("takes the end of a step that never began for a broken invariant", () => {
    expect(() => concluded(running(), { kind: "succeeded", output: 1 }, { step: "b" })).toThrow(
      "step b has not begun",
    );
  });
});
