import { basename, dirname } from "node:path";
import { createDefinitions } from "../adapters/definitions/definitions.ts";
import { createExpressions } from "../adapters/expressions/cel.ts";
import { parseGatesFile } from "../adapters/gates/gates-file.ts";
import { createToolBox } from "../adapters/tools/tool-box.ts";
import { isJsonObject, type Json } from "../base/json.ts";
import type { Definitions, Diagnostic, Parsed } from "../contracts/definitions.ts";
import type { Failure } from "../domain/errors.ts";
import type { StepParts } from "../engine/steps/parts.ts";
import { createActions } from "../engine/steps/registry.ts";

export interface CheckedFile {
  readonly kind: "workflow" | "agent" | "gates";
  readonly valid: boolean;
  /** `null` for gates, and for a file that is not valid. */
  readonly name: string | null;
  readonly diagnostics: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
}

/** A workflow, an agent or the gates of a repository, by the file's name; `null` for any other file. */
export function checkFile(file: string, source: string): CheckedFile | null {
  if (/\.md$/i.test(file)) return checked("agent", definitions().parseAgent(source, file));
  if (!/\.ya?ml$/i.test(file)) return null;
  const isGates = /^gates\.ya?ml$/i.test(basename(file)) && basename(dirname(file)) === ".agent-runner";
  return isGates ? checkGates(file, source) : checked("workflow", definitions().parseWorkflow(source, file));
}

/** Definitions alone: the actions are asked for their schemas and never performed, so they need no parts. */
function definitions(): Definitions {
  const noParts = new Proxy({} as StepParts, {
    get(_, part) {
      throw new Error(`an action asked for ${String(part)} while a file was only checked`);
    },
  });
  return createDefinitions({
    actions: createActions(noParts),
    expressions: createExpressions(),
    toolNames: createToolBox().names,
  });
}

function checked(kind: "workflow" | "agent", parsed: Parsed<{ readonly name: string }>): CheckedFile {
  if (parsed.ok)
    return { kind, valid: true, name: parsed.value.name, diagnostics: [], warnings: parsed.warnings };
  return { kind, valid: false, name: null, diagnostics: parsed.diagnostics, warnings: [] };
}

function checkGates(file: string, source: string): CheckedFile {
  const parsed = parseGatesFile(source);
  const diagnostics = parsed.ok ? [] : issuesOf(file, parsed.failure);
  return { kind: "gates", valid: parsed.ok, name: null, diagnostics, warnings: [] };
}

function issuesOf(file: string, { message, details }: Failure): readonly Diagnostic[] {
  const issues = isJsonObject(details) && Array.isArray(details.issues) ? details.issues : [];
  const found = issues.filter(isJsonObject).map((issue) => ({
    file,
    line: numberOf(issue.line),
    column: numberOf(issue.column),
    path: String(issue.path ?? ""),
    message: String(issue.message ?? ""),
  }));
  return found.length > 0 ? found : [{ file, line: 1, column: 1, path: "", message }];
}

function numberOf(value: Json | undefined): number {
  return typeof value === "number" ? value : 1;
}
