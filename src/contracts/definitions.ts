import type { AgentSpec } from "../domain/agent.ts";
import type { Failure } from "../domain/errors.ts";
import type { Workflow } from "../domain/workflow.ts";

/** A problem in a file, where an editor can jump to it. Lines and columns count from 1. */
export interface Diagnostic {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Dotted path inside the document, e.g. `steps[2].needs[0]`. */
  readonly path: string;
  readonly message: string;
  readonly expected?: string;
  /** The nearest valid name. */
  readonly suggestion?: string;
}

export type Parsed<T> =
  | { readonly ok: true; readonly value: T; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[]; readonly failure: Failure };

/** Files into definitions. Must not throw, whatever the text. */
export interface Definitions {
  parseWorkflow(source: string, file: string): Parsed<Workflow>;
  parseAgent(source: string, file: string): Parsed<AgentSpec>;
  /** JSON Schema of a workflow file, for editors. */
  workflowSchema(): object;
}
