import type { Rate } from "./rate-limit.ts";
import { DEFAULT_RETRY_BUDGET, type RetryBudgetRules } from "./retry-budget.ts";

/** A priority class by its name, and what is promised of its runs unless they ask for something else. */
export interface ClassRules {
  readonly name: string;
  /** 0 is the most urgent. */
  readonly priority: number;
  /** From admission, in ms; `null` for none. */
  readonly startByMs: number | null;
  readonly deadlineMs: number | null;
  readonly targetMs: number | null;
}

export interface TenantRules {
  /** Share of the slots in relation to other tenants that have work. */
  readonly weight: number;
  /** Runs that may wait, and that may be at work, at a time; `null` for no limit of its own. */
  readonly maxQueued: number | null;
  readonly maxRunning: number | null;
  /** Of starting runs: by the whole tenant, and by each of its principals. */
  readonly rate: Rate | null;
  readonly principalRate: Rate | null;
}

/** What the limits file says, or the defaults where there is none. */
export interface AdmissionRules {
  /** The most urgent first; names and priorities are unique. */
  readonly classes: readonly ClassRules[];
  readonly defaultClass: string;
  /** Runs of all tenants that may wait. */
  readonly maxQueued: number;
  /** Of a tenant that has no rules of its own. */
  readonly anyTenant: TenantRules;
  readonly tenants: ReadonlyMap<string, TenantRules>;
  /** Of each worker process, and of each workflow in it. */
  readonly retryBudget: RetryBudgetRules;
}

const plain = (name: string, priority: number): ClassRules => ({
  name,
  priority,
  startByMs: null,
  deadlineMs: null,
  targetMs: null,
});

/** Bounded, and otherwise as if nobody had asked for rules: no promises, no rates. */
export const DEFAULT_RULES: AdmissionRules = {
  classes: [plain("urgent", 0), plain("high", 2), plain("normal", 5), plain("low", 7), plain("batch", 9)],
  defaultClass: "normal",
  maxQueued: 100_000,
  anyTenant: { weight: 1, maxQueued: 50_000, maxRunning: null, rate: null, principalRate: null },
  tenants: new Map(),
  retryBudget: DEFAULT_RETRY_BUDGET,
};

export function tenantRules(rules: AdmissionRules, tenant: string): TenantRules {
  return rules.tenants.get(tenant) ?? rules.anyTenant;
}

export function classNamed(rules: AdmissionRules, name: string): ClassRules | null {
  return rules.classes.find((one) => one.name === name) ?? null;
}

/** The class that a bare priority belongs to: the least urgent one that is at least as urgent, else the most urgent. */
export function classOf(rules: AdmissionRules, priority: number): string {
  const above = rules.classes.filter((one) => one.priority <= priority);
  return (above.at(-1) ?? rules.classes[0])?.name ?? rules.defaultClass;
}
