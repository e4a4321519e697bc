import type { Diagnostic } from "../../contracts/definitions.ts";
import type { StoredWorkflow } from "../../contracts/workflow-store.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";
import { validateWorkflow, type WorkflowSource, withDiagnostics } from "./validate-workflow.ts";

export interface UploadedWorkflow {
  readonly stored: StoredWorkflow;
  /** False when exactly this definition was the newest of its name already. */
  readonly created: boolean;
  readonly warnings: readonly Diagnostic[];
}

/** Paths beside `/workflows/{name}` that a name must not hide. */
const RESERVED = new Set(["schema", "validate"]);

/**
 * Saves a workflow as the newest of its name; earlier versions stay for the runs that are pinned to them.
 * The names of built-in and project workflows are taken: their files are the truth, and would silently win at the next start.
 */
export function uploadWorkflow(
  parts: Pick<Parts, "definitions" | "workflows" | "clock">,
  upload: WorkflowSource,
): Promise<Result<UploadedWorkflow>> {
  return asResult(async () => {
    const parsed = validateWorkflow(parts, upload);
    if (!parsed.ok) return withDiagnostics(parsed.failure, parsed.diagnostics);
    const { value: workflow, warnings } = parsed;
    if (RESERVED.has(workflow.name)) {
      return fail("conflict", `The name ${JSON.stringify(workflow.name)} is reserved; choose another one.`);
    }
    const latest = await parts.workflows.latest(workflow.name);
    if (latest?.workflow.hash === workflow.hash) return ok({ stored: latest, created: false, warnings });
    if (latest && latest.origin !== "uploaded") return taken(latest);
    const stored: StoredWorkflow = {
      workflow,
      source: upload.source,
      origin: "uploaded",
      savedAt: parts.clock.now(),
    };
    await parts.workflows.save(stored);
    return ok({ stored, created: true, warnings });
  });
}

function taken(latest: StoredWorkflow): Result<UploadedWorkflow> {
  const { name, hash } = latest.workflow;
  const advice =
    latest.origin === "built-in"
      ? "it is built in: give your workflow another name."
      : "it comes from the project's own files: change it there, or give yours another name.";
  return fail("conflict", `The name ${JSON.stringify(name)} is taken; ${advice}`, {
    workflow: name,
    origin: latest.origin,
    hash,
  });
}
