import type { Actions } from "../../contracts/action.ts";
import type { Definitions, Parsed } from "../../contracts/definitions.ts";
import type { References } from "../../domain/template.ts";
import type { Expressions } from "../../domain/workflow.ts";
import { parseAgentFile } from "./agent-file.ts";
import { workflowFileSchema } from "./editor-schema.ts";
import { createWithCheck } from "./with-check.ts";
import { parseWorkflowFile, refused } from "./workflow-file.ts";

export interface DefinitionParts {
  readonly actions: Actions;
  readonly expressions: Expressions & References;
  /** Tools that an agent may name. */
  readonly toolNames: readonly string[];
}

/** Reads workflow and agent files. The actions are asked at each call, so that later ones are known too. */
export function createDefinitions(parts: DefinitionParts): Definitions {
  const withCheck = createWithCheck();
  return {
    parseWorkflow: (source, file) =>
      guarded(file, "invalid_workflow", () => parseWorkflowFile(source, file, { ...parts, withCheck })),
    parseAgent: (source, file) =>
      guarded(file, "invalid_agent", () => parseAgentFile(source, file, parts.toolNames)),
    workflowSchema: () => workflowFileSchema(parts.actions.list()),
  };
}

/** The contract says that nothing is thrown, whatever the text; what is thrown all the same is told with the file. */
function guarded<T>(
  file: string,
  code: "invalid_workflow" | "invalid_agent",
  parse: () => Parsed<T>,
): Parsed<T> {
  try {
    return parse();
  } catch (error) {
    const message = `the file cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    return refused([{ file, line: 1, column: 1, path: "", message }], code);
  }
}
