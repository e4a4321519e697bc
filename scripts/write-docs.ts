import { mkdir, writeFile } from "node:fs/promises";
import { cliDocs } from "./cli-docs.ts";
import { errorDocs } from "./error-docs.ts";
import { openApiDocument } from "./openapi-document.ts";
import { schemaDocuments } from "./schema-documents.ts";

/** Writes what is generated and checked in: `npm run docs`. A test fails when one of them is out of date. */
const root = new URL("../", import.meta.url);
await mkdir(new URL("docs/reference/", root), { recursive: true });
await writeFile(new URL("openapi.json", root), await openApiDocument());
await writeFile(new URL("docs/reference/errors.md", root), errorDocs());
await writeFile(new URL("docs/reference/cli.md", root), cliDocs());
await mkdir(new URL("schemas/", root), { recursive: true });
for (const [file, text] of Object.entries(schemaDocuments())) await writeFile(new URL(file, root), text);
