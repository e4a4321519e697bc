import type { Json, JsonObject } from "../../base/json.ts";
import type { Action, Actions } from "../../contracts/action.ts";
import { ok } from "../../domain/errors.ts";

/** The signatures of the product's actions, for tests of definitions. They do nothing. */
const text: JsonObject = { type: "string" };
const number: JsonObject = { type: "number" };
const boolean: JsonObject = { type: "boolean" };
const any: JsonObject = {};
const duration: JsonObject = { anyOf: [{ type: "integer" }, { type: "string" }] };
const list = (items: JsonObject): JsonObject => ({ type: "array", items });
const nullable = (schema: JsonObject): JsonObject => ({ anyOf: [schema, { type: "null" }] });
const open = (properties: JsonObject, required: readonly string[]): JsonObject => ({
  type: "object",
  properties,
  required: [...required],
});
const object = (properties: JsonObject, required: readonly string[] = []): JsonObject => ({
  ...open(properties, required),
  additionalProperties: false,
});

const workspace = object({
  ...{ run: text, repo: text, root: text, branch: text, base_ref: text, base_commit: text },
});
const usage = object({
  ...{ input: number, cache_read: number, cache_write: number, output: number, reasoning: number },
});
const verdict = object({ passed: boolean, gates: list(any), tree_hash: text });
const claim = nullable(open({ passed: boolean, tree_hash: text }, ["passed", "tree_hash"]));
const task: JsonObject = {
  anyOf: [text, open({ id: text, title: text, description: text }, [])],
};

interface Signature {
  readonly description: string;
  readonly input: JsonObject;
  readonly output: JsonObject;
}

const SIGNATURES: Readonly<Record<string, Signature>> = {
  model: {
    description: "Asks a model once and returns its text.",
    input: object({ agent: text, prompt: text, system: text, use: text }, ["prompt"]),
    output: object({ text, usage, cost_micros: nullable(number) }),
  },
  agent: {
    description: "An agent works on a task with tools.",
    input: object({ agent: text, task, workspace, use: text }, ["agent", "task"]),
    output: object({
      outcome: { enum: ["done", "nothing_to_do"] },
      ...{ summary: text, answer: text, turns: number, usage, cost_micros: nullable(number) },
      ...{ files_modified: list(text), verdict: nullable(verdict) },
    }),
  },
  workspace: {
    description: "Makes a git worktree of its own for the run.",
    input: object({ repo: text, base: text, task, branch: text, allow_dirty: boolean }, ["repo", "task"]),
    output: workspace,
  },
  gates: {
    description: "Runs the quality gates of the repository.",
    input: object({ workspace }, ["workspace"]),
    output: verdict,
  },
  commit: {
    description: "Commits what has changed.",
    input: object({ workspace, message: text, task, verdict: claim }, ["workspace"]),
    output: object({
      kind: { enum: ["committed", "nothing"] },
      ...{ commit: nullable(text), branch: text, files: list(text), kept_out: list(any) },
      ...{ message: nullable(text), base_moved: boolean, conflicts: list(text) },
    }),
  },
  push: {
    description: "Pushes the branch of a workspace to a remote.",
    input: object({ workspace, remote: text }, ["workspace", "remote"]),
    output: object({ remote: text, ref: text, commit: text }),
  },
  report: {
    description: "Leaves the report of the run as artifacts.",
    input: object({ workspace }),
    output: object({ artifacts: list(any) }),
  },
  shell: {
    description: "Runs a command in the sandbox.",
    input: object({ workspace, run: text, timeout: duration, allow_failure: boolean, repeatable: boolean }, [
      "run",
    ]),
    output: object({ exit_code: nullable(number), stdout: text, stderr: text, ms: number }),
  },
  files: {
    description: "Writes files into a workspace.",
    input: object({ workspace, write: list(object({ path: text, content: text }, ["path", "content"])) }, [
      "workspace",
      "write",
    ]),
    output: object({ written: list(text) }),
  },
  approval: {
    description: "Asks a person.",
    input: object(
      {
        title: text,
        details: any,
        risk: { enum: ["low", "medium", "high"] },
        timeout: duration,
        on_denied: { enum: ["fail", "continue"] },
      },
      ["title"],
    ),
    output: object({ answer: { enum: ["approved", "denied", "expired"] }, by: text, comment: text }),
  },
  wait: {
    description: "Waits for a signal or a time.",
    input: object({ signal: text, for: duration }),
    output: object({ body: any, from: nullable(text) }),
  },
  workflow: {
    description: "Starts a child run.",
    input: object({ name: text, inputs: { type: "object" }, title: text, wait: boolean }, ["name"]),
    output: object({ run: text, status: { enum: ["queued", "completed"] }, output: any }),
  },
  send: {
    description: "Sends a signal to another run.",
    input: object({ to: text, name: text, body: any }, ["to", "name"]),
    output: object({}),
  },
  noop: {
    description: "Gives its input back.",
    input: { $schema: "https://json-schema.org/draft/2020-12/schema", type: "object" },
    output: { type: "object" },
  },
  fail: {
    description: "Fails.",
    input: object({ message: text, code: text, retryable: boolean }, ["message"]),
    output: object({}),
  },
};

export const TOOL_NAMES = [
  ...["apply_patch", "bash", "edit", "finish", "git_diff", "git_log", "git_status"],
  ...["list", "read", "search", "write"],
] as const;

export function stubActions(): Actions {
  const all = Object.entries(SIGNATURES).map(
    ([name, signature]): Action => ({
      name,
      ...signature,
      parse: (given: Json) => ok(given),
      perform: (given: Json) => Promise.resolve(given),
    }),
  );
  const byName = new Map(all.map((action) => [action.name, action]));
  return { get: (name) => byName.get(name) ?? null, list: () => all };
}
