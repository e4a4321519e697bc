import { z } from "zod";
import { clip } from "../../base/text.ts";
import type { Action, ActionContext } from "../../contracts/action.ts";
import type { Changes, CommitInfo, Workspace } from "../../contracts/workspace.ts";
import { fallbackCommitMessage } from "../../domain/commit-draft.ts";
import { cleanCommitMessage } from "../../domain/commit-message.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import type { TaskSpec } from "../../domain/task.ts";
import { namedPrompt, taskText } from "./agent-prompt.ts";
import { defineAction } from "./define-action.ts";
import { onceOf, throwIfAborted, unwrap } from "./effects.ts";
import { readTree, type Tree } from "./judge.ts";
import { callOnce } from "./model.ts";
import type { StepParts } from "./parts.ts";
import { claimSchema, taskOf, taskSchema, workspaceOf, workspaceSchema } from "./shapes.ts";
import { storyOf } from "./story.ts";

/** Agent that writes commit messages, where there is one. */
const MESSAGE_AGENT = "commit_message";
const DIFF_CHARS = 40_000;
const TASK_CHARS = 4_000;
const RUN_TRAILER = "Agent-Runner-Run";
const STEP_TRAILER = "Agent-Runner-Step";

const input = z.strictObject({
  workspace: workspaceSchema,
  message: z.string().min(1).nullish().describe("Absent means that a model writes it from the diff."),
  task: taskSchema.nullish(),
  verdict: claimSchema
    .nullish()
    .describe(
      "Evidence: must have passed, about the work tree as it is now. An agent's or a `gates` step's.",
    ),
});

const output = z.object({
  kind: z.enum(["committed", "nothing"]),
  commit: z.string().nullable(),
  branch: z.string(),
  files: z.array(z.string()),
  kept_out: z.array(z.object({ path: z.string(), reason: z.string() })),
  message: z.string().nullable(),
  /** Whether the base branch moved, and what would conflict with it. */
  base_moved: z.boolean(),
  conflicts: z.array(z.string()),
});

/** Commits what is in the work tree, once, and only what the evidence was about. */
export function commitAction(parts: StepParts): Action {
  return defineAction({
    name: "commit",
    description:
      "Commits the work tree of a workspace; with a verdict, only if that is about this very tree.",
    input,
    output,
    async perform(given, context): Promise<z.input<typeof output>> {
      const workspace = workspaceOf(given.workspace);
      const tree = await readTree(parts, context, { key: "tree", workspace });
      if (given.verdict) checkEvidence(given.verdict, tree);
      const task = given.task ? taskOf(given.task) : null;
      const base = await readConflicts(parts, context, workspace);
      const empty = { branch: workspace.branch, base_moved: base.baseMoved, conflicts: [...base.paths] };
      if (tree.count === 0) {
        return { ...empty, kind: "nothing", commit: null, files: [], kept_out: [], message: null };
      }
      const message = given.message ?? (await writeMessage(parts, context, { workspace, tree, task }));
      const done = await commitOnce(parts, context, { workspace, message, tree });
      if (done.kind === "nothing") {
        return {
          ...empty,
          kind: "nothing",
          commit: null,
          files: [],
          kept_out: [...done.keptOut],
          message: null,
        };
      }
      const { info } = done;
      return {
        ...empty,
        kind: "committed",
        commit: info.commit,
        branch: info.branch,
        files: info.files.map((file) => file.path),
        kept_out: [...info.keptOut],
        message,
      };
    },
  });
}

function checkEvidence(claim: z.output<typeof claimSchema>, tree: Tree): void {
  if (!claim.passed) {
    throw new FailureError(
      failure("gates_failed", "verdict: the gates did not pass, so nothing is committed"),
    );
  }
  if (claim.tree_hash === tree.hash) return;
  const text = "verdict: it is about another work tree than the one to be committed";
  throw new FailureError(failure("stale_verdict", text, { judged: claim.tree_hash, current: tree.hash }));
}

type Committed =
  | { readonly kind: "committed"; readonly info: CommitInfo }
  | { readonly kind: "nothing"; readonly keptOut: CommitInfo["keptOut"] };

