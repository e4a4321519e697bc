import { z } from "zod";
import { parseDuration } from "../../base/duration.ts";
import type { Json } from "../../base/json.ts";
import { clip } from "../../base/text.ts";
import type { GateResult, Verdict } from "../../contracts/gates.ts";
import type { Workspace } from "../../contracts/workspace.ts";
import type { Usage } from "../../domain/message.ts";
import type { TaskSpec } from "../../domain/task.ts";

const TITLE_CHARS = 120;
/** Characters of a gate's output in a step's output; `gates.json` has it whole. */
const GATE_OUTPUT_CHARS = 4_000;

/** Any JSON value; its schema is `{}`. */
export const jsonSchema = z.any() as unknown as z.ZodType<Json, Json>;

const texts = z.array(z.string()).default([]);

export const taskSpecSchema = z.object({
  id: z.string().default(""),
  title: z.string().default(""),
  description: z.string().default(""),
  changes: texts,
  context: texts,
  acceptance: texts,
  hints: z.object({ paths: texts, checks: texts }).default({ paths: [], checks: [] }),
});

/** A task as a workflow passes it: plain text, or a TaskSpec. */
export const taskSchema = z.union([z.string().min(1), taskSpecSchema]);

/** One shape for both: the first line of a text is its title. */
export function taskOf(task: z.output<typeof taskSchema>): TaskSpec {
  const spec = typeof task === "string" ? taskSpecSchema.parse({ description: task }) : task;
  if (spec.title !== "") return spec;
  const [line = ""] = spec.description.trim().split("\n");
  return { ...spec, title: line.slice(0, TITLE_CHARS) };
}

/** "30m" or milliseconds; comes out as milliseconds. */
export const durationSchema = z
  .union([z.number().int().positive(), z.string()])
  .transform((value, context) => {
    const ms = typeof value === "number" ? value : parseDuration(value);
    if (ms !== null && ms > 0) return ms;
    context.addIssue({ code: "custom", message: `"${value}" is not a duration like "90s" or "1h30m"` });
    return z.NEVER;
  });

export const workspaceSchema = z.object({
  run: z.string(),
  repo: z.string(),
  root: z.string(),
  branch: z.string(),
  base_ref: z.string(),
  base_commit: z.string(),
});

export function workspaceOf(wire: z.output<typeof workspaceSchema>): Workspace {
  return {
    run: wire.run,
    repo: wire.repo,
    root: wire.root,
    branch: wire.branch,
    baseRef: wire.base_ref,
    baseCommit: wire.base_commit,
  };
}

export function workspaceToWire(workspace: Workspace): z.output<typeof workspaceSchema> {
  return {
    run: workspace.run,
    repo: workspace.repo,
    root: workspace.root,
    branch: workspace.branch,
    base_ref: workspace.baseRef,
    base_commit: workspace.baseCommit,
  };
}

export const usageSchema = z.object({
  input: z.number(),
  cache_read: z.number(),
  cache_write: z.number(),
  output: z.number(),
  reasoning: z.number(),
});

export function usageToWire(usage: Usage): z.output<typeof usageSchema> {
  return {
    input: usage.input,
    cache_read: usage.cacheRead,
    cache_write: usage.cacheWrite,
    output: usage.output,
    reasoning: usage.reasoning,
  };
}

export const gateSchema = z.object({
  name: z.string(),
  command: z.string(),
  required: z.boolean(),
  passed: z.boolean(),
  exit_code: z.number().nullable(),
  timed_out: z.boolean(),
  ms: z.number(),
  findings: z.number(),
  /** Head and tail of the output. */
  output: z.string(),
});

export const verdictSchema = z.object({
  passed: z.boolean(),
  gates: z.array(gateSchema),
  /** The work tree that was judged. */
  tree_hash: z.string(),
});

/** What a workflow passes on as evidence; only its claim and the tree it is about are read again. */
export const claimSchema = z.looseObject({ passed: z.boolean(), tree_hash: z.string() });

export function verdictToWire(verdict: Verdict): z.output<typeof verdictSchema> {
  return { passed: verdict.passed, gates: verdict.gates.map(gateToWire), tree_hash: verdict.treeHash };
}

function gateToWire(gate: GateResult): z.output<typeof gateSchema> {
  return {
    name: gate.name,
    command: gate.command,
    required: gate.required,
    passed: gate.passed,
    exit_code: gate.exitCode,
    timed_out: gate.timedOut,
    ms: gate.ms,
    findings: gate.findings.length,
    output: clip(gate.output, GATE_OUTPUT_CHARS).text,
  };
}
