import { z } from "zod";
import { LIMITS } from "../../domain/limits.ts";
import { RUN_STATUSES, STEP_STATUSES } from "../../domain/run.ts";
import { ApprovalSchema, ArtifactSchema } from "./artifacts.ts";
import { SlaSchema } from "./queue.ts";
import { count, FailureSchema, json, jsonObject, moment, paging, runId } from "./shared.ts";
import { RunBudgetRequestSchema, RunBudgetSchema } from "./spend.ts";

export const StartRunSchema = z
  .strictObject({
    workflow: z.string().min(1).max(200).meta({ description: "Name (its newest version) or hash." }),
    inputs: jsonObject().default({}),
    title: z.string().min(1).max(LIMITS.titleChars).optional(),
    deadline: z
      .string()
      .max(64)
      .optional()
      .meta({ description: "A duration from now (`2h`) or a moment (`2026-01-31T12:00:00Z`)." }),
    start_by: z.string().max(64).optional().meta({
      description: "A duration or a moment: a run that has not begun by then is not begun any more.",
    }),
    class: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .meta({ description: "A priority class, e.g. `high`; `GET /v1/queue` lists them." }),
    priority: z
      .int()
      .min(0)
      .max(LIMITS.priorities - 1)
      .optional()
      .meta({ description: "0 is the most urgent. Instead of a class." }),
    budget: RunBudgetRequestSchema.optional(),
  })
  .meta({ id: "StartRun" });
export type StartRunBody = z.input<typeof StartRunSchema>;

export const StartRunHeaders = z.looseObject({
  "idempotency-key": z
    .string()
    .min(1)
    .max(LIMITS.idempotencyKeyChars)
    .regex(/^[\x21-\x7e]+$/)
    .optional()
    .meta({ description: "The same key with the same body starts one run, however often it is sent." }),
});

const runFields = {
  id: z.string(),
  workflow: z.string(),
  workflow_hash: z.string(),
  status: z.enum(RUN_STATUSES),
  paused: z.boolean(),
  waiting_for: z.array(z.string()),
  title: z.string(),
  tenant: z.string(),
  queue: z.string(),
  priority: z.int(),
  parent: z.object({ run: z.string(), step: z.string() }).nullable(),
  created_at: moment(),
  started_at: moment().nullable(),
  ended_at: moment().nullable(),
  deadline_at: moment().nullable(),
  sla: SlaSchema,
  failure: FailureSchema.nullable(),
};

export const RunListItemSchema = z.object(runFields).meta({ id: "RunListItem" });
export type RunListItem = z.infer<typeof RunListItemSchema>;

export const RunSchema = z.object({ ...runFields, output: json() }).meta({ id: "Run" });
export type Run = z.infer<typeof RunSchema>;

export const RunPageSchema = z
  .object({
    runs: z.array(RunListItemSchema),
    next_after: z
      .string()
      .nullable()
      .meta({ description: "`after` of the next page; null when there is none." }),
  })
  .meta({ id: "RunPage" });
export type RunPage = z.infer<typeof RunPageSchema>;

/** A query field that may be given once, repeatedly or as a comma-separated list. */
const listOf = <T extends z.ZodType>(item: T) =>
  z.preprocess((value) => {
    const all = Array.isArray(value) ? value : [value];
    return all.flatMap((one) => (typeof one === "string" ? one.split(",") : [one]));
  }, z.array(item).max(10));

export const RunListQuery = z.strictObject({
  status: listOf(z.enum(RUN_STATUSES)).optional(),
  workflow: z.string().max(200).optional(),
  tenant: z.string().min(1).max(100).optional(),
  parent: runId().optional(),
  ...paging,
  after: runId().optional(),
});

export const WaitSchema = z
  .object({
    step: z.string(),
    on: z.enum(["signal", "timer", "child", "approval"]),
    name: z
      .string()
      .meta({ description: "The signal's name, the approval's or the child run's id; empty for a timer." }),
    until: moment().nullable(),
  })
  .meta({ id: "Wait" });

