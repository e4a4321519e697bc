import { readFile, writeFile } from "node:fs/promises";
import { expect, it } from "vitest";
import type { JsonObject } from "../../base/json.ts";
import type { Tool } from "../../contracts/tool.ts";
import { BUILT_IN_TOOLS } from "./tool-box.ts";

const FILE = new URL("../../../docs/reference/tools.md", import.meta.url);
const [BEGIN, END] = ["<!-- tools: begin -->", "<!-- tools: end -->"];

function describeTool(tool: Tool): string {
  const properties = Object.entries(tool.input.properties as Readonly<Record<string, JsonObject>>);
  const required = (tool.input.required ?? []) as readonly string[];
  const rows = properties.map(([name, field]) => {
    const type = Array.isArray(field.enum) ? field.enum.join(" or ") : String(field.type);
    return `| \`${name}\` | ${type} | ${required.includes(name) ? "yes" : "no"} | ${String(field.description)} |`;
  });
  const inputs =
    rows.length === 0
      ? ["No inputs."]
      : ["| Input | Type | Required | Meaning |", "|---|---|---|---|", ...rows];
  const facts = `Risk ${tool.risk} · ${tool.readOnly ? "reads only" : "changes things"} · after a crash: \`${tool.effect}\``;
  const [first = "", ...format] = tool.description.split("\n");
  const block = format.length === 0 ? [] : ["", "```text", ...format, "```"];
  return [`### \`${tool.name}\``, "", first, ...block, "", facts, "", ...inputs].join("\n");
}

// `UPDATE_DOCS=1 npx vitest run src/adapters/tools/reference.test.ts` writes the part between the marks.
it("docs/reference/tools.md says what the tools say of themselves", async () => {
  const page = await readFile(FILE, "utf8");
  const part = ["", ...BUILT_IN_TOOLS.map(describeTool), ""].join("\n\n");
  const [from, to] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
  expect(from).toBeGreaterThan(BEGIN.length);
  expect(to).toBeGreaterThan(from);
  const expected = page.slice(0, from) + part + page.slice(to);
  if (process.env.UPDATE_DOCS === "1") await writeFile(FILE, expected);
  else expect(page).toBe(expected);
});
