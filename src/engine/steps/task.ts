import { z } from "zod";
import type { Action, ActionContext } from "../../contracts/action.ts";
import type { Mediated } from "../../contracts/mediator.ts";
import type { TaskSpec } from "../../domain/task.ts";
import { readTaskText } from "../../domain/task-text.ts";
import { defineAction } from "./define-action.ts";
import { onceOf, throwIfAborted } from "./effects.ts";
import type { StepParts } from "./parts.ts";
import { taskOf, taskSchema, taskSpecSchema } from "./shapes.ts";
import { storyOf } from "./story.ts";

const input = z.strictObject({
  task: taskSchema.describe("Text or TaskSpec; a TaskSpec is passed on as it is."),
});
const output = z.object({
  task: taskSpecSchema,
  by: z.enum(["given", "model", "rules"]).describe("Who read it."),
  model: z.string().nullable().describe("The `provider/model` that was asked."),
  reason: z.string().nullable().describe("Why rules read it."),
});

/** A loosely written task as a TaskSpec: by the mediator model where there is one, by rules otherwise. */
export function taskAction(parts: StepParts): Action {
  return defineAction({
    name: "task",
    description: "Reads a loosely written task into title, changes, context, acceptance, paths and checks.",
    input,
    output,
    async perform({ task }, context): Promise<z.input<typeof output>> {
      if (typeof task !== "string") return toWire({ value: taskOf(task), by: "given" });
      return toWire(await readTaskOnce(parts, context, task));
    },
  });
}

function toWire(read: Omit<Mediated<TaskSpec>, "by"> & { readonly by: "given" | "model" | "rules" }) {
  const { id, title, description, changes, context, acceptance, hints } = read.value;
  const task = {
    id,
    title,
    description,
    changes: [...changes],
    context: [...context],
    acceptance: [...acceptance],
    hints: { paths: [...hints.paths], checks: [...hints.checks] },
  };
  return { task, by: read.by, model: read.model ?? null, reason: read.reason ?? null };
}

/** Asked once and recorded, so that a resumed or replayed run reads the same. */
export async function readTaskOnce(
  parts: Pick<StepParts, "mediator">,
  context: ActionContext,
  text: string,
): Promise<Mediated<TaskSpec>> {
  const { mediator } = parts;
  if (mediator === undefined || !mediator.hasModel) {
    return { value: readTaskText(text), by: "rules", reason: "no mediator model is configured" };
  }
  const read = await onceOf<Mediated<TaskSpec>>(context, "task", {
    effect: "pure",
    request: { task: text },
    label: "read the task",
    perform: async (call) => {
      const signal = AbortSignal.any([context.signal, call.signal]);
      const said = await mediator.readTask(text, { signal, payer: context.run.payer });
      throwIfAborted(signal);
      return said;
    },
  });
  const { by, model = null, reason = null } = read;
  storyOf(context).note("task_read", { by, model, reason });
  return read;
}
