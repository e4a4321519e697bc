import type { StoredWorkflow } from "../../contracts/workflow-store.ts";
import { ok, type Result } from "../../domain/errors.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";

/** The newest of each name, by name. */
export function listWorkflows(parts: Pick<Parts, "workflows">): Promise<Result<readonly StoredWorkflow[]>> {
  return asResult(async () => ok(await parts.workflows.list()));
}
