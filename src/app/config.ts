import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { parseDuration } from "../base/duration.ts";
import { nearest } from "../base/text.ts";
import type { AgentSpec } from "../domain/agent.ts";
import { fail, ok, type Result } from "../domain/errors.ts";
import { LIMITS } from "../domain/limits.ts";
import { POLICY_NAMES, type PolicyName, type Weights } from "../domain/routing.ts";
import type { RoutingSettings } from "../gateway/house.ts";

/** Everything that can be set from outside. Secrets are handed to the adapter that needs them and go no further. */
export interface Config {
  /** Absolute path of the folder that holds the database, artifacts and workspaces. */
  readonly dataDir: string;
  /** `postgres://…`, or `null`: then the database is a file in the data folder. */
  readonly databaseUrl: string | null;
  readonly host: string;
  readonly port: number;
  readonly slots: number;
  /** `provider/model` for agents that name none, or several separated by commas; `null` when none is set. */
  readonly model: string | null;
  /** The same for one kind of work, before `model`. */
  readonly stageModels: Readonly<Partial<Record<Stage, string>>>;
  readonly routing: RoutingSettings;
  /** Absolute path of the budgets file; `null` when none is set. */
  readonly budgetsFile: string | null;
  /** `provider/model` that is asked when a free request may be for several workflows; `null` when none is. */
  readonly intentModel: string | null;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
  /** How long steps may go on after a stop was asked for, in ms. */
  readonly drainMs: number;
  /** A YAML script for the `scripted` provider; it is offered only when this is set. */
  readonly script: string | null;
  /** The environment that providers are configured from. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

type Stage = AgentSpec["model"]["stage"];

/** Without the prefix, as tools of this kind have always named them. */
const STAGE_VARIABLES: Readonly<Record<Stage, string>> = {
  context: "CONTEXT_MODEL",
  retrieval: "RETRIEVAL_MODEL",
  plan: "PLAN_MODEL",
  execute: "EXECUTION_MODEL",
  review: "REVIEW_MODEL",
  summarise: "SUMMARISE_MODEL",
};

/** Laid over an environment in which a model is named for everything. */
export const NO_STAGE_MODELS: Readonly<Record<string, undefined>> = Object.fromEntries(
  Object.values(STAGE_VARIABLES).map((name) => [name, undefined]),
);

const PREFIX = "AGENT_RUNNER_";

const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== null) return ms;
  context.addIssue({ code: "custom", message: 'expected a duration such as "30s" or "5m"' });
  return z.NEVER;
});

const modelList = z
  .string()
  .regex(
    /^\s*[^/\s,]+\/[^\s,]+(\s*,\s*[^/\s,]+\/[^\s,]+)*\s*$/,
    "expected provider/model, e.g. anthropic/claude-sonnet-5, or several separated by commas",
  );

const WEIGHTS = /^quality=(\d+(?:\.\d+)?),latency=(\d+(?:\.\d+)?),cost=(\d+(?:\.\d+)?)$/;

