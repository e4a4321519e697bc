// Writes schemas/*.json for editors: node scripts/write-schemas.ts
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { packageRoot } from "../src/adapters/definitions/library.ts";
import { schemaFiles } from "../src/adapters/definitions/schema-files.ts";
import { stubActions, TOOL_NAMES } from "../src/adapters/definitions/stub-actions.suite.ts";

for (const [file, text] of Object.entries(schemaFiles(stubActions().list(), TOOL_NAMES))) {
  const target = path.join(packageRoot(), file);
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, text);
}
