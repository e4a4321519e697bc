import { FailureError, failure } from "../../../domain/errors.ts";
import type { Progress, Target } from "./ends.ts";
import { tablesAt } from "./tables.ts";

/** From where to where one transaction brings a copy. */
export interface Step {
  readonly from: Progress;
  readonly to: Progress;
}

export function movedOn(target: string): FailureError {
  return new FailureError(failure("conflict", `another process copies into ${target} at this moment`));
}

/** Rejects unless the database has this schema, and is empty or a half-done copy. */
export async function unmoved(target: Target, schema: number): Promise<void> {
  if (target.schema !== schema) {
    const message = `${target.name} has schema version ${target.schema}, and the source ${schema}; bring both to the same with \`agent-runner db migrate\`, or name a new database`;
    throw new FailureError(failure("store_outdated", message));
  }
  if ((await target.progress()) !== null) return;
  for (const table of tablesAt(schema)) {
    const rows = await target.count(table);
    if (rows === 0) continue;
    const message = `${target.name} is not empty: its table ${table.name} has ${rows} ${rows === 1 ? "row" : "rows"}`;
    throw new FailureError(failure("store_not_empty", message));
  }
}