const routingPolicy = z.string().transform((text, context): PolicyName | Weights => {
  const named = POLICY_NAMES.find((name) => name === text);
  if (named !== undefined) return named;
  const [, quality, latency, cost] = WEIGHTS.exec(text.replaceAll(/\s/g, "")) ?? [];
  if (cost !== undefined) return { quality: Number(quality), latency: Number(latency), cost: Number(cost) };
  const message = `expected ${POLICY_NAMES.join(", ")} or weights such as "quality=1,latency=1,cost=0.5"`;
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

const patterns = z
  .string()
  .transform((text) => text.split(",").map((one) => one.trim()))
  .refine(
    (all) => all.every((one) => /^[^/\s*]+\/([^\s*]+\*?|\*)$/.test(one)),
    "expected patterns such as anthropic/*, openai/gpt-5.5, separated by commas",
  );
const providerModel = z
  .string()
  .regex(/^[^/\s]+\/\S+$/, "expected provider/model, e.g. anthropic/claude-sonnet-4-5");

const settings = z.object({
  AGENT_RUNNER_DATA: z.string().min(1).optional(),
  AGENT_RUNNER_HOST: z.string().min(1).default("127.0.0.1"),
  AGENT_RUNNER_PORT: z.coerce.number("expected a port number").int().min(0).max(65_535).default(8_000),
  AGENT_RUNNER_SLOTS: z.coerce
    .number("expected a number of runs")
    .int()
    .min(1)
    .max(10_000)
    .default(LIMITS.workerSlots),
  AGENT_RUNNER_MODEL: modelList.optional(),
  AGENT_RUNNER_MODEL_POLICY: routingPolicy.optional(),
  AGENT_RUNNER_MODEL_ALLOW: patterns.optional(),
  AGENT_RUNNER_MODEL_DENY: patterns.optional(),
  AGENT_RUNNER_MODEL_UNKNOWN_PRICE: z.enum(["allow", "deny"]).default("allow"),
  AGENT_RUNNER_BUDGETS: z.string().min(1).optional(),
  AGENT_RUNNER_INTENT_MODEL: providerModel.optional(),
  AGENT_RUNNER_LOG: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
  AGENT_RUNNER_DRAIN: duration.default(10_000),
  AGENT_RUNNER_SCRIPT: z.string().min(1).optional(),
  DATABASE_URL: z
    .string()
    .refine(
      (url) => /^postgres(ql)?:\/\//.test(url) && URL.canParse(url),
      "expected postgres://user:password@host/database",
    )
    .optional(),
});

/** Names of others that we read: their values may be secrets and are not shown. */
const FOREIGN: ReadonlySet<string> = new Set(["DATABASE_URL"]);

/** From environment variables. An empty variable counts as unset; an unknown `AGENT_RUNNER_…` is an error, not a guess. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Result<Config> {
  const given = Object.fromEntries(
    Object.entries(env).filter(([name, value]) => (name.startsWith(PREFIX) || FOREIGN.has(name)) && value),
  );
  const known = Object.keys(settings.shape);
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    return fail("invalid_config", `${name} is not a setting${near ? `; did you mean ${near}?` : ""}`, {
      setting: name,
    });
  }
  const parsed = settings.safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const name = String(issue?.path[0] ?? "");
    const value = FOREIGN.has(name) ? "not usable" : JSON.stringify(given[name]);
    return fail("invalid_config", `${name} is ${value}: ${issue?.message}`, {
      setting: name,
    });
  }
  const read = parsed.data;
  const stageModels = readStageModels(env);
  if (!stageModels.ok) return stageModels;
  return ok({
    dataDir: resolve(read.AGENT_RUNNER_DATA ?? join(homedir(), ".agent-runner")),
    databaseUrl: read.DATABASE_URL ?? null,
    host: read.AGENT_RUNNER_HOST,
    port: read.AGENT_RUNNER_PORT,
    slots: read.AGENT_RUNNER_SLOTS,
    model: read.AGENT_RUNNER_MODEL ?? null,
    stageModels: stageModels.value,
    routing: routingFrom(read),
    budgetsFile: read.AGENT_RUNNER_BUDGETS === undefined ? null : resolve(read.AGENT_RUNNER_BUDGETS),
    intentModel: read.AGENT_RUNNER_INTENT_MODEL ?? null,
    logLevel: read.AGENT_RUNNER_LOG,
    drainMs: read.AGENT_RUNNER_DRAIN,
    script: read.AGENT_RUNNER_SCRIPT ?? null,
    env,
  });
}

function readStageModels(env: Readonly<Record<string, string | undefined>>): Result<Config["stageModels"]> {
  const models: Partial<Record<Stage, string>> = {};
  for (const [stage, name] of Object.entries(STAGE_VARIABLES) as [Stage, string][]) {
    const value = env[name]?.trim();
    if (!value) continue;
    const parsed = modelList.safeParse(value);
    if (!parsed.success) {
      const what = `${name} is ${JSON.stringify(value)}: ${parsed.error.issues[0]?.message}`;
      return fail("invalid_config", what, { setting: name });
    }
    models[stage] = parsed.data;
  }
  return ok(models);
}

function routingFrom(read: z.infer<typeof settings>): RoutingSettings {
  return {
    unknownPrice: read.AGENT_RUNNER_MODEL_UNKNOWN_PRICE,
    ...(read.AGENT_RUNNER_MODEL_POLICY !== undefined && { policy: read.AGENT_RUNNER_MODEL_POLICY }),
    ...(read.AGENT_RUNNER_MODEL_ALLOW !== undefined && { allow: read.AGENT_RUNNER_MODEL_ALLOW }),
    ...(read.AGENT_RUNNER_MODEL_DENY !== undefined && { deny: read.AGENT_RUNNER_MODEL_DENY }),
  };
}
