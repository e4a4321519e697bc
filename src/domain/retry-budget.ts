/**
 * How many retries a process may make beside its first attempts, so that an outage is not multiplied: each first
 * attempt earns a share of a retry, and a few are there without any, so that little work may fail too.
 */
export interface RetryBudgetRules {
  /** Retries per first attempt. */
  readonly share: number;
  /** Retries that are there at the beginning, and come back by themselves each minute. */
  readonly floor: number;
}

export const RETRY_BUDGET = {
  /** Retries that may be saved up by work that did not fail. */
  most: 100,
  /** A retry that would have to wait longer for its turn is not made. */
  longestDelayMs: 300_000,
} as const;

export const DEFAULT_RETRY_BUDGET: RetryBudgetRules = { share: 0.2, floor: 10 };

/** What is left; below zero, retries have been promised for later. */
export interface RetryBudget {
  readonly tokens: number;
  /** ms since the epoch. */
  readonly at: number;
}

export type RetryGrant =
  | { readonly kind: "now" }
  /** The budget is spent: so much later than now, when it has recovered. */
  | { readonly kind: "later"; readonly ms: number }
  | { readonly kind: "none" };

const MINUTE_MS = 60_000;
/** Many small shares that add up to one are one. */
const WHOLE = 1 - 1e-9;

export function newRetryBudget(rules: RetryBudgetRules, now: number): RetryBudget {
  return { tokens: rules.floor, at: now };
}

/** After a first attempt has begun. */
export function earnRetry(budget: RetryBudget, rules: RetryBudgetRules, now: number): RetryBudget {
  const { tokens, at } = refilled(budget, rules, now);
  return { tokens: Math.min(mostOf(rules), tokens + rules.share), at };
}

/** Whether a retry may be made, and the budget if it is. */
export function askRetry(
  budget: RetryBudget,
  rules: RetryBudgetRules,
  now: number,
): { readonly grant: RetryGrant; readonly spent: RetryBudget } {
  const { tokens, at } = refilled(budget, rules, now);
  const spent = { tokens: tokens - 1, at };
  if (tokens >= WHOLE) return { grant: { kind: "now" }, spent };
  const ms = rules.floor > 0 ? Math.ceil(((1 - tokens) * MINUTE_MS) / rules.floor) : Number.POSITIVE_INFINITY;
  return { grant: ms <= RETRY_BUDGET.longestDelayMs ? { kind: "later", ms } : { kind: "none" }, spent };
}

/** Of two budgets, what both allow. */
export function stricter(a: RetryGrant, b: RetryGrant): RetryGrant {
  if (a.kind === "none" || b.kind === "none") return { kind: "none" };
  if (a.kind === "later" && b.kind === "later") return a.ms >= b.ms ? a : b;
  return a.kind === "later" ? a : b;
}

function mostOf(rules: RetryBudgetRules): number {
  return Math.max(RETRY_BUDGET.most, rules.floor);
}

/** A clock that jumps back gives nothing and takes nothing. */
function refilled(budget: RetryBudget, rules: RetryBudgetRules, now: number): RetryBudget {
  const passed = Math.max(0, now - budget.at);
  // What comes back by itself does not pile up: only work saves up more than the floor.
  const ceiling = Math.max(budget.tokens, rules.floor);
  return { tokens: Math.min(ceiling, budget.tokens + (passed * rules.floor) / MINUTE_MS), at: now };
}
