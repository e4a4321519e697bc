import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AgentSpec } from "../../domain/agent.ts";
import { createExpressions } from "../expressions/cel.ts";
import { builtInActions, TOOL_NAMES } from "./built-in.suite.ts";
import { createDefinitions } from "./definitions.ts";
import { formatDiagnostics } from "./source.ts";

const definitions = createDefinitions({
  actions: builtInActions(),
  expressions: createExpressions(),
  toolNames: TOOL_NAMES,
});
const agent = (front: string, prompt = "You help.\n") => `---\n${front}---\n${prompt}`;
const HEAD = "name: helper\ndescription: Helps.\n";

function read(source: string): AgentSpec {
  const parsed = definitions.parseAgent(source, "a.md");
  if (!parsed.ok) throw new Error(formatDiagnostics(parsed.diagnostics, source));
  return parsed.value;
}

describe("an agent that is accepted", () => {
  it("has defaults for everything but its name, description and prompt", () => {
    const source = agent(HEAD);
    expect(read(source)).toEqual({
      name: "helper",
      description: "Helps.",
      model: { stage: "execute", maxOutputTokens: 8_192 },
      tools: [],
      limits: {
        turns: 40,
        tokens: 1_000_000,
        wallTimeMs: 1_800_000,
        repairRounds: 3,
        contextTokens: 4_000,
        compactAtTokens: 100_000,
      },
      validation: { gates: false, mayChangeNothing: true },
      prompt: "You help.",
      hash: createHash("sha256").update(source).digest("hex"),
    });
  });

  it("says everything else in its front matter", () => {
    const front = `${HEAD}model: { use: anthropic/claude, stage: review, max_output_tokens: 100, temperature: 0.5 }
tools: [read, bash]
limits: { turns: 5, tokens: 6, cost_usd: 0.25, wall_time: 90s, repair_rounds: 0, context_tokens: 0, compact_at_tokens: 7 }
validation: { gates: true, min_chars: 8, must_mention: [Verdict], may_change_nothing: false }
`;
    expect(read(agent(front, "\n# Title\n\n---\n\nMore\n"))).toMatchObject({
      model: { use: "anthropic/claude", stage: "review", maxOutputTokens: 100, temperature: 0.5 },
      tools: ["read", "bash"],
      limits: {
        turns: 5,
        tokens: 6,
        costUsd: 0.25,
        wallTimeMs: 90_000,
        repairRounds: 0,
        contextTokens: 0,
        compactAtTokens: 7,
      },
      validation: { gates: true, minChars: 8, mustMention: ["Verdict"], mayChangeNothing: false },
      prompt: "# Title\n\n---\n\nMore",
    });
  });

  it("may be written on any system", () => {
    const spec = read(`\uFEFF${agent(HEAD, "One\nTwo\n")}`.replaceAll("\n", "\r\n"));
    expect(spec).toMatchObject({ name: "helper", prompt: "One\r\nTwo" });
  });
});

interface Row {
  readonly source: string;
  readonly at: readonly [line: number, column: number];
  readonly path: string;
  readonly message: string;
  readonly expected?: string;
  readonly suggestion?: string;
}

