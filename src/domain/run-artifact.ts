import { z } from "zod";
import { isJsonObject, type Json } from "../base/json.ts";
import { RUN_STATUSES, STEP_STATUSES } from "./run.ts";

/** The name that every version carries; a document without it is older than the schema. */
export const RUN_ARTIFACT_SCHEMA = "agent-runner/run";
/** A new number for every change that an old reader would misread. */
export const RUN_ARTIFACT_VERSION = 1;

const MAX_PROBLEMS = 50;

const time = z.number().int().describe("ms since the Unix epoch");
const json = z.any() as unknown as z.ZodType<Json, Json>;

const usage = z.strictObject({
  input: z.number(),
  cache_read: z.number(),
  cache_write: z.number(),
  output: z.number(),
  reasoning: z.number(),
});

const failed = z.strictObject({ code: z.string(), message: z.string(), retryable: z.boolean() });

const step = z.strictObject({
  id: z.string(),
  status: z.enum(STEP_STATUSES),
  attempts: z.number().int(),
  started_at: time.nullable(),
  ended_at: time.nullable(),
  failure: failed.nullable(),
});

const modelCall = z.strictObject({
  step: z.string(),
  attempt: z.number().int(),
  key: z.string(),
  provider: z.string(),
  model: z.string(),
  stage: z.string(),
  ok: z.boolean(),
  usage,
  cost_micros: z.number().nullable().describe("Micro-US-dollars; null when the price is unknown."),
  ms: z.number(),
});

const gate = z.strictObject({
  step: z.string(),
  name: z.string(),
  required: z.boolean(),
  passed: z.boolean(),
  exit_code: z.number().nullable(),
  ms: z.number(),
});

const artifact = z.strictObject({
  id: z.string(),
  name: z.string(),
  kind: z.string(),
  media_type: z.string(),
  bytes: z.number().int(),
  sha256: z.string(),
});

/** What happened that should not have: refused calls, escapes, secrets. */
const violation = z.strictObject({ step: z.string(), kind: z.string(), message: z.string() });

export const runArtifactSchema = z
  .strictObject({
    schema: z.literal(RUN_ARTIFACT_SCHEMA),
    version: z.literal(RUN_ARTIFACT_VERSION),
    run: z.strictObject({
      id: z.string(),
      title: z.string(),
      tenant: z.string(),
      status: z.enum(RUN_STATUSES),
      created_at: time,
      started_at: time.nullable(),
      ended_at: time.nullable(),
    }),
    workflow: z.strictObject({ name: z.string(), version: z.string(), hash: z.string() }),
    inputs: json,
    steps: z.array(step),
    model_calls: z.array(modelCall),
    totals: z.strictObject({
      usage,
      cost_micros: z.number().nullable(),
      calls_without_price: z.number().int(),
    }),
    gates: z.array(gate).describe("The latest judgement of each step."),
    files_modified: z.array(z.string()).describe("From git, against the base commit."),
    commit: z.strictObject({ commit: z.string(), branch: z.string(), message: z.string() }).nullable(),
    artifacts: z.array(artifact),
    linkage: z.strictObject({
      parent: z.strictObject({ run: z.string(), step: z.string() }).nullable(),
      children: z.array(
        z.strictObject({
          run: z.string(),
          step: z.string(),
          workflow: z.string(),
          status: z.enum(["started", "completed", "failed", "canceled"]),
        }),
      ),
    }),
    security: z.strictObject({
      sandbox: z.string(),
      guarded_write: z
        .boolean()
        .describe("Whether changes were staged for an approval before they were applied."),
      allowlist_root: z.string().nullable().describe("The one folder that tools may write to."),
      kept_out: z.array(z.string()).describe("Files that were not committed because they look sensitive."),
      violations: z.array(violation),
    }),
  })
  .describe("What a run of agent-runner was and what became of it.");

export type RunArtifact = z.output<typeof runArtifactSchema>;

export type RunArtifactCheck =
  | { readonly kind: "valid"; readonly artifact: RunArtifact }
  /** Older than the schema, or of an older version of it; left out of the check when the caller says so. */
  | { readonly kind: "legacy"; readonly ignored: boolean; readonly message: string }
  | {
      readonly kind: "invalid";
      readonly problems: readonly { readonly path: string; readonly message: string }[];
    };

/** Whether a parsed `run.json` is one. Never throws. */
export function validateRunArtifact(
  value: unknown,
  options: { readonly ignoreLegacy?: boolean } = {},
): RunArtifactCheck {
  if (!isJsonObject(value)) return invalid("", "a run artifact is a JSON object");
  const ignored = options.ignoreLegacy ?? false;
  if (value.schema === undefined) {
    return { kind: "legacy", ignored, message: `no \`schema\`: written before ${RUN_ARTIFACT_SCHEMA}` };
  }
  if (value.schema !== RUN_ARTIFACT_SCHEMA) {
    return invalid("schema", `must be "${RUN_ARTIFACT_SCHEMA}", is ${JSON.stringify(value.schema)}`);
  }
  const { version } = value;
  if (typeof version === "number" && version < RUN_ARTIFACT_VERSION) {
    return { kind: "legacy", ignored, message: `version ${version}; the newest is ${RUN_ARTIFACT_VERSION}` };
  }
  const parsed = runArtifactSchema.safeParse(value);
  if (parsed.success) return { kind: "valid", artifact: parsed.data };
  const problems = parsed.error.issues
    .slice(0, MAX_PROBLEMS)
    .map((issue) => ({ path: issue.path.join("."), message: issue.message }));
  return { kind: "invalid", problems };
}

function invalid(path: string, message: string): RunArtifactCheck {
  return { kind: "invalid", problems: [{ path, message }] };
}

/** The JSON Schema (2020-12) of `run.json`, as published in `schemas/`. */
export function runArtifactJsonSchema(): object {
  return {
    $id: `urn:agent-runner:run:v${RUN_ARTIFACT_VERSION}`,
    ...z.toJSONSchema(runArtifactSchema),
  };
}
