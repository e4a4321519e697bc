import { MICROS_PER_USD } from "../domain/money.ts";
import type { RunBudget } from "../operations/spend/run-budget.ts";
import type * as api from "./api.ts";

export const usd = (micros: number): number => micros / MICROS_PER_USD;
export const usdOrNull = (micros: number | null): number | null => (micros === null ? null : usd(micros));

export function presentRunBudget(budget: RunBudget): api.RunDetail["budget"] {
  return {
    limit_usd: usdOrNull(budget.limitMicros),
    spent_usd: usd(budget.spentMicros),
    estimated_usd: usd(budget.estimatedMicros),
    held_usd: usd(budget.heldMicros),
    left_usd: usdOrNull(budget.leftMicros),
    unpriced_calls: budget.unpricedCalls,
  };
}
