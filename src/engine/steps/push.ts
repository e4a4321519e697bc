import { z } from "zod";
import type { Action } from "../../contracts/action.ts";
import { defineAction } from "./define-action.ts";
import { onceOf, throwIfAborted, unwrap } from "./effects.ts";
import type { StepParts } from "./parts.ts";
import { workspaceOf, workspaceSchema } from "./shapes.ts";

const input = z.strictObject({
  workspace: workspaceSchema,
  remote: z.string().min(1).describe("Name of a remote that is configured in the repository."),
});
const output = z.object({ remote: z.string(), ref: z.string(), commit: z.string() });

/** Pushes the branch of a workspace. */
export function pushAction(parts: StepParts): Action {
  return defineAction({
    name: "push",
    description: "Pushes the branch of a workspace to a remote.",
    input,
    output,
    perform(given, context) {
      const workspace = workspaceOf(given.workspace);
      const { remote } = given;
      return onceOf<z.output<typeof output>>(context, "push", {
        effect: "query",
        request: { branch: workspace.branch, remote },
        label: `push ${workspace.branch} to ${remote}`,
        perform: async (call) => {
          const signal = AbortSignal.any([context.signal, call.signal]);
          const result = await parts.workspaces.push(workspace, remote, signal);
          if (!result.ok) throwIfAborted(signal);
          return unwrap(result);
        },
        // Only the run's own newest commit at the remote is proof; anything else is pushed again, which is harmless.
        query: async (call) => {
          const trailer = { key: "Agent-Runner-Run", value: context.run.id };
          const ours = unwrap(await parts.workspaces.findCommit(workspace, trailer, call.signal));
          const theirs = unwrap(await parts.workspaces.remoteCommit(workspace, remote, call.signal));
          if (ours === null || theirs !== ours.commit) return null;
          return { remote, ref: `refs/heads/${workspace.branch}`, commit: ours.commit };
        },
      });
    },
  });
}
