import { z } from "zod";
import { BUDGET_SCOPES, BUDGET_WINDOWS } from "../../domain/budget.ts";
import { count, moment } from "./shared.ts";

const usd = () => z.number().meta({ description: "US dollars, exact to a millionth." });

export const MoneySchema = z
  .union([z.string().min(1).max(32), z.number().min(0)])
  .meta({ description: "US dollars: `$2`, `0.50` or a number." });

export const RunBudgetRequestSchema = z
  .strictObject({ cost: MoneySchema })
  .meta({ id: "RunBudgetRequest", description: "What a run and all that it starts may spend." });

export const RunBudgetSchema = z
  .object({
    limit_usd: usd().nullable(),
    spent_usd: usd(),
    estimated_usd: usd().meta({ description: "Part of what was spent that is an estimate." }),
    held_usd: usd().meta({ description: "Reserved by calls under way." }),
    left_usd: usd().nullable(),
    unpriced_calls: count(),
  })
  .meta({ id: "RunBudget", description: "Of the run and all that it started." });

export const BudgetSchema = z
  .object({
    scope: z.enum(BUDGET_SCOPES),
    name: z.string().nullable().meta({ description: "Null: the rule for each of the scope." }),
    window: z.enum(BUDGET_WINDOWS),
    models: z.string().nullable(),
    limit_usd: usd().nullable(),
    warn_usd: usd().nullable(),
    spent_usd: usd(),
    presumed_usd: usd().meta({
      description: "Part of what was spent that was taken for spent because a process died.",
    }),
    held_usd: usd(),
    left_usd: usd().nullable(),
    overshoot_usd: usd().meta({ description: "By how much calls under way may outgrow what they hold." }),
    state: z.enum(["ok", "warned", "exhausted"]),
    resets_at: moment().nullable(),
  })
  .meta({ id: "Budget" });

export const BudgetListSchema = z
  .object({
    unknown_price: z.enum(["deny", "allow"]),
    on_refusal: z.enum(["cheaper", "fail"]),
    at_cap: z.enum(["finish", "cut"]),
    estimate: z.enum(["p95", "worst"]),
    hold_ms: count(),
    budgets: z.array(BudgetSchema),
    truncated: z.boolean().meta({ description: "More have spent than are listed." }),
  })
  .meta({ id: "BudgetList" });
export type BudgetList = z.infer<typeof BudgetListSchema>;

export const SpendQuerySchema = z.strictObject({
  scope: z.string().min(1).max(400).default("global").meta({
    description: "`global`, `tenant:NAME`, `user:TENANT/NAME`, `run:ID` or `task:ID`.",
  }),
  since: z
    .string()
    .max(64)
    .optional()
    .meta({ description: "A duration back from now (`24h`), or a moment." }),
  until: z.string().max(64).optional(),
});

const sums = {
  calls: count().meta({ description: "Attempts at models, hedges and failed ones included." }),
  spent_usd: usd(),
  estimated_usd: usd(),
  presumed_usd: usd(),
  held_usd: usd(),
  unpriced_calls: count(),
  input_tokens: count(),
  output_tokens: count(),
};

export const SpendSchema = z
  .object({
    scope: z.string(),
    since: moment().nullable(),
    until: moment().nullable(),
    total: z.object(sums),
    by_model: z.array(z.object({ model: z.string(), stage: z.string(), ...sums })),
  })
  .meta({ id: "Spend" });
export type Spend = z.infer<typeof SpendSchema>;
