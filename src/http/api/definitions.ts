import { z } from "zod";
import { count, jsonObject, moment } from "./shared.ts";

const workflowFields = {
  name: z.string(),
  version: z.string(),
  hash: z.string(),
  description: z.string(),
  origin: z.enum(["built-in", "uploaded", "project"]),
  saved_at: moment(),
};
export const WorkflowListItemSchema = z
  .object({ ...workflowFields, steps: count() })
  .meta({ id: "WorkflowListItem" });
export type WorkflowListItem = z.infer<typeof WorkflowListItemSchema>;
export const WorkflowListSchema = z
  .object({ workflows: z.array(WorkflowListItemSchema) })
  .meta({ id: "WorkflowList" });

export const WorkflowStepSchema = z
  .object({
    id: z.string(),
    uses: z.string(),
    needs: z.array(z.string()),
    with: jsonObject(),
    if: z.string().nullable(),
    max_attempts: z.int().min(1),
    timeout_ms: count().nullable(),
    foreach: z.object({ items: z.string(), max_parallel: count(), fail_fast: z.boolean() }).nullable(),
    on_failure: z.string().meta({ description: "`fail`, `continue` or `run:<step>`." }),
    outputs: z.record(z.string(), z.string()).nullable(),
  })
  .meta({ id: "WorkflowStep" });

export const WorkflowSchema = z
  .object({
    ...workflowFields,
    examples: z.array(z.string()).meta({ description: "Requests in free words that it is for." }),
    inputs: jsonObject().meta({ description: "JSON Schema of the inputs." }),
    outputs: z.record(z.string(), z.string()),
    timeout_ms: count().nullable(),
    max_parallel: count(),
    steps: z.array(WorkflowStepSchema),
    source: z.string(),
  })
  .meta({ id: "Workflow" });
export type Workflow = z.infer<typeof WorkflowSchema>;

export const WorkflowParams = z.object({
  name: z.string().min(1).max(200).meta({ description: "Name or hash." }),
});
export const WorkflowSourceSchema = z
  .strictObject({ source: z.string().min(1), file: z.string().min(1).max(300).optional() })
  .meta({
    id: "WorkflowSource",
    description: "A workflow's YAML; may also be sent as it is, as application/yaml.",
  });

export const DiagnosticSchema = z
  .object({
    file: z.string(),
    line: z.int(),
    column: z.int(),
    path: z.string(),
    message: z.string(),
    expected: z.string().optional(),
    suggestion: z.string().optional(),
  })
  .meta({ id: "Diagnostic" });
export type Diagnostic = z.infer<typeof DiagnosticSchema>;

export const ValidationSchema = z
  .object({
    valid: z.boolean(),
    name: z.string().nullable(),
    hash: z.string().nullable(),
    diagnostics: z.array(DiagnosticSchema),
    warnings: z.array(DiagnosticSchema),
  })
  .meta({ id: "Validation" });
export const UploadedWorkflowSchema = z
  .object({ workflow: WorkflowSchema, created: z.boolean(), warnings: z.array(DiagnosticSchema) })
  .meta({ id: "UploadedWorkflow" });

const agentFields = {
  name: z.string(),
  description: z.string(),
  hash: z.string(),
  model: z.string().nullable().meta({ description: "`provider/model`; null for the default of its stage." }),
  stage: z.string(),
  tools: z.array(z.string()),
};
export const AgentListItemSchema = z.object(agentFields).meta({ id: "AgentListItem" });
export type AgentListItem = z.infer<typeof AgentListItemSchema>;
export const AgentListSchema = z.object({ agents: z.array(AgentListItemSchema) }).meta({ id: "AgentList" });
export const AgentSchema = z
  .object({
    ...agentFields,
    examples: z.array(z.string()).meta({ description: "Requests in free words that it is for." }),
    max_output_tokens: count(),
    temperature: z.number().nullable(),
    limits: z.object({
      turns: count(),
      tokens: count(),
      cost_usd: z.number().nullable(),
      wall_time_ms: count(),
      repair_rounds: count(),
      context_tokens: count(),
      compact_at_tokens: count(),
    }),
    validation: z.object({
      gates: z.boolean(),
      min_chars: count().nullable(),
      must_mention: z.array(z.string()),
      may_change_nothing: z.boolean(),
    }),
    prompt: z.string(),
  })
  .meta({ id: "Agent" });
export type Agent = z.infer<typeof AgentSchema>;
export const AgentParams = z.object({ name: z.string().min(1).max(200) });

export const ModelHealthSchema = z
  .object({
    state: z
      .enum(["ok", "unused", "probing", "full", "limited", "open", "quarantined"])
      .describe(
        "As this server sees it from its own calls, and from those of others that share what they see; `open`, `quarantined`: calls go elsewhere for now.",
      ),
    detail: z.string(),
    ttft_ms: z.number().nullable().describe("Expected time to the first token."),
    ttft_p95_ms: z.number().nullable().describe("Of the last hundred calls."),
    gap_ms: z.number().nullable().describe("Expected time between two tokens."),
    error_rate: z.number().min(0).max(1).describe("Of the last minute or so."),
    in_flight: count(),
    concurrency_limit: count()
      .nullable()
      .describe("Calls at a time, learnt from rate limits; null when none was met."),
    samples: count().describe("Of this server's own calls."),
    from: z
      .string()
      .nullable()
      .describe("The process that this server has the state from; null when it found out itself."),
  })
  .meta({ id: "ModelHealth" });

export const ProviderSchema = z
  .object({
    name: z.string(),
    status: z.enum(["ok", "unconfigured", "failing"]),
    detail: z.string(),
    models: z.array(z.string()),
    is_default: z.boolean(),
    live: z
      .array(z.object({ model: z.string(), health: ModelHealthSchema }))
      .describe("Of its models that this server has used."),
  })
  .meta({ id: "Provider" });
export const ProviderListSchema = z
  .object({ providers: z.array(ProviderSchema) })
  .meta({ id: "ProviderList" });
export type ProviderList = z.infer<typeof ProviderListSchema>;

export const ModelSchema = z
  .object({
    provider: z.string(),
    model: z.string(),
    available: z.boolean().describe("Whether its provider is configured."),
    stages: z.array(z.string()).describe("For which stages it is a candidate by configuration."),
    tools: z.boolean(),
    json: z.boolean(),
    context_tokens: count().nullable(),
    quality: z.number().int().min(1).max(4).describe("1 small, 2 solid, 3 strong, 4 the best there is."),
    price: z
      .object({ input: count(), cache_read: count(), cache_write: count(), output: count() })
      .nullable()
      .describe("Micro-US-dollars per million tokens; null when unknown."),
    health: ModelHealthSchema,
  })
  .meta({ id: "Model" });
export const ModelListSchema = z.object({ models: z.array(ModelSchema) }).meta({ id: "ModelList" });
export type ModelList = z.infer<typeof ModelListSchema>;

export const HealthSchema = z
  .object({ status: z.literal("ok"), version: z.string(), uptime_ms: count() })
  .meta({ id: "Health" });
export const ReadinessSchema = z
  .object({
    ready: z.boolean(),
    checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string() })),
  })
  .meta({ id: "Readiness" });
export type ReadinessBody = z.infer<typeof ReadinessSchema>;
