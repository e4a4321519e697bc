import type { LiveEvent } from "../../contracts/live.ts";
import { ok, type Result } from "../../domain/errors.ts";
import type { Fact } from "../../domain/fact.ts";
import { LIMITS } from "../../domain/limits.ts";
import { hasRunEnded } from "../../domain/run.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";
import { createBell } from "./bell.ts";
import { findRun } from "./find-run.ts";
import { shown } from "./shown.ts";

export type RunEvent =
  | { readonly kind: "fact"; readonly fact: Fact }
  /** Seen now or never: may be missing when the reader is slow. */
  | { readonly kind: "live"; readonly event: LiveEvent };

export interface Follow {
  readonly run: string;
  /** Facts with a greater seq are told; 0 for all. */
  readonly after: number;
  readonly live: boolean;
  readonly signal: AbortSignal;
}

type Needs = Pick<Parts, "clock" | "store" | "reader" | "live" | "redactor">;

/**
 * The facts of a run as they come, each once and in order, until its end or `signal`. A hint of the store wakes it
 * at once; a lost hint costs `LIMITS.followPollMs`, never a fact. A slow reader holds nothing up: facts wait in the store.
 */
export function followRun(parts: Needs, follow: Follow): Promise<Result<AsyncGenerator<RunEvent>>> {
  return asResult(async () => {
    const run = await findRun(parts, follow.run);
    return run.ok ? ok(tail(parts, follow)) : run;
  });
}

async function* tail(parts: Needs, { run, after, live, signal }: Follow): AsyncGenerator<RunEvent> {
  const bell = createBell(parts.clock, signal);
  const fresh: LiveEvent[] = [];
  const unwatch = parts.store.watch((hint) => {
    if (hint.kind === "facts" && hint.run === run) bell.ring();
  });
  const unsubscribe = live
    ? parts.live.subscribe(run, (event) => {
        if (fresh.length >= LIMITS.liveBuffer) fresh.shift();
        fresh.push(event);
        bell.ring();
      })
    : () => {};
  try {
    let seq = after;
    let mayHaveEnded = true;
    while (!signal.aborted) {
      // Read before the facts: a run seen as ended has its whole journal.
      const status = mayHaveEnded ? (await parts.reader.run(run))?.status : undefined;
      const facts = (await parts.reader.factsOf(run, { after: seq, limit: LIMITS.pageSize })) ?? [];
      for (const fact of facts) {
        if (signal.aborted) return;
        yield { kind: "fact", fact: shown(parts, fact) };
        seq = fact.seq;
        if (isEnd(fact)) return;
      }
      for (let event = fresh.shift(); event && !signal.aborted; event = fresh.shift()) {
        yield { kind: "live", event: shown(parts, event) };
      }
      if (facts.length > 0) continue;
      if (mayHaveEnded && (status === undefined || hasRunEnded(status))) return;
      // The end is a fact like any other; only a reader that asked for facts beyond it must be told by the status.
      mayHaveEnded = (await bell.wait(LIMITS.followPollMs)) === "late";
    }
  } finally {
    unwatch();
    unsubscribe();
    bell.close();
  }
}

function isEnd(fact: Fact): boolean {
  return fact.kind === "run_completed" || fact.kind === "run_failed" || fact.kind === "run_canceled";
}
