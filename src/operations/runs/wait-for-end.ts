import type { Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import { hasRunEnded, type RunSummary } from "../../domain/run.ts";
import type { Parts } from "../parts.ts";
import { createBell } from "./bell.ts";
import { findRun } from "./find-run.ts";

export interface WaitForEnd {
  readonly run: string;
  /** At most so long, and never longer than `LIMITS.longPollMs`. */
  readonly ms: number;
  readonly signal: AbortSignal;
}

/** The run once it has ended, or as it is when the time is over or `signal` aborts. */
export async function waitForEnd(
  parts: Pick<Parts, "clock" | "store" | "reader">,
  { run, ms, signal }: WaitForEnd,
): Promise<Result<RunSummary>> {
  const until = parts.clock.now() + Math.min(ms, LIMITS.longPollMs);
  const bell = createBell(parts.clock, signal);
  const unwatch = parts.store.watch((hint) => {
    if (hint.kind === "facts" && hint.run === run) bell.ring();
  });
  try {
    for (;;) {
      const found = await findRun(parts, run);
      const left = until - parts.clock.now();
      if (!found.ok || hasRunEnded(found.value.status) || left <= 0 || signal.aborted) return found;
      // A lost hint costs a poll, never the answer.
      await bell.wait(Math.min(left, LIMITS.followPollMs));
    }
  } finally {
    unwatch();
    bell.close();
  }
}
