import { isAbsolute } from "node:path";
import { z } from "zod";
import type { Action, ActionContext } from "../../contracts/action.ts";
import type { Workspace, WorkspaceRequest } from "../../contracts/workspace.ts";
import { taskBranch } from "../../domain/branch-name.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import { defineAction } from "./define-action.ts";
import { onceOf, throwIfAborted, unwrap } from "./effects.ts";
import type { StepParts } from "./parts.ts";
import { taskOf, taskSchema, workspaceSchema, workspaceToWire } from "./shapes.ts";

const RUN_CHARS = 6;

const input = z.strictObject({
  repo: z.string().min(1).describe("Absolute path of the target repository."),
  base: z.string().nullish().describe("Branch, tag or commit to start from; absent means HEAD."),
  task: taskSchema,
  branch: z.string().nullish().describe("Absent means `feature/task-<id>-<title>`."),
  allow_dirty: z.boolean().default(false),
});

/** A git worktree of its own for the run, on a branch of its own. */
export function workspaceAction(parts: StepParts): Action {
  return defineAction({
    name: "workspace",
    description: "Prepares a git worktree on a branch of its own; the target repository is never touched.",
    input,
    output: workspaceSchema,
    async perform(given, context) {
      if (!isAbsolute(given.repo)) {
        const text = `repo: "${given.repo}" is not an absolute path`;
        throw new FailureError(failure("invalid_input", text, { repo: given.repo }));
      }
      const task = taskOf(given.task);
      const runEnd = context.run.id.slice(-RUN_CHARS);
      const request: WorkspaceRequest = {
        run: context.run.id,
        repo: given.repo,
        ...(given.base && { base: given.base }),
        branch: given.branch || taskBranch({ id: task.id || runEnd, title: task.title }),
        allowDirty: given.allow_dirty,
      };
      const isOurName = !given.branch;
      const workspace = await prepare(parts, context, { request, isOurName });
      context.note("workspace_ready", { branch: workspace.branch, base_commit: workspace.baseCommit });
      return workspaceToWire(workspace);
    },
  });
}

/** A branch name that we chose and that is taken gets the run's own ending; a name that was asked for is kept. */
function prepare(
  parts: StepParts,
  context: ActionContext,
  of: { readonly request: WorkspaceRequest; readonly isOurName: boolean },
): Promise<Workspace> {
  return onceOf<Workspace>(context, "workspace", {
    effect: "idempotent",
    request: of.request,
    label: `worktree of ${of.request.repo}`,
    perform: async (call) => {
      const signal = AbortSignal.any([context.signal, call.signal]);
      let result = await parts.workspaces.prepare(of.request, signal);
      if (!result.ok && result.failure.code === "branch_exists" && of.isOurName) {
        const branch = `${of.request.branch}-${context.run.id.slice(-RUN_CHARS)}`;
        result = await parts.workspaces.prepare({ ...of.request, branch }, signal);
      }
      throwIfAborted(signal);
      return unwrap(result);
    },
  });
}
