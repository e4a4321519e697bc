import { createHash } from "node:crypto";
import type { Parsed } from "../../contracts/definitions.ts";
import type { AgentSpec } from "../../domain/agent.ts";
import { LIMITS } from "../../domain/limits.ts";
import { DEFINITION_LIMITS } from "./limits.ts";
import { milliseconds } from "./normalise.ts";
import { newReport, type Places, type Report } from "./report.ts";
import { type AgentShape, agentShape } from "./shape.ts";
import { sourceText } from "./source.ts";
import { refused } from "./workflow-file.ts";
import { readYaml } from "./yaml.ts";
import { zodProblems } from "./zod-problems.ts";

/** What an agent file need not say. */
export const AGENT_DEFAULTS = {
  stage: "execute",
  maxOutputTokens: 8_192,
  turns: 40,
  tokens: 1_000_000,
  wallTimeMs: 30 * 60_000,
  repairRounds: LIMITS.gateRepairRounds,
  contextTokens: 4_000,
  compactAtTokens: 100_000,
} as const;

export function parseAgentFile(text: string, file: string, toolNames: readonly string[]): Parsed<AgentSpec> {
  const bytes = Buffer.byteLength(text);
  if (bytes > DEFINITION_LIMITS.agentBytes) {
    const expected = `at most ${DEFINITION_LIMITS.agentBytes}`;
    const message = `the file has ${bytes} bytes`;
    return refused([{ file, line: 1, column: 1, path: "", message, expected }], "invalid_agent");
  }
  let places: Places | null = null;
  const report = newReport(file, sourceText(text), () => places);
  const parts = splitFrontMatter(text, report);
  const document = parts === null ? null : readYaml(parts.yaml, parts.yamlStart, report);
  if (parts === null || document === null) return refused(report.errors, "invalid_agent");
  places = document.places;
  const shape = agentShape.safeParse(document.value);
  if (!shape.success) {
    for (const problem of zodProblems(shape.error, document.value, agentShape)) report.error(problem);
    return refused(report.errors, "invalid_agent");
  }
  checkTools(shape.data, toolNames, report);
  const prompt = parts.body.trim();
  if (prompt === "")
    report.errorAt(parts.bodyStart, "the prompt is empty", "the agent's system prompt below the `---`");
  if (report.errors.length > 0) return refused(report.errors, "invalid_agent");
  const hash = createHash("sha256").update(text).digest("hex");
  return { ok: true, value: agentOf(shape.data, prompt, hash), warnings: report.warnings };
}

interface FrontMatter {
  readonly yaml: string;
  readonly yamlStart: number;
  readonly body: string;
  readonly bodyStart: number;
}

function splitFrontMatter(text: string, report: Report): FrontMatter | null {
  const open = /^\uFEFF?---[ \t]*\r?\n/.exec(text);
  if (open === null) {
    report.errorAt(0, "the file does not start with front matter", "`---` as the first line");
    return null;
  }
  const yamlStart = open[0].length;
  const closing = /^---[ \t]*\r?$/gm;
  closing.lastIndex = yamlStart;
  const close = closing.exec(text);
  if (close === null) {
    report.errorAt(0, "the front matter is not closed", "`---` on a line of its own behind it");
    return null;
  }
  const bodyStart = Math.min(text.length, close.index + close[0].length + 1);
  return { yaml: text.slice(yamlStart, close.index), yamlStart, body: text.slice(bodyStart), bodyStart };
}

function checkTools(shape: AgentShape, toolNames: readonly string[], report: Report): void {
  const tools = shape.tools ?? [];
  for (const [index, name] of tools.entries()) {
    const path = ["tools", index];
    if (tools.indexOf(name) < index) report.error({ path, message: `\`${name}\` is already listed` });
    if (toolNames.includes(name)) continue;
    const expected = `one of ${toolNames.join(", ")}`;
    report.error({ path, message: `there is no tool \`${name}\``, expected, name, candidates: toolNames });
  }
}

function agentOf(shape: AgentShape, prompt: string, hash: string): AgentSpec {
  const { model = {}, limits = {}, validation = {} } = shape;
  return {
    name: shape.name,
    description: shape.description,
    ...(shape.examples === undefined || shape.examples.length === 0 ? {} : { examples: shape.examples }),
    model: {
      ...(model.use === undefined ? {} : { use: model.use }),
      stage: model.stage ?? AGENT_DEFAULTS.stage,
      maxOutputTokens: model.max_output_tokens ?? AGENT_DEFAULTS.maxOutputTokens,
      ...(model.temperature === undefined ? {} : { temperature: model.temperature }),
    },
    tools: shape.tools ?? [],
    limits: {
      turns: limits.turns ?? AGENT_DEFAULTS.turns,
      tokens: limits.tokens ?? AGENT_DEFAULTS.tokens,
      ...(limits.cost_usd === undefined ? {} : { costUsd: limits.cost_usd }),
      wallTimeMs: limits.wall_time === undefined ? AGENT_DEFAULTS.wallTimeMs : milliseconds(limits.wall_time),
      repairRounds: limits.repair_rounds ?? AGENT_DEFAULTS.repairRounds,
      contextTokens: limits.context_tokens ?? AGENT_DEFAULTS.contextTokens,
      compactAtTokens: limits.compact_at_tokens ?? AGENT_DEFAULTS.compactAtTokens,
    },
    validation: {
      gates: validation.gates ?? false,
      ...(validation.min_chars === undefined ? {} : { minChars: validation.min_chars }),
      ...(validation.must_mention === undefined ? {} : { mustMention: validation.must_mention }),
      mayChangeNothing: validation.may_change_nothing ?? true,
    },
    prompt,
    hash,
  };
}
