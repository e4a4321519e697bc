import { z } from "zod";
import { parseDuration } from "../../base/duration.ts";
import { LIMITS } from "../../domain/limits.ts";
import { RunSchema, StartRunHeaders, StartRunSchema } from "./runs.ts";
import { jsonObject, runId } from "./shared.ts";

export const ACT_STATES = ["accepted", "running", "completed", "failed", "canceled"] as const;

export const ActRequestSchema = z
  .strictObject({
    text: z.string().min(1).max(LIMITS.textChars).optional().meta({
      description: "What is wanted, in free words. `key: value` lines, paths and quotations become inputs.",
    }),
    workflow: StartRunSchema.shape.workflow.optional(),
    agent: z.string().min(1).max(200).optional().meta({ description: "Name of an agent." }),
    inputs: jsonObject().default({}).meta({ description: "Inputs; they go before what the text says." }),
    title: StartRunSchema.shape.title,
    deadline: StartRunSchema.shape.deadline,
    start_by: StartRunSchema.shape.start_by,
    class: StartRunSchema.shape.class,
    priority: StartRunSchema.shape.priority,
    budget: StartRunSchema.shape.budget,
  })
  .meta({ id: "ActRequest", description: "At least one of `text`, `workflow` and `agent`." });

export const ActRequestHeaders = StartRunHeaders.extend({
  prefer: z
    .string()
    .max(1_000)
    .optional()
    .meta({
      description: `\`wait=N\`: answer when it has ended, or after N seconds, ${LIMITS.longPollMs / 1_000} at most.`,
    }),
});

export const CandidateSchema = z
  .object({
    kind: z.enum(["workflow", "agent"]),
    name: z.string(),
    score: z.number().min(0).max(1),
    reasons: z.array(z.string()),
  })
  .meta({ id: "Candidate" });

export const IntentSchema = z
  .object({
    text: z.string().nullable(),
    chosen: z.object({ kind: z.enum(["workflow", "agent"]), name: z.string() }),
    by: z.enum(["rules", "model", "named"]),
    model: z.string().nullable().meta({ description: "`provider/model`, when one decided." }),
    threshold: z.number(),
    candidates: z.array(CandidateSchema),
  })
  .meta({ id: "Intent", description: "How the request was understood; kept in the run." });

export const ActSchema = z
  .object({
    id: z.string().meta({ description: "Of the run too." }),
    state: z.enum(ACT_STATES),
    run: RunSchema,
    intent: IntentSchema,
    links: z.object({
      self: z.string(),
      run: z.string(),
      events: z.string(),
      artifacts: z.string(),
      cancel: z.string(),
    }),
  })
  .meta({ id: "Act" });
export type Act = z.infer<typeof ActSchema>;

export const ActParams = z.object({ id: runId() });
export const ActQuery = z.strictObject({
  wait: z
    .string()
    .max(20)
    .refine((text) => parseDuration(text) !== null, "a duration such as 30s")
    .optional()
    .meta({
      description: `Answer when it has ended, or after this duration, ${LIMITS.longPollMs / 1_000}s at most.`,
    }),
});
