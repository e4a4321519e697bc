import type { BudgetList, BudgetState } from "../operations/spend/list-budgets.ts";
import type { SpendReport, SpendTotal } from "../operations/spend/read-spend.ts";
import type * as api from "./api.ts";
import { momentOrNull } from "./moments.ts";
import { usd, usdOrNull } from "./present-money.ts";

export function presentBudgets({ settings, budgets, truncated }: BudgetList): api.BudgetList {
  return {
    unknown_price: settings.unknownPrice,
    on_refusal: settings.onRefusal,
    at_cap: settings.atCap,
    estimate: settings.estimate,
    hold_ms: settings.holdMs,
    budgets: budgets.map(presentBudget),
    truncated,
  };
}

function presentBudget(budget: BudgetState): api.BudgetList["budgets"][number] {
  const { scope, name, window, models, state } = budget;
  return {
    scope,
    name: scope === "global" ? null : name,
    window,
    models,
    limit_usd: usdOrNull(budget.hardMicros),
    warn_usd: usdOrNull(budget.softMicros),
    spent_usd: usd(budget.spentMicros),
    presumed_usd: usd(budget.presumedMicros),
    held_usd: usd(budget.heldMicros),
    left_usd: usdOrNull(budget.leftMicros),
    overshoot_usd: usd(budget.overshootMicros),
    state,
    resets_at: momentOrNull(budget.resetsAt),
  };
}

export function presentSpend({ scope, since, until, total, byModel }: SpendReport): api.Spend {
  return {
    scope,
    since: momentOrNull(since),
    until: momentOrNull(until),
    total: presentSums(total),
    by_model: byModel.map((sum) => ({ model: sum.model, stage: sum.stage, ...presentSums(sum) })),
  };
}

function presentSums(sum: SpendTotal): api.Spend["total"] {
  return {
    calls: sum.calls,
    spent_usd: usd(sum.chargedMicros + sum.presumedMicros),
    estimated_usd: usd(sum.estimatedMicros),
    presumed_usd: usd(sum.presumedMicros),
    held_usd: usd(sum.heldMicros),
    unpriced_calls: sum.unpricedCalls,
    input_tokens: sum.inputTokens,
    output_tokens: sum.outputTokens,
  };
}
