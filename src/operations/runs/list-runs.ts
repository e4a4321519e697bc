import type { RunFilter } from "../../contracts/run-store.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import type { RunSummary } from "../../domain/run.ts";
import { asResult } from "../as-result.ts";
import { pageLimit } from "../page-limit.ts";
import type { Parts } from "../parts.ts";

export interface RunPage {
  /** Newest first. */
  readonly runs: readonly RunSummary[];
  /** `after` of the next page; `null` when there is certainly none. */
  readonly nextAfter: string | null;
}

export function listRuns(
  parts: Pick<Parts, "reader">,
  query: { readonly filter: RunFilter; readonly after?: string; readonly limit?: number },
): Promise<Result<RunPage>> {
  return asResult(async () => {
    const limit = pageLimit(query.limit);
    const runs = await parts.reader.runs({ filter: query.filter, after: query.after ?? null, limit });
    if (query.after !== undefined && runs.length === 0 && !(await parts.reader.run(query.after))) {
      return fail("invalid_request", `after is ${JSON.stringify(query.after)}; expected the id of a run.`, {
        field: "after",
      });
    }
    return ok({ runs, nextAfter: runs.length < limit ? null : (runs.at(-1)?.id ?? null) });
  });
}
