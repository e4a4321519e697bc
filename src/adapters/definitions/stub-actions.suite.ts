import type { Json, JsonObject } from "../../base/json.ts";
import type { Action, Actions } from "../../contracts/action.ts";
import { ok } from "../../domain/errors.ts";

/** The signatures of the product's actions, for tests of definitions. They do nothing. */
const text: JsonObject = { type: "string" };
const duration: JsonObject = { type: "string" };
const any: JsonObject = {};
const object = (properties: JsonObject, required: readonly string[] = [], open = false): JsonObject => ({
  type: "object",
  properties,
  required: [...required],
  ...(open ? {} : { additionalProperties: false }),
});
const list = (items: JsonObject): JsonObject => ({ type: "array", items });
const number: JsonObject = { type: "number" };
const boolean: JsonObject = { type: "boolean" };
const nullable = (schema: JsonObject): JsonObject => ({ anyOf: [schema, { type: "null" }] });

const workspace = object({
  run: text,
  repo: text,
  root: text,
  branch: text,
  base_ref: text,
  base_commit: text,
});
const usage = object({ input_tokens: number, output_tokens: number, cost_usd: nullable(number) }, [], true);
const task: JsonObject = {
  anyOf: [text, object({ id: text, title: text, description: text }, ["title"], true)],
};

type Signature = readonly [description: string, input: JsonObject, output: JsonObject];

const SIGNATURES: Readonly<Record<string, Signature>> = {
  model: [
    "Asks a model once.",
    object({ agent: text, prompt: text, system: text, use: text }, ["prompt"]),
    object({ text, usage }),
  ],
  agent: [
    "Lets an agent work on a task with its tools.",
    object({ agent: text, task, workspace, context: any, use: text }, ["agent", "task"]),
    object({
      outcome: { enum: ["done", "nothing_to_do", "cannot"] },
      summary: text,
      answer: text,
      turns: number,
      usage,
      verdict: any,
    }),
  ],
  workspace: [
    "Makes a git worktree of its own for the run.",
    object({ repo: text, base: nullable(text), task, branch: nullable(text) }, ["repo", "task"]),
    workspace,
  ],
  gates: [
    "Runs the quality gates of the repository.",
    object({ workspace }, ["workspace"]),
    object({ passed: boolean, gates: list(any) }),
  ],
  commit: [
    "Commits what has changed.",
    object({ workspace, message: text, agent: text }, ["workspace"]),
    object({ kind: { enum: ["committed", "nothing"] }, commit: nullable(text), files: list(any) }),
  ],
  push: [
    "Pushes the branch to a remote.",
    object({ workspace, remote: text }, ["workspace", "remote"]),
    object({ remote: text, ref: text, commit: text }),
  ],
  report: [
    "Leaves the report of the run as artifacts.",
    object({ workspace: nullable(workspace) }),
    object({ artifacts: list(any) }),
  ],
  shell: [
    "Runs a command in the sandbox.",
    object({ workspace, run: text, timeout: duration }, ["run"]),
    object({ exit_code: number, stdout: text, stderr: text }),
  ],
  files: [
    "Writes files into the workspace.",
    object({ workspace, write: list(object({ path: text, content: text }, ["path", "content"])) }, [
      "workspace",
      "write",
    ]),
    object({ written: list(text) }),
  ],
  approval: [
    "Asks a person.",
    object({ title: text, details: any, risk: { enum: ["low", "medium", "high"] }, timeout: duration }, [
      "title",
    ]),
    object({ answer: text, by: text, comment: text }),
  ],
  wait: ["Waits for a signal or a time.", object({ signal: text, for: duration }), object({ body: any })],
  workflow: [
    "Starts a child run.",
    object({ name: text, inputs: { type: "object" }, wait: boolean }, ["name"]),
    object({ run: text, status: text, output: any }),
  ],
  send: [
    "Sends a signal to another run.",
    object({ to: text, name: text, body: any }, ["to", "name"]),
    object({}),
  ],
  noop: ["Gives its input back.", { type: "object" }, { type: "object" }],
  fail: ["Fails.", object({ message: text, retryable: boolean }), object({})],
};

export const TOOL_NAMES = [
  ...["apply_patch", "bash", "edit", "finish", "git_diff", "git_log", "git_status"],
  ...["list", "read", "search", "write"],
] as const;

export function stubActions(): Actions {
  const all = Object.entries(SIGNATURES).map(
    ([name, [description, input, output]]): Action => ({
      name,
      description,
      input,
      output,
      parse: (given: Json) => ok(given),
      perform: (given: Json) => Promise.resolve(given),
    }),
  );
  const byName = new Map(all.map((action) => [action.name, action]));
  return { get: (name) => byName.get(name) ?? null, list: () => all };
}
