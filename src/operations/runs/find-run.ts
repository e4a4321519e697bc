import { fail, ok, type Result } from "../../domain/errors.ts";
import type { RunSummary } from "../../domain/run.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";

export function findRun(parts: Pick<Parts, "reader">, id: string): Promise<Result<RunSummary>> {
  return asResult(async () => {
    const run = await parts.reader.run(id);
    return run ? ok(run) : unknownRun(id);
  });
}

export function unknownRun<T>(id: string): Result<T> {
  return fail("not_found", `There is no run ${JSON.stringify(id)}.`, { run: id });
}