const rows: Readonly<Record<string, Row>> = {
  "no front matter": {
    source: "You help.\n",
    at: [1, 1],
    path: "",
    message: "does not start with front matter",
    expected: "`---`",
  },
  "front matter without an end": { source: "---\nname: a\n", at: [1, 1], path: "", message: "is not closed" },
  "no prompt": { source: agent(HEAD, " \n"), at: [5, 1], path: "", message: "the prompt is empty" },
  "empty front matter": {
    source: agent(""),
    at: [2, 1],
    path: "",
    message: "an empty value",
    expected: "`name`",
  },
  "broken YAML": { source: agent(`${HEAD}tools: [read\n`), at: [5, 1], path: "", message: "flow sequence" },
  "a missing description": {
    source: agent("name: a\n"),
    at: [2, 1],
    path: "description",
    message: "`description` is missing",
  },
  "an unknown field": {
    source: agent(`${HEAD}tool: [read]\n`),
    at: [4, 1],
    path: "tool",
    message: "there is no field `tool`",
    suggestion: "tools",
  },
  "an unknown limit": {
    source: agent(`${HEAD}limits:\n  turn: 4\n`),
    at: [5, 3],
    path: "limits.turn",
    message: "there is no field `turn`",
    expected: "turns, tokens, cost_usd",
    suggestion: "turns",
  },
  "an unknown tool": {
    source: agent(`${HEAD}tools:\n  - read\n  - serach\n`),
    at: [6, 5],
    path: "tools[1]",
    message: "there is no tool `serach`",
    expected: "apply_patch",
    suggestion: "search",
  },
  "a tool twice": {
    source: agent(`${HEAD}tools: [read, read]\n`),
    at: [4, 15],
    path: "tools[1]",
    message: "already listed",
  },
  "an unknown stage": {
    source: agent(`${HEAD}model:\n  stage: reviw\n`),
    at: [5, 10],
    path: "model.stage",
    message: "reviw",
    expected: "one of context, retrieval, plan",
    suggestion: "review",
  },
  "a model without its provider": {
    source: agent(`${HEAD}model: { use: gpt }\n`),
    at: [4, 15],
    path: "model.use",
    message: "gpt",
    expected: "`provider/model`",
  },
  "a limit that is none": {
    source: agent(`${HEAD}limits: { turns: 0 }\n`),
    at: [4, 18],
    path: "limits.turns",
    message: "`0`",
    expected: "from 1",
  },
  "too many turns": {
    source: agent(`${HEAD}limits: { turns: 5000 }\n`),
    at: [4, 18],
    path: "limits.turns",
    message: "`5000`",
    expected: "at most 100",
  },
  "a cost of nothing": {
    source: agent(`${HEAD}limits: { cost_usd: 0 }\n`),
    at: [4, 21],
    path: "limits.cost_usd",
    message: "`0`",
    expected: "above 0",
  },
  "a bad time": {
    source: agent(`${HEAD}limits: { wall_time: long }\n`),
    at: [4, 22],
    path: "limits.wall_time",
    message: "long",
    expected: "a duration",
  },
  "a yes that is a text": {
    source: agent(`${HEAD}validation: { gates: "yes" }\n`),
    at: [4, 22],
    path: "validation.gates",
    message: "yes",
    expected: "true or false",
  },
  "a file that is too large": {
    source: agent(HEAD, "x".repeat(70_000)),
    at: [1, 1],
    path: "",
    message: "bytes",
    expected: "at most 65536",
  },
};

describe("what is wrong with an agent is told with its place", () => {
  it.each(Object.entries(rows))("%s", (_, row) => {
    const parsed = definitions.parseAgent(row.source, "a.md");
    expect(parsed.ok).toBe(false);
    if (parsed.ok) return;
    const [first] = parsed.diagnostics;
    const [line, column] = row.at;
    expect(first, formatDiagnostics(parsed.diagnostics, row.source)).toMatchObject({
      file: "a.md",
      line,
      column,
      path: row.path,
    });
    expect(first!.message).toContain(row.message);
    expect(first!.expected ?? "").toContain(row.expected ?? "");
    expect(first!.suggestion).toBe(row.suggestion);
    expect(parsed.failure).toMatchObject({ code: "invalid_agent" });
  });

  it("never throws, whatever the text", () => {
    const pieces = fc.constantFrom(
      "---",
      "\n",
      "name: a",
      "description: b",
      ": ",
      "tools: [",
      "]",
      "\r",
      "x",
      "\uFEFF",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 20 }), (parts) => {
        const parsed = definitions.parseAgent(parts.join(""), "a.md");
        if (!parsed.ok) expect(parsed.diagnostics.length).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });
});
