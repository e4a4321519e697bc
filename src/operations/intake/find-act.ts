import { fail, ok, type Result } from "../../domain/errors.ts";
import type { Intent } from "../../domain/intent.ts";
import type { RunSummary } from "../../domain/run.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";
import { findRun, unknownRun } from "../runs/find-run.ts";

/** A run that was started by a request, with how that was understood. */
export interface FoundAct {
  readonly run: RunSummary;
  readonly intent: Intent;
}

/** Reads the run after its first fact, so that its status is not older than needed. */
export function findAct(parts: Pick<Parts, "reader">, id: string): Promise<Result<FoundAct>> {
  return asResult(async () => {
    const facts = await parts.reader.factsOf(id, { after: 0, limit: 1 });
    const [queued] = facts ?? [];
    if (queued?.kind !== "run_queued") return unknownRun(id);
    const { intent } = queued.request;
    if (intent === undefined) {
      return fail("not_found", `Run ${id} was not started by /v1/act; it is at /runs/${id}.`, { run: id });
    }
    const run = await findRun(parts, id);
    return run.ok ? ok({ run: run.value, intent }) : run;
  });
}