export const StepSchema = z
  .object({
    id: z.string().meta({ description: "`build`, or `build#3` for an instance of a foreach." }),
    status: z.enum(STEP_STATUSES),
    attempts: count(),
    started_at: moment().nullable(),
    ended_at: moment().nullable(),
    elapsed_ms: count().nullable(),
    retry_at: moment().nullable(),
    output: json().meta({
      description: "Null when there is none or it is too large to show; see output_chars.",
    }),
    output_chars: count(),
    failure: FailureSchema.nullable(),
    reason: z.string().nullable(),
    instances: z.object({ total: count(), ended: count() }).nullable(),
    last_note: z.object({ name: z.string(), at: moment() }).nullable(),
  })
  .meta({ id: "Step" });
export type Step = z.infer<typeof StepSchema>;

export const UsageSchema = z
  .object({
    input: count(),
    cache_read: count(),
    cache_write: count(),
    output: count(),
    reasoning: count(),
  })
  .meta({ id: "Usage", description: "Tokens in exclusive buckets." });

const useFields = {
  calls: count(),
  tokens: UsageSchema,
  cost_usd: z.number().meta({ description: "Of the calls whose price is known." }),
  unpriced_calls: count(),
};

export const ProgressSchema = z
  .object({
    phase: z.string(),
    elapsed_ms: count(),
    percent: z.int().min(0).max(100),
    eta_ms: count()
      .nullable()
      .meta({
        description:
          "A guess at what is left, in ms: from how long such runs usually take, or else from how far this one has come. " +
          "Null when there is nothing to go by, while it waits, and after its end.",
      }),
    steps_ended: count(),
    steps_total: count(),
    last_events: z.array(
      z.object({
        seq: count(),
        at: moment(),
        kind: z.string(),
        step: z.string().nullable(),
        text: z.string(),
      }),
    ),
    changed_files: z.array(z.string()),
  })
  .meta({ id: "Progress" });

export const RunDetailSchema = z
  .object({
    ...runFields,
    output: json(),
    principal: z
      .string()
      .nullable()
      .meta({ description: "Who of the tenant asked for it, if that was said." }),
    inputs: json(),
    workflow_version: z.string(),
    cancel_requested: z.object({ by: z.string(), reason: z.string() }).nullable(),
    last_seq: count(),
    steps: z.array(StepSchema),
    waiting: z.array(WaitSchema),
    approvals: z.array(ApprovalSchema),
    artifacts: z.array(ArtifactSchema),
    children: z.array(
      z.object({
        run: z.string(),
        workflow: z.string(),
        step: z.string(),
        status: z.enum(RUN_STATUSES).nullable(),
      }),
    ),
    usage: z.object({
      ...useFields,
      by_model: z.array(z.object({ model: z.string(), stage: z.string(), ...useFields })),
    }),
    budget: RunBudgetSchema,
    progress: ProgressSchema,
  })
  .meta({ id: "RunDetail" });
export type RunDetail = z.infer<typeof RunDetailSchema>;

export const RunParams = z.object({ id: runId() });
export const CancelRunSchema = z
  .strictObject({ reason: z.string().min(1).max(LIMITS.textChars).optional() })
  .meta({ id: "CancelRun" });
export const EmptyBodySchema = z.strictObject({}).meta({ id: "Nothing" });
export const SignalSchema = z
  .strictObject({
    name: z.string().min(1).max(128),
    body: json().default(null),
    id: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .meta({ description: "The same id again changes nothing, so that a lost answer can be asked again." }),
  })
  .meta({ id: "Signal" });
export const ReplySchema = z
  .strictObject({ text: z.string().min(1).max(LIMITS.textChars), id: z.string().min(1).max(200).optional() })
  .meta({ id: "Reply" });
