import { builtInActions, TOOL_NAMES } from "../src/adapters/definitions/built-in.suite.ts";
import { schemaFiles } from "../src/adapters/definitions/schema-files.ts";

/** The JSON Schemas for editors: path → content. */
export function schemaDocuments(): Readonly<Record<string, string>> {
  return schemaFiles(builtInActions().list(), TOOL_NAMES);
}
