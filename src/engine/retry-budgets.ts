import {
  askRetry,
  earnRetry,
  newRetryBudget,
  type RetryBudget,
  type RetryBudgetRules,
  type RetryGrant,
  stricter,
} from "../domain/retry-budget.ts";

/** Workflows with a budget of their own; one that was not seen for long begins anew. */
const MOST_WORKFLOWS = 1_000;

/** The budgets of one worker process: one for all its work, and one for each workflow. */
export class RetryBudgets {
  readonly #rules: () => RetryBudgetRules;
  readonly #workflows = new Map<string, RetryBudget>();
  #all: RetryBudget | null = null;

  constructor(rules: () => RetryBudgetRules) {
    this.#rules = rules;
  }

  /** A step has begun its first attempt. */
  earn(workflow: string, now: number): void {
    const rules = this.#rules();
    this.#all = earnRetry(this.#allAt(now), rules, now);
    this.#keep(workflow, earnRetry(this.#of(workflow, now), rules, now));
  }

  /** What both budgets say of a retry; `spend` is called when it is made. */
  ask(workflow: string, now: number): { readonly grant: RetryGrant; readonly spend: () => void } {
    const rules = this.#rules();
    const all = askRetry(this.#allAt(now), rules, now);
    const own = askRetry(this.#of(workflow, now), rules, now);
    return {
      grant: stricter(all.grant, own.grant),
      spend: () => {
        this.#all = all.spent;
        this.#keep(workflow, own.spent);
      },
    };
  }

  #allAt(now: number): RetryBudget {
    return this.#all ?? newRetryBudget(this.#rules(), now);
  }

  #of(workflow: string, now: number): RetryBudget {
    return this.#workflows.get(workflow) ?? newRetryBudget(this.#rules(), now);
  }

  #keep(workflow: string, budget: RetryBudget): void {
    this.#workflows.delete(workflow);
    const oldest = this.#workflows.size >= MOST_WORKFLOWS ? this.#workflows.keys().next().value : undefined;
    if (oldest !== undefined) this.#workflows.delete(oldest);
    this.#workflows.set(workflow, budget);
  }
}
