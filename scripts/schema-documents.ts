import { budgetsSchema } from "../src/adapters/definitions/budgets-file.ts";
import { builtInActions, TOOL_NAMES } from "../src/adapters/definitions/built-in.suite.ts";
import { schemaFiles } from "../src/adapters/definitions/schema-files.ts";
import { gatesSchema } from "../src/adapters/gates/gates-file.ts";

/** The JSON Schemas for editors: path → content. */
export function schemaDocuments(): Readonly<Record<string, string>> {
  return {
    ...schemaFiles(builtInActions().list(), TOOL_NAMES),
    "schemas/budgets.schema.json": `${JSON.stringify(budgetsSchema(), null, 2)}\n`,
    "schemas/gates.schema.json": `${JSON.stringify(gatesSchema(), null, 2)}\n`,
  };
}
