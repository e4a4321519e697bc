export interface Backoff {
  readonly initialMs: number;
  readonly factor: number;
  readonly maxMs: number;
}

/**
 * Exponential backoff with full jitter: uniform in [0, min(max, initial · factor^(attempt−1))].
 * `attempt` is the attempt that failed, counted from 1; `random` is uniform in [0, 1).
 */
export function backoffMs(backoff: Backoff, attempt: number, random: number): number {
  const ceiling = Math.min(backoff.maxMs, backoff.initialMs * backoff.factor ** (attempt - 1));
  return Math.floor(random * ceiling);
}
