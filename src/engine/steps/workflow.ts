import { z } from "zod";
import type { Action } from "../../contracts/action.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import { defineAction } from "./define-action.ts";
import { plain } from "./effects.ts";
import { jsonSchema } from "./shapes.ts";

const input = z.strictObject({
  name: z.string().min(1).describe("Workflow of the child run."),
  inputs: z.record(z.string(), jsonSchema).default({}),
  title: z.string().optional(),
  wait: z.boolean().default(true).describe("Whether this step ends when the child has ended."),
});

const output = z.object({
  run: z.string(),
  status: z.enum(["queued", "completed"]),
  output: jsonSchema,
});

/** A child run. When it is waited for, its failure is this step's. */
export function workflowAction(): Action {
  return defineAction({
    name: "workflow",
    description: "Starts a child run of another workflow and, unless told otherwise, waits for its end.",
    input,
    output,
    async perform(given, context): Promise<z.input<typeof output>> {
      const run = await context.startChild("child", {
        workflow: given.name,
        inputs: given.inputs,
        ...(given.title !== undefined && { title: given.title }),
      });
      if (!given.wait) return { run, status: "queued", output: null };
      const ended = await context.waitForChild("child/end", run);
      if (ended?.status === "completed") return { run, status: "completed", output: ended.output };
      const status = ended?.status ?? "failed";
      const why = ended?.failure ? `: ${ended.failure.message}` : "";
      throw new FailureError(
        failure("child_failed", `the child run ${run} of "${given.name}" ${status}${why}`, {
          run,
          status,
          failure: plain(ended?.failure ?? null),
        }),
      );
    },
  });
}