function commitOnce(
  parts: StepParts,
  context: ActionContext,
  of: { readonly workspace: Workspace; readonly message: string; readonly tree: Tree },
): Promise<Committed> {
  const { workspace, message } = of;
  // The run is part of both, because a base branch may hold commits of earlier runs of the same step.
  const mark = `${context.run.id}/${context.step.id}`;
  return onceOf<Committed>(context, "commit", {
    effect: "query",
    request: { branch: workspace.branch, message, tree: of.tree.hash },
    label: `commit on ${workspace.branch}`,
    perform: async (call) => {
      const signal = AbortSignal.any([context.signal, call.signal]);
      const trailers = { [RUN_TRAILER]: context.run.id, [STEP_TRAILER]: mark };
      const request = { workspace, message, author: parts.author, trailers };
      const result = await parts.workspaces.commit(request, signal);
      if (!result.ok) throwIfAborted(signal);
      return unwrap(result);
    },
    query: async (call) => {
      const trailer = { key: STEP_TRAILER, value: mark };
      const found = unwrap(await parts.workspaces.findCommit(workspace, trailer, call.signal));
      return found === null ? null : { kind: "committed", info: found };
    },
  });
}

async function readConflicts(
  parts: StepParts,
  context: ActionContext,
  workspace: Workspace,
): Promise<{ readonly baseMoved: boolean; readonly paths: readonly string[] }> {
  const found = await onceOf<{ readonly baseMoved: boolean; readonly paths: readonly string[] }>(
    context,
    "conflicts",
    {
      effect: "pure",
      request: { branch: workspace.branch, base: workspace.baseRef },
      label: `conflicts with ${workspace.baseRef}`,
      perform: async (call) => unwrap(await parts.workspaces.conflicts(workspace, call.signal)),
    },
  );
  if (found.baseMoved)
    storyOf(context).note("base_moved", { base: workspace.baseRef, conflicts: found.paths });
  return found;
}

/** By a model from the diff; by rule when there is no such agent or it has no usable answer. */
async function writeMessage(
  parts: StepParts,
  context: ActionContext,
  of: { readonly workspace: Workspace; readonly tree: Tree; readonly task: TaskSpec | null },
): Promise<string> {
  const { workspace, tree, task } = of;
  const agent = parts.agents.get(MESSAGE_AGENT);
  const redact = parts.redact ?? ((text: string) => text);
  const written = await onceOf<{ readonly fallback: string; readonly prompt: string }>(context, "diff", {
    effect: "pure",
    request: { tree: tree.hash },
    label: "read the diff",
    perform: async (call) => {
      const changes = unwrap(await parts.workspaces.changes(workspace, call.signal));
      const fallback = fallbackCommitMessage({ files: changes.files, patch: changes.patch, task });
      return { fallback: redact(fallback), prompt: redact(messagePrompt(changes, task)) };
    },
  });
  if (agent === null) return written.fallback;
  try {
    const { use, temperature } = agent.model;
    const { reply } = await callOnce(parts, context, {
      key: "message",
      label: "write the commit message",
      limitMs: agent.limits.wallTimeMs,
      request: {
        ...(use !== undefined && { use }),
        stage: agent.model.stage,
        system: namedPrompt(agent),
        messages: [{ role: "user", text: written.prompt }],
        tools: [],
        maxOutputTokens: agent.model.maxOutputTokens,
        ...(temperature !== undefined && { temperature }),
      },
    });
    const message = reply.finish === "stop" ? cleanCommitMessage(reply.text) : null;
    if (message !== null) return message;
    storyOf(context).note("message_fallback", { reason: "the model's answer was no commit message" });
  } catch (thrown) {
    const isModelFailure = thrown instanceof FailureError && /^(model|script)_/.test(thrown.failure.code);
    if (!isModelFailure) throw thrown;
    storyOf(context).note("message_fallback", { reason: thrown.failure.message });
  }
  return written.fallback;
}

function messagePrompt(changes: Changes, task: TaskSpec | null): string {
  const files = changes.files.map(
    (file) => `${file.status} ${file.path} +${file.insertions} -${file.deletions}`,
  );
  const parts = [
    `# Files\n${clip(files.join("\n"), TASK_CHARS).text}`,
    `# Diff\n${clip(changes.patch, DIFF_CHARS).text}`,
  ];
  if (task !== null) parts.unshift(clip(taskText(task), TASK_CHARS).text);
  return parts.join("\n\n");
}
