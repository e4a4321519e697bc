import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { createExpressions } from "../expressions/cel.ts";
import { AGENT_DEFAULTS } from "./agent-file.ts";
import { builtInActions, TOOL_NAMES } from "./built-in.suite.ts";
import { createDefinitions } from "./definitions.ts";
import { packageRoot } from "./library.ts";
import { formatDiagnostics } from "./source.ts";

const definitions = createDefinitions({
  actions: builtInActions(),
  expressions: createExpressions(),
  toolNames: TOOL_NAMES,
});
const page = async (name: string) =>
  (await readFile(path.join(packageRoot(), "docs/reference", name), "utf8")).replaceAll("\r\n", "\n");
const blocks = (text: string, language: string) =>
  [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter((block) => block[1] === language)
    .map((block) => block[2] ?? "");

function read(source: string) {
  const parsed = definitions.parseWorkflow(source, "tidy.yaml");
  if (!parsed.ok) throw new Error(formatDiagnostics(parsed.diagnostics, source));
  return parsed.value;
}

describe("docs/reference/workflows.md", () => {
  it("shows workflows that are accepted", async () => {
    const [whole, ...parts] = blocks(await page("workflows.md"), "yaml");
    read(whole ?? "");
    const head = 'name: w\nversion: "1"\ndescription: d\n';
    const steps = "steps:\n  - { id: plan, uses: noop }\n  - id: a\n    uses: noop\n    needs: plan\n";
    for (const part of parts) {
      if (part.startsWith("steps:")) read(`${head}${part}`);
      else if (/^(inputs|examples|on):/.test(part)) read(`${head}${part}${steps}`);
      else read(`${head}${steps}${part.replaceAll(/^/gm, "    ")}\n`);
    }
    expect(parts.length).toBeGreaterThan(3);
  });

  it("shows a mistake as it is told", async () => {
    const text = await page("workflows.md");
    const source = (blocks(text, "yaml")[0] ?? "").replace(
      "steps.tidy.outputs.outcome",
      "steps.tify.outputs.outcome",
    );
    const parsed = definitions.parseWorkflow(source, "tidy.yaml");
    expect(parsed.ok ? "" : formatDiagnostics(parsed.diagnostics, source)).toBe(blocks(text, "")[0]);
  });
});

describe("docs/reference/agents.md", () => {
  it("shows an agent that is accepted, and the true defaults", async () => {
    const text = await page("agents.md");
    const parsed = definitions.parseAgent(blocks(text, "markdown")[0] ?? "", "a.md");
    expect(parsed).toMatchObject({ ok: true, value: { name: "api_review", limits: { turns: 20 } } });
    const { turns, tokens, maxOutputTokens, repairRounds, contextTokens, compactAtTokens } = AGENT_DEFAULTS;
    const shown = {
      turns,
      tokens,
      repair_rounds: repairRounds,
      context_tokens: contextTokens,
      compact_at_tokens: compactAtTokens,
    };
    for (const [name, value] of Object.entries(shown))
      expect(text).toContain(`| \`limits.${name}\` | ${value} |`);
    expect(text).toContain(`| \`model.max_output_tokens\` | ${maxOutputTokens} |`);
  });
});
