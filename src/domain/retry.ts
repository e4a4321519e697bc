import { type Backoff, backoffMs } from "../base/backoff.ts";
import type { Failure } from "./errors.ts";

/** How often a step is attempted, apart from any retry that a model call does by itself. */
export interface RetryPolicy {
  /** Attempts in all, at least 1. */
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  /** Error codes to retry; absent means those that the failure itself calls retryable. */
  readonly retryable?: readonly string[];
}

export const NO_RETRY: RetryPolicy = {
  maxAttempts: 1,
  backoff: { initialMs: 1_000, factor: 2, maxMs: 60_000 },
};

/** When the attempt after a failed one may start, in ms since the epoch; `null` when there is none. */
export function retryAt(
  policy: RetryPolicy,
  failed: { readonly attempt: number; readonly failure: Failure },
  chance: { readonly now: number; readonly random: number },
): number | null {
  if (failed.attempt >= policy.maxAttempts) return null;
  const wanted = policy.retryable?.includes(failed.failure.code) ?? failed.failure.retryable;
  return wanted ? chance.now + backoffMs(policy.backoff, failed.attempt, chance.random) : null;
}
