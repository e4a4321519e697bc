import { ok, type Result } from "../../domain/errors.ts";
import type { Fact } from "../../domain/fact.ts";
import { hasRunEnded } from "../../domain/run.ts";
import { asResult } from "../as-result.ts";
import { pageLimit } from "../page-limit.ts";
import type { Parts } from "../parts.ts";
import { findRun, unknownRun } from "./find-run.ts";
import { shown } from "./shown.ts";

export interface EventPage {
  readonly facts: readonly Fact[];
  /** `after` of the next page: the last seq of this one, or the given one when there was nothing new. */
  readonly nextAfter: number;
  /** Nothing will ever follow this page. */
  readonly ended: boolean;
}

/** A page of a run's journal, oldest first. */
export function runEvents(
  parts: Pick<Parts, "reader" | "redactor">,
  query: { readonly run: string; readonly after: number; readonly limit?: number },
): Promise<Result<EventPage>> {
  return asResult(async () => {
    // The status is read before the facts: a run seen as ended has its whole journal.
    const run = await findRun(parts, query.run);
    if (!run.ok) return run;
    const limit = pageLimit(query.limit);
    const facts = await parts.reader.factsOf(query.run, { after: query.after, limit });
    if (facts === null) return unknownRun(query.run);
    const ended = hasRunEnded(run.value.status) && facts.length < limit;
    return ok({
      facts: facts.map((fact) => shown(parts, fact)),
      nextAfter: facts.at(-1)?.seq ?? query.after,
      ended,
    });
  });
}
