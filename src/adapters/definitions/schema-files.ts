import type { Action } from "../../contracts/action.ts";
import { agentFileSchema, workflowFileSchema } from "./editor-schema.ts";

/** The schemas for editors as files of the package: path (with `/`) → content. */
export function schemaFiles(
  actions: readonly Action[],
  toolNames: readonly string[],
): Readonly<Record<string, string>> {
  const text = (schema: object) => `${JSON.stringify(schema, null, 2)}\n`;
  return {
    "schemas/agent.schema.json": text(agentFileSchema(toolNames)),
    "schemas/workflow.schema.json": text(workflowFileSchema(actions)),
  };
}
