import {
  type Allowance,
  accountKey,
  type Budget,
  type BudgetScope,
  type BudgetSettings,
  readAccountKey,
  resetOf,
} from "../../domain/budget.ts";
import { ok, type Result } from "../../domain/errors.ts";
import { type Account, newAccount, usedMicros } from "../../domain/spend.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";

/** Accounts that are looked at for one scope, at most: the budgets of each of very many runs are not a page to read. */
const MAX_ACCOUNTS = 1_000;
const PAGE = 200;

/** A budget as it stands in its present window. Micro-dollars. */
export interface BudgetState {
  readonly scope: BudgetScope;
  /** `null`: the rule for each of the scope, of whom those who have spent are listed by name. */
  readonly name: string | null;
  readonly window: Budget["window"];
  readonly models: string | null;
  readonly hardMicros: number | null;
  readonly softMicros: number | null;
  readonly spentMicros: number;
  /** Part of what is spent that was taken for spent by calls whose process died. */
  readonly presumedMicros: number;
  readonly heldMicros: number;
  /** `null` where there is no hard cap. */
  readonly leftMicros: number | null;
  /** By how much calls under way may outgrow what they hold. */
  readonly overshootMicros: number;
  readonly state: "ok" | "warned" | "exhausted";
  readonly resetsAt: number | null;
}

export interface BudgetList {
  readonly settings: BudgetSettings;
  readonly budgets: readonly BudgetState[];
  /** More have spent than are listed. */
  readonly truncated: boolean;
}

/** Every configured budget with what was spent of it, as the database's clock has it. */
export function listBudgets(parts: Pick<Parts, "spend">): Promise<Result<BudgetList>> {
  return asResult(async () => {
    const { ledger } = parts.spend;
    const settings = parts.spend.settings();
    const now = await ledger.now();
    const named = settings.budgets.filter((one) => one.name !== null || one.scope === "global");
    const each = settings.budgets.filter((one) => one.name === null && one.scope !== "global");
    const allowances = named.map((one): Allowance => ({ ...one, name: one.name ?? "*" }));
    const accounts = await ledger.accounts(allowances.map((one) => accountKey(one, now)));
    const byKey = new Map(accounts.map((account) => [account.key, account]));
    const states = allowances.map((one) => stateOf(one, { byKey, now }));
    const found = await Promise.all(
      [...new Set(each.map((one) => one.scope))].map((scope) => eachOf(parts, { scope, settings, now })),
    );
    const rules = each.map((one) => ({
      ...stateOf({ ...one, name: "" }, { byKey: new Map(), now }),
      name: null,
    }));
    return ok({
      settings,
      budgets: [...states, ...rules, ...found.flatMap(({ budgets }) => budgets)],
      truncated: found.some((one) => one.truncated),
    });
  });
}

async function eachOf(
  parts: Pick<Parts, "spend">,
  of: { readonly scope: BudgetScope; readonly settings: BudgetSettings; readonly now: number },
): Promise<Pick<BudgetList, "budgets" | "truncated">> {
  const { scope, settings, now } = of;
  const budgets: BudgetState[] = [];
  let after: string | null = null;
  for (let seen = 0; seen < MAX_ACCOUNTS; seen += PAGE) {
    const page: readonly Account[] = await parts.spend.ledger.accountsFrom({
      prefix: `${scope}:`,
      after,
      limit: PAGE,
    });
    for (const account of page) {
      const allowance = ruleOf(account.key, settings.budgets, now);
      if (allowance === null) continue;
      budgets.push(stateOf(allowance, { byKey: new Map([[account.key, account]]), now }));
    }
    if (page.length < PAGE) return { budgets, truncated: false };
    after = page.at(-1)?.key ?? null;
  }
  return { budgets, truncated: true };
}

/** The rule for each that an account is kept for; `null` when it has a budget by name, another window or none. */
function ruleOf(key: string, budgets: readonly Budget[], now: number): Allowance | null {
  const read = readAccountKey(key, now);
  if (read === null) return null;
  const kin = budgets.filter(
    (one) => one.scope === read.scope && one.window === read.window && one.models === read.models,
  );
  const rule = kin.find((one) => one.name === null);
  if (rule === undefined || kin.some((one) => one.name === read.name)) return null;
  return { ...rule, name: read.name };
}

function stateOf(
  allowance: Allowance,
  of: { readonly byKey: ReadonlyMap<string, Account>; readonly now: number },
): BudgetState {
  const key = accountKey(allowance, of.now);
  const account = of.byKey.get(key) ?? newAccount(key);
  const { scope, name, window, models, hardMicros, softMicros } = allowance;
  const spentMicros = account.committed + account.presumed;
  const leftMicros = hardMicros === null ? null : Math.max(0, hardMicros - usedMicros(account));
  const warned = account.warned || (softMicros !== null && spentMicros >= softMicros);
  const exhausted = hardMicros !== null && spentMicros >= hardMicros;
  return {
    scope,
    name,
    window,
    models,
    hardMicros,
    softMicros,
    spentMicros,
    presumedMicros: account.presumed,
    heldMicros: account.held,
    leftMicros,
    overshootMicros: account.risk,
    state: exhausted ? "exhausted" : warned ? "warned" : "ok",
    resetsAt: resetOf(allowance, of.now),
  };
}
