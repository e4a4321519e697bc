import type { SharedHealth } from "../domain/shared-health.ts";

/**
 * Where the processes of one database tell one another how models are. Small, never waited for by a call, and worth
 * nothing after a while: an implementation may lose all of it with the database's machine. Rejects with a `FailureError`.
 */
export interface HealthBoard {
  /** What was changed last comes first; at most `LIMITS.sharedModels`. */
  read(): Promise<readonly SharedHealth[]>;
  /**
   * Writes each of these that still has the version that it says, or is not there (any more), and nothing of the others.
   * In their order: what was written, with its new version and time, or `null`.
   */
  swap(rows: readonly SharedHealth[]): Promise<readonly (SharedHealth | null)[]>;
  /**
   * The lease of the one probe of an open breaker, for `ms` by the database's clock: only of the phase that was seen, when
   * its time is over, and while nobody else holds it. `null` when it cannot be had.
   */
  lease(ask: {
    readonly model: string;
    readonly account: string;
    readonly phase: number;
    readonly by: string;
    readonly ms: number;
  }): Promise<SharedHealth | null>;
}
