import { nearest } from "../../base/text.ts";
import type { StoredWorkflow } from "../../contracts/workflow-store.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";

const HASH = /^[0-9a-f]{64}$/;

/** By name (its newest version) or by hash. */
export function findWorkflow(parts: Pick<Parts, "workflows">, ref: string): Promise<Result<StoredWorkflow>> {
  return asResult(async () => {
    // A name may look like a hash; a hash that is known goes before it.
    const pinned = HASH.test(ref) ? await parts.workflows.byHash(ref) : null;
    const found = pinned ?? (await parts.workflows.latest(ref));
    if (found) return ok(found);
    const names = (await parts.workflows.list()).map((stored) => stored.workflow.name);
    const meant = nearest(ref.slice(0, 100), names);
    const hint = meant === null ? "" : ` Did you mean ${JSON.stringify(meant)}?`;
    return fail("not_found", `There is no workflow ${JSON.stringify(ref.slice(0, 200))}.${hint}`, {
      workflow: ref.slice(0, 200),
    });
  });
}
