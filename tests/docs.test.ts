import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { cliDocs } from "../scripts/cli-docs.ts";
import { errorDocs } from "../scripts/error-docs.ts";
import { openApiDocument } from "../scripts/openapi-document.ts";
import { schemaDocuments } from "../scripts/schema-documents.ts";

const root = new URL("../", import.meta.url);
const read = async (path: string) => (await readFile(new URL(path, root), "utf8")).replaceAll("\r\n", "\n");

describe("generated documents are up to date (npm run docs)", () => {
  it("openapi.json", async () => {
    expect(await read("openapi.json")).toBe(await openApiDocument());
  });

  it("docs/reference/errors.md", async () => {
    expect(await read("docs/reference/errors.md")).toBe(errorDocs());
  });

  it("docs/reference/cli.md", async () => {
    expect(await read("docs/reference/cli.md")).toBe(cliDocs());
  });

  it.each(Object.entries(schemaDocuments()))("%s", async (file, text) => {
    expect(await read(file)).toBe(text);
  });
});

describe("the OpenAPI document", () => {
  it("names every operation once and refers only to schemas it has", async () => {
    const text = await openApiDocument();
    const document = JSON.parse(text);
    const operations = Object.values(document.paths as Record<string, object>).flatMap(Object.values);
    const ids = operations.map((operation) => operation.operationId);
    expect(document.openapi).toBe("3.1.0");
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).not.toContain(undefined);
    const refs = [...text.matchAll(/"\$ref": "#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]);
    const names = Object.keys(document.components.schemas);
    expect([...new Set(refs)].sort()).toEqual([...names].sort());
    expect(names.filter((name) => name.endsWith("Input"))).toEqual([]);
  });
});
