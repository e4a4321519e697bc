import { builtInActions, TOOL_NAMES } from "../src/adapters/definitions/built-in.suite.ts";
import { schemaFiles } from "../src/adapters/definitions/schema-files.ts";
import { gatesSchema } from "../src/adapters/gates/gates-file.ts";

/** The JSON Schemas for editors: path → content. */
export function schemaDocuments(): Readonly<Record<string, string>> {
  return {
    ...schemaFiles(builtInActions().list(), TOOL_NAMES),
    "schemas/gates.schema.json": `${JSON.stringify(gatesSchema(), null, 2)}\n`,
  };
}
