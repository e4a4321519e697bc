import { estimateWait } from "../../domain/admission.ts";
import { FailureError } from "../../domain/errors.ts";
import type { RunSummary } from "../../domain/run.ts";
import type { Parts } from "../parts.ts";

/** How the queue looks to somebody who asks for a run. */
export interface Glance {
  /** ms since the epoch. */
  readonly now: number;
  /** At most about so long until a queued run begins; `null` for others, and where nobody can tell. */
  waitMs(run: Pick<RunSummary, "status" | "tenant" | "priority">): number | null;
  /** Live workers; `null` where nobody can tell. */
  readonly workers: number | null;
}

/** Never rejects for a store that does not answer: what is asked for is the run. */
export async function glance(parts: Pick<Parts, "desk" | "clock">): Promise<Glance> {
  const now = parts.clock.now();
  try {
    const { load, store } = await parts.desk.load();
    const rules = parts.desk.rules();
    return {
      now,
      waitMs: (run) => (run.status === "queued" ? estimateWait(rules, load, run) : null),
      workers: store.workers,
    };
  } catch (error) {
    if (!(error instanceof FailureError)) throw error;
    return { now, waitMs: () => null, workers: null };
  }
}
