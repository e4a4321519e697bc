import { z } from "zod";
import type { Action } from "../../contracts/action.ts";
import { defineAction } from "./define-action.ts";
import { judge, readGates, readTree } from "./judge.ts";
import type { StepParts } from "./parts.ts";
import { verdictSchema, verdictToWire, workspaceOf, workspaceSchema } from "./shapes.ts";
import { storyOf } from "./story.ts";

const input = z.strictObject({ workspace: workspaceSchema });

/** Runs the gates of the repository. Red gates are its output, not its failure: what follows from them is the workflow's to say. */
export function gatesAction(parts: StepParts): Action {
  return defineAction({
    name: "gates",
    description: "Runs the quality gates of the repository and says which passed, about which work tree.",
    input,
    output: verdictSchema,
    async perform(given, context) {
      const workspace = workspaceOf(given.workspace);
      const story = storyOf(context);
      const specs = await readGates(parts, context, { key: "gates", workspace });
      if (specs.length === 0) story.note("gates_absent", { root: workspace.root });
      const tree = await readTree(parts, context, { key: "tree", workspace });
      const { verdict } = await judge(parts, context, { key: "judge", workspace, specs, tree, story });
      return verdictToWire(verdict);
    },
  });
}
