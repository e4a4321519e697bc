import type { BudgetSettings } from "../../../src/domain/budget.ts";

export type Store =
  | { readonly kind: "sqlite"; readonly path: string }
  | { readonly kind: "postgres"; readonly url: string };

/** What a paying process is told, as JSON on its command line. */
export interface PayerOrder {
  readonly name: string;
  readonly store: Store;
  readonly fake: string;
  readonly concurrency: number;
  readonly budgets: BudgetSettings;
}

/** Each has a model of its own name, so that the provider's books tell them apart. */
export const TENANTS = ["t0", "t1", "t2", "t3"] as const;

/** What a line of a payer's output says. */
export interface Tally {
  readonly ok: number;
  readonly refused: number;
  readonly failed: number;
  readonly aborted: number;
  readonly problems: number;
}
