import { midnight, utcDay, utcMonth } from "./calendar.ts";
import { type Failure, failure } from "./errors.ts";
import { formatUsd } from "./money.ts";

/** Who may have a budget, the narrowest first: a refusal names the narrowest that is used up. */
export const BUDGET_SCOPES = ["run", "task", "user", "tenant", "global"] as const;
export type BudgetScope = (typeof BUDGET_SCOPES)[number];

/** How long spending counts, in UTC's calendar; `total` for ever. */
export const BUDGET_WINDOWS = ["total", "day", "month"] as const;
export type BudgetWindow = (typeof BUDGET_WINDOWS)[number];

/** What may be spent, as configured. At least one of the caps is there. */
export interface Budget {
  readonly scope: BudgetScope;
  /** Whose it is; `null`: each of the scope has one like it. A user is `tenant/user`. */
  readonly name: string | null;
  readonly window: BudgetWindow;
  /** Only calls to these count: `provider/model`, `provider/*`; `null` for all. */
  readonly models: string | null;
  /** Micro-dollars; nothing is sent that might go beyond. */
  readonly hardMicros: number | null;
  /** Micro-dollars; said once when it is crossed. */
  readonly softMicros: number | null;
}

/** How the gateway keeps budgets. */
export interface BudgetSettings {
  readonly budgets: readonly Budget[];
  /** What is done with a model of unknown price where a hard cap holds. */
  readonly unknownPrice: "deny" | "allow";
  /** When a candidate does not fit: ask a cheaper one, or fail. */
  readonly onRefusal: "cheaper" | "fail";
  /** When a running answer outgrows what can be reserved: let it finish, or cut it off. */
  readonly atCap: "finish" | "cut";
  /** Output tokens that are reserved: what 95 of 100 calls used, or all that the call may use. */
  readonly estimate: "p95" | "worst";
  /** ms after which a hold that nobody renews is given up. */
  readonly holdMs: number;
  /** ms for which each call's own entry is kept, and accounts of past windows and of runs that rest. */
  readonly keepMs: number;
}

/** Without a budgets file: nothing is limited but runs that bring a budget of their own. */
export const NO_BUDGETS: BudgetSettings = {
  budgets: [],
  unknownPrice: "deny",
  onRefusal: "cheaper",
  atCap: "finish",
  estimate: "p95",
  holdMs: 60_000,
  keepMs: 90 * 86_400_000,
};

/** Who pays for a call. */
export interface Payer {
  readonly tenant: string | null;
  readonly user: string | null;
  /** The run and those it was started from, the first of them first; each with the budget it was given. */
  readonly runs: readonly { readonly id: string; readonly budgetMicros: number | null }[];
}

export const NOBODY: Payer = { tenant: null, user: null, runs: [] };

/** A budget as it applies to one call: `name` is never absent any more. */
export interface Allowance extends Budget {
  readonly name: string;
}

/** Share of a run's own budget at which it is told. */
const WARN_AT = 0.8;
const EVERYONE = "*";

/** Whose accounts a call is booked on, by scope. */
function namesOf(scope: BudgetScope, payer: Payer): readonly string[] {
  const [root] = payer.runs;
  switch (scope) {
    case "run":
      return payer.runs.map((run) => run.id);
    case "task":
      return root === undefined ? [] : [root.id];
    case "user":
      return payer.user === null ? [] : [userName(payer.tenant, payer.user)];
    case "tenant":
      return payer.tenant === null ? [] : [payer.tenant];
    case "global":
      return [EVERYONE];
  }
}

/** A user's name is its tenant's business: the same name elsewhere is somebody else. */
export function userName(tenant: string | null, user: string): string {
  return `${tenant ?? ""}/${user}`;
}

export function matchesModel(pattern: string | null, model: string): boolean {
  if (pattern === null) return true;
  return pattern.endsWith("*") ? model.startsWith(pattern.slice(0, -1)) : pattern === model;
}

/** Of two caps the one that holds; `null` is none. */
export function tighter(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other);
}

/**
 * Every budget that a call to `model` (`provider/model`) must keep, the narrowest scope first. One that names somebody
 * goes before the one of its kind for each; what a run was given and what is configured hold both.
 */
export function allowancesFor(budgets: readonly Budget[], payer: Payer, model: string): readonly Allowance[] {
  const found = new Map<string, Allowance>();
  const add = (allowance: Allowance) => {
    const key = accountName(allowance);
    const other = found.get(key);
    const hardMicros = tighter(allowance.hardMicros, other?.hardMicros ?? null);
    const softMicros = tighter(allowance.softMicros, other?.softMicros ?? null);
    found.set(key, { ...allowance, hardMicros, softMicros });
  };
  for (const scope of BUDGET_SCOPES) {
    const ofScope = budgets.filter((one) => one.scope === scope && matchesModel(one.models, model));
    for (const name of namesOf(scope, payer)) {
      const own = scope === "run" ? payer.runs.find((run) => run.id === name)?.budgetMicros : null;
      if (own !== null && own !== undefined) add(ownBudget(name, own));
      const named = ofScope.filter((one) => one.name === name);
      const each = ofScope.filter((one) => one.name === null && !named.some((other) => sameKind(one, other)));
      for (const budget of [...named, ...each]) add({ ...budget, name });
    }
  }
  return [...found.values()];
}

