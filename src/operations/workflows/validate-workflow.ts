import type { Diagnostic, Parsed } from "../../contracts/definitions.ts";
import { type Failure, failure, type Result } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { Workflow } from "../../domain/workflow.ts";
import type { Parts } from "../parts.ts";

export interface WorkflowSource {
  readonly source: string;
  /** Named in diagnostics. */
  readonly file?: string;
}

const DEFAULT_FILE = "workflow.yaml";

/** What a text is as a workflow: valid with warnings, or every problem with its line. Saves nothing. */
export function validateWorkflow(
  parts: Pick<Parts, "definitions">,
  { source, file = DEFAULT_FILE }: WorkflowSource,
): Parsed<Workflow> {
  const bytes = Buffer.byteLength(source);
  if (bytes > LIMITS.workflowBytes) {
    const message = `The workflow has ${bytes} bytes; at most ${LIMITS.workflowBytes} are taken.`;
    return {
      ok: false,
      failure: failure("payload_too_large", message, { bytes, limit: LIMITS.workflowBytes }),
      diagnostics: [{ file, line: 1, column: 1, path: "", message }],
    };
  }
  return parts.definitions.parseWorkflow(source, file);
}

const DIAGNOSTICS_SHOWN = 50;

/** The failure with its diagnostics in the details, the first of them. */
export function withDiagnostics<T>(value: Failure, diagnostics: readonly Diagnostic[]): Result<T> {
  const shown = diagnostics.slice(0, DIAGNOSTICS_SHOWN).map((one) => ({ ...one }));
  return { ok: false, failure: { ...value, details: { diagnostics: shown, total: diagnostics.length } } };
}
