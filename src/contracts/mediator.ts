import type { Payer } from "../domain/budget.ts";
import type { TaskSpec } from "../domain/task.ts";
import type { CallRecord } from "./model-gateway.ts";

/** What was made of a text, by whom, and, when it was by rules although a model is configured, why. */
export interface Mediated<T> {
  readonly value: T;
  readonly by: "model" | "rules";
  /** `provider/model` of the call that was made, whatever came of it; absent when none was. */
  readonly model?: string;
  /** Why no model's answer was used. */
  readonly reason?: string;
  readonly record?: CallRecord;
}

export interface MediatorOptions {
  readonly signal: AbortSignal;
  /** Whose budgets hold for a model's call; absent: only everybody's. */
  readonly payer?: Payer;
}

/**
 * Between people's words and the house's: a model does it where one is configured, rules do when it is absent, slow or
 * wrong. Never rejects and never takes longer than its time limit; after an abort the rules answer at once.
 */
export interface Mediator {
  /** Whether a model is configured; if not, there is nothing that would be worth recording. */
  readonly hasModel: boolean;
  readTask(text: string, options: MediatorOptions): Promise<Mediated<TaskSpec>>;
  /** At most about `maxWords` words. */
  summarise(
    text: string,
    options: MediatorOptions & { readonly maxWords: number },
  ): Promise<Mediated<string>>;
}