function sameKind(one: Budget, other: Budget): boolean {
  return one.window === other.window && one.models === other.models;
}

function ownBudget(run: string, micros: number): Allowance {
  return {
    scope: "run",
    name: run,
    window: "total",
    models: null,
    hardMicros: micros,
    softMicros: Math.floor(micros * WARN_AT),
  };
}

/** Without the time: the same for every window of a budget. */
function accountName({ scope, name, window, models }: Allowance): string {
  return `${scope}:${encodeURIComponent(name.toWellFormed())}|${window}|${encodeURIComponent(models ?? EVERYONE)}`;
}

/**
 * The account that is booked on at `now`. Each window has its own, so a reset is nothing but another account: what was
 * admitted before stays where it was admitted, and nothing is ever set back to zero.
 */
export function accountKey(allowance: Allowance, now: number): string {
  const { window } = allowance;
  const name = accountName(allowance);
  if (window === "total") return name;
  return `${name}|${(window === "day" ? utcDay(now) : utcMonth(now)).name}`;
}

/** ms since the epoch when its window ends; `null` for never. */
export function resetOf({ window }: Pick<Budget, "window">, now: number): number | null {
  if (window === "total") return null;
  return (window === "day" ? utcDay(now) : utcMonth(now)).endsAt;
}

/** ms since the epoch when its window began; 0 for a budget without one. */
export function startOf({ window }: Pick<Budget, "window">, now: number): number {
  if (window === "total") return 0;
  return (window === "day" ? utcDay(now) : utcMonth(now)).startsAt;
}

/** What an account's key says: whose it is, and of which window. */
export interface AccountName {
  readonly scope: BudgetScope;
  readonly name: string;
  readonly window: BudgetWindow;
  readonly models: string | null;
}

/** `null` for a key that is not ours, or of a window that is not the one of `now`. */
export function readAccountKey(key: string, now: number): AccountName | null {
  const [whose = "", window = "", models = ""] = key.split("|");
  const colon = whose.indexOf(":");
  const scope = BUDGET_SCOPES.find((one) => one === whose.slice(0, colon));
  const known = BUDGET_WINDOWS.find((one) => one === window);
  if (scope === undefined || known === undefined) return null;
  const name = decodeURIComponent(whose.slice(colon + 1));
  const pattern = decodeURIComponent(models);
  const read = { scope, name, window: known, models: pattern === EVERYONE ? null : pattern };
  const current = accountKey({ ...read, hardMicros: null, softMicros: null }, now);
  return current === key ? read : null;
}

/** `the day's budget of tenant acme for anthropic/*`. */
export function describeAllowance({ scope, name, window, models }: Allowance): string {
  const when = window === "total" ? "" : `${window}'s `;
  const whose = scope === "global" ? "everybody" : `${scope} ${name}`;
  return `the ${when}budget of ${whose}${models === null ? "" : ` for ${models}`}`;
}

/** Why a call was not sent. Micro-dollars; `resetsAt` in ms since the epoch. */
export interface Refusal {
  readonly allowance: Allowance;
  readonly limitMicros: number;
  readonly spentMicros: number;
  readonly heldMicros: number;
  readonly neededMicros: number;
  readonly resetsAt: number | null;
}

/** `budget_exhausted`, with everything that somebody needs to know to do something about it. */
export function budgetExhausted(refusal: Refusal, call: string): Failure {
  const { allowance, limitMicros, spentMicros, heldMicros, neededMicros, resetsAt } = refusal;
  const { scope, name, window, models } = allowance;
  const figures = `limit ${formatUsd(limitMicros)}, spent ${formatUsd(spentMicros)}, held by calls under way ${formatUsd(heldMicros)}`;
  const reset = resetsAt === null ? "it never resets" : `it resets at ${midnight(resetsAt)}`;
  const message = `${describeAllowance(allowance)} has no room for ${call}, which may cost ${formatUsd(neededMicros)}: ${figures}; ${reset}`;
  return failure("budget_exhausted", message, {
    scope,
    name,
    window,
    models,
    limit_micros: limitMicros,
    spent_micros: spentMicros,
    held_micros: heldMicros,
    needed_micros: neededMicros,
    resets_at: resetsAt === null ? null : midnight(resetsAt),
  });
}
