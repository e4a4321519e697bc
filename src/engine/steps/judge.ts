import type { ActionContext } from "../../contracts/action.ts";
import type { GateResult, GateSpec, Verdict } from "../../contracts/gates.ts";
import type { Workspace } from "../../contracts/workspace.ts";
import { onceOf, throwIfAborted, unwrap } from "./effects.ts";
import type { StepParts } from "./parts.ts";
import type { Story } from "./story.ts";

/** Files named in a step's output; a change of more is cut there, never in the diff. */
const MAX_FILES_LISTED = 1_000;
/** Gates that write files judge again what they wrote, this often. */
const SETTLE_ROUNDS = 2;
/** Where the gates of a repository are defined: a change of it by an agent is told. */
const GATES_FILE = ".agent-runner/gates.yaml";

export type JudgeParts = Pick<StepParts, "gates" | "sandbox" | "workspaces">;

/** What the work tree holds, as git sees it. */
export interface Tree {
  readonly hash: string;
  readonly files: readonly string[];
  /** All changed files, also those not listed. */
  readonly count: number;
}

/** The work tree against its base, recorded under `key`. */
export async function readTree(
  parts: Pick<StepParts, "workspaces">,
  context: ActionContext,
  at: { readonly key: string; readonly workspace: Workspace },
): Promise<Tree> {
  return onceOf<Tree>(context, at.key, {
    effect: "pure",
    request: { tree: at.workspace.root },
    label: "read the changes",
    perform: async ({ signal }) => {
      const changes = unwrap(await parts.workspaces.changes(at.workspace, signal));
      const files = changes.files.map((file) => file.path);
      return { hash: changes.treeHash, files: files.slice(0, MAX_FILES_LISTED), count: files.length };
    },
  });
}

/** The gates of the repository as it is now, recorded under `key`. */
export async function readGates(
  parts: Pick<StepParts, "gates">,
  context: ActionContext,
  at: { readonly key: string; readonly workspace: Workspace },
): Promise<readonly GateSpec[]> {
  return onceOf<readonly GateSpec[]>(context, at.key, {
    effect: "pure",
    request: { gates: at.workspace.root },
    label: "read the gates",
    perform: async () => unwrap(await parts.gates.specs(at.workspace.root)),
  });
}

export interface JudgeRequest {
  /** Prefix of the keys; unique in the attempt. */
  readonly key: string;
  readonly workspace: Workspace;
  readonly specs: readonly GateSpec[];
  readonly tree: Tree;
  readonly story: Story;
}

/**
 * Runs every gate and says what they found, about which tree. Gates that write files (formatters, reports) judge
 * once more what they wrote; if the tree still moves then, the verdict is about the tree after them, and that is told.
 */
export async function judge(
  parts: JudgeParts,
  context: ActionContext,
  request: JudgeRequest,
): Promise<{ readonly verdict: Verdict; readonly tree: Tree; readonly ms: number }> {
  const { key, workspace, specs, story } = request;
  const startedAt = await context.now(`${key}/started`);
  if (request.tree.files.includes(GATES_FILE)) story.note("gates_definition_changed", { file: GATES_FILE });
  let tree = request.tree;
  let results: GateResult[] = [];
  let ms = 0;
  for (let round = 1; round <= SETTLE_ROUNDS; round += 1) {
    results = [];
    for (const gate of specs) {
      const result = await runGate(parts, context, { key: `${key}/${round}`, workspace, gate, tree });
      ms += result.ms;
      results.push(result);
      story.note("gate_finished", {
        judgement: `${key}/${round}`,
        gate: result.name,
        passed: result.passed,
        required: result.required,
        exit_code: result.exitCode,
        timed_out: result.timedOut,
        ms: result.ms,
      });
    }
    const after = await readTree(parts, context, { key: `${key}/${round}/tree`, workspace });
    const settled = after.hash === tree.hash;
    tree = after;
    if (settled) break;
    story.note("gates_wrote", { judgement: `${key}/${round}`, tree_hash: after.hash });
  }
  const passed = results.every((result) => result.passed || !result.required);
  const endedAt = await context.now(`${key}/ended`);
  return { verdict: { passed, gates: results, treeHash: tree.hash, startedAt, endedAt }, tree, ms };
}

async function runGate(
  parts: JudgeParts,
  context: ActionContext,
  at: { readonly key: string; readonly workspace: Workspace; readonly gate: GateSpec; readonly tree: Tree },
): Promise<GateResult> {
  const { gate, workspace } = at;
  return onceOf<GateResult>(context, `${at.key}/gate/${gate.name}`, {
    // A gate judges and may be asked again: what it leaves in the tree is seen by the hash after it.
    effect: "pure",
    request: { gate, tree: at.tree.hash },
    label: `gate ${gate.name}`,
    perform: async (call) => {
      context.publish("progress", { phase: "gate", gate: gate.name });
      const signal = AbortSignal.any([call.signal, context.signal]);
      const result = await parts.gates.run(gate, { root: workspace.root, sandbox: parts.sandbox, signal });
      throwIfAborted(signal);
      return unwrap(result);
    },
  });
}

/** The required gates that stand in the way. */
export function redGates(verdict: Verdict): readonly GateResult[] {
  return verdict.gates.filter((gate) => gate.required && !gate.passed);
}
