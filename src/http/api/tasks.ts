import { z } from "zod";
import { LIMITS } from "../../domain/limits.ts";

export const ReadTaskSchema = z
  .strictObject({
    text: z
      .string()
      .min(1)
      .max(LIMITS.textChars)
      .meta({ description: "The task, however it was written: sentences, lists, Markdown." }),
  })
  .meta({ id: "ReadTask" });

export const TaskSpecSchema = z
  .object({
    id: z.string(),
    title: z.string(),
    description: z.string().meta({ description: "The text, word for word." }),
    changes: z.array(z.string()),
    context: z.array(z.string()),
    acceptance: z.array(z.string()),
    hints: z.object({ paths: z.array(z.string()), checks: z.array(z.string()) }),
  })
  .meta({ id: "TaskSpec", description: "Can be sent back as the `task` of a workflow." });

export const TaskReadingSchema = z
  .object({
    task: TaskSpecSchema,
    by: z.enum(["model", "rules"]),
    model: z.string().nullable().meta({ description: "The `provider/model` that was asked." }),
    reason: z.string().nullable().meta({ description: "Why rules read it." }),
  })
  .meta({ id: "TaskReading" });
export type TaskReading = z.infer<typeof TaskReadingSchema>;
