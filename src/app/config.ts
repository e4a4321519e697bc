import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { CONNECTIONS } from "../adapters/store/postgres/connections.ts";
import { parseDuration } from "../base/duration.ts";
import { nearest } from "../base/text.ts";
import type { Role } from "../contracts/fleet.ts";
import type { AgentSpec } from "../domain/agent.ts";
import { fail, ok, type Result } from "../domain/errors.ts";
import { isLabel } from "../domain/label.ts";
import { LIMITS } from "../domain/limits.ts";
import { POLICY_NAMES, type PolicyName, type QualityTier, type Weights } from "../domain/routing.ts";
import type { RoutingSettings } from "../gateway/house.ts";

/** Everything that can be set from outside. Secrets are handed to the adapter that needs them and go no further. */
export interface Config {
  /** Absolute path of the folder that holds the database, artifacts and workspaces. */
  readonly dataDir: string;
  /** `postgres://…`, or `null`: then the database is a file in the data folder. */
  readonly databaseUrl: string | null;
  /** Most connections of this process to it. */
  readonly databaseConnections: number;
  /** `off`: an older schema is not brought up to date at start but refused, until `agent-runner db migrate`. */
  readonly migrate: "auto" | "off";
  readonly host: string;
  readonly port: number;
  /** What this process does. */
  readonly roles: readonly Role[];
  /** What it can do, beside what is found out: see `labelsOf`. */
  readonly labels: readonly string[];
  readonly slots: number;
  /** `provider/model` for agents that name none, or several separated by commas; `null` when none is set. */
  readonly model: string | null;
  /** The same for one kind of work, before `model`. */
  readonly stageModels: Readonly<Partial<Record<Stage, string>>>;
  readonly routing: RoutingSettings;
  /** Whether what is known of models' health is shared with the other processes of the database. */
  readonly sharedHealth: boolean;
  /** Absolute path of the models file; `null` when none is set. */
  readonly modelsFile: string | null;
  /** Absolute path of the budgets file; `null` when none is set. */
  readonly budgetsFile: string | null;
  /** `provider/model` that is asked when a free request may be for several workflows; `null` when none is. */
  readonly intentModel: string | null;
  /** `provider/model`, or several, that reads loosely written tasks and sums texts up; `null`: rules do. */
  readonly mediatorModel: string | null;
  /** Longest that it is waited for, in ms. */
  readonly mediatorMs: number;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
  /** How long steps may go on after a stop was asked for, in ms. */
  readonly drainMs: number;
  /** How long ended runs are kept, in ms; `null` for ever. */
  readonly retentionMs: number | null;
  /** A YAML script for the `scripted` provider; it is offered only when this is set. */
  readonly script: string | null;
  /** Absolute path of the limits file (priority classes, caps, tenants, rates); `null` for the defaults. */
  readonly limits: string | null;
  /** Whether a proxy in front says by headers who asks; without, everybody is the tenant `default`. */
  readonly trustIdentityHeaders: boolean;
  /** The environment that providers are configured from. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export const ROLES = ["http", "worker", "services"] as const satisfies readonly Role[];
const LEAST_RETENTION_MS = 60_000;

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

const MEDIATOR_VARIABLE = "MEDIATOR_MODEL";

/** What a reload changes of models and routing. */
export const ROUTING_VARIABLES: readonly string[] = [
  "AGENT_RUNNER_MODELS",
  "AGENT_RUNNER_MODEL",
  ...["POLICY", "ALLOW", "DENY", "UNKNOWN_PRICE", "MIN_QUALITY", "HEDGE", "REGIONS", "AFTER_CONTENT"].map(
    (name) => `AGENT_RUNNER_MODEL_${name}`,
  ),
  ...Object.values(STAGE_VARIABLES),
];

/** Laid over an environment in which one model is named for everything: before any file's models of stages. */
export function modelForAll(model: string): Readonly<Record<string, string | undefined>> {
  const stages = Object.values(STAGE_VARIABLES).map((name) => [name, model]);
  return { ...Object.fromEntries(stages), AGENT_RUNNER_MODEL: model, [MEDIATOR_VARIABLE]: undefined };
}

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

const roles = z
  .string()
  .transform((text) => [...new Set(text.split(",").map((one) => one.trim()))])
  .pipe(z.array(z.enum(ROLES, `expected one or several of ${ROLES.join(", ")}, separated by commas`)));

const labels = z
  .string()
  .transform((text) => [...new Set(text.split(",").map((one) => one.trim()))].filter((one) => one !== ""))
  .refine((all) => all.every(isLabel), 'expected labels such as "gpu" or "zone=eu", separated by commas')
  .refine((all) => all.length <= LIMITS.labels, `expected at most ${LIMITS.labels} labels`);

const retention = z.string().transform((text, context) => {
  if (text === "forever") return null;
  const ms = parseDuration(text);
  if (ms !== null && ms >= LEAST_RETENTION_MS) return ms;
  context.addIssue({ code: "custom", message: 'expected "forever" or at least a minute, such as "30d"' });
  return z.NEVER;
});

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
const regions = z
  .string()
  .transform((text) => text.split(",").map((one) => one.trim()))
  .refine(
    (all) => all.every((one) => /^[a-z0-9][a-z0-9-]*$/.test(one)),
    "expected regions such as eu,local, separated by commas",
  );
const providerModel = z
  .string()
  .regex(/^[^/\s]+\/\S+$/, "expected provider/model, e.g. anthropic/claude-sonnet-4-5");

const CONNECTIONS_EXPECTED = `expected a whole number from ${CONNECTIONS.least} to ${CONNECTIONS.most}`;

const settings = z.object({
  AGENT_RUNNER_DATA: z.string().min(1).optional(),
  AGENT_RUNNER_HOST: z.string().min(1).default("127.0.0.1"),
  AGENT_RUNNER_PORT: z.coerce.number("expected a port number").int().min(0).max(65_535).default(8_000),
  AGENT_RUNNER_SLOTS: z.coerce
    .number("expected a number of runs")
    .int()
    .min(1)
    .max(LIMITS.mostSlots)
    .default(LIMITS.workerSlots),
  AGENT_RUNNER_ROLES: roles.default([...ROLES]),
  AGENT_RUNNER_LABELS: labels.default([]),
  AGENT_RUNNER_RETENTION: retention.default(null),
  AGENT_RUNNER_MODEL: modelList.optional(),
  AGENT_RUNNER_MODEL_POLICY: routingPolicy.optional(),
  AGENT_RUNNER_MODEL_ALLOW: patterns.optional(),
  AGENT_RUNNER_MODEL_DENY: patterns.optional(),
  AGENT_RUNNER_MODEL_UNKNOWN_PRICE: z.enum(["allow", "deny"]).optional(),
  AGENT_RUNNER_MODEL_MIN_QUALITY: z
    .enum(["1", "2", "3", "4"], "expected a tier from 1 (small) to 4 (the best there is)")
    .transform((text) => Number(text) as QualityTier)
    .optional(),
  AGENT_RUNNER_MODEL_HEDGE: z.enum(["on", "off"]).optional(),
  AGENT_RUNNER_MODEL_REGIONS: regions.optional(),
  AGENT_RUNNER_MODEL_AFTER_CONTENT: z.enum(["terminate", "continue"]).optional(),
  AGENT_RUNNER_SHARED_HEALTH: z.enum(["1", "0", "true", "false"]).default("0"),
  AGENT_RUNNER_MODELS: z.string().min(1).optional(),
  AGENT_RUNNER_BUDGETS: z.string().min(1).optional(),
  AGENT_RUNNER_INTENT_MODEL: providerModel.optional(),
  AGENT_RUNNER_MEDIATOR_TIMEOUT: duration.default(LIMITS.mediatorMs),
  AGENT_RUNNER_LOG: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
  AGENT_RUNNER_DRAIN: duration.default(10_000),
  AGENT_RUNNER_MIGRATE: z.enum(["auto", "off"]).default("auto"),
  AGENT_RUNNER_SCRIPT: z.string().min(1).optional(),
  AGENT_RUNNER_LIMITS: z.string().min(1).optional(),
  AGENT_RUNNER_TRUST_IDENTITY_HEADERS: z.enum(["true", "false"]).default("false"),
  DATABASE_URL: z
    .string()
    .refine(
      (url) => /^postgres(ql)?:\/\//.test(url) && URL.canParse(url),
      "expected postgres://user:password@host/database",
    )
    .optional(),
  DATABASE_CONNECTIONS: z.coerce
    .number(CONNECTIONS_EXPECTED)
    .int(CONNECTIONS_EXPECTED)
    .min(CONNECTIONS.least, CONNECTIONS_EXPECTED)
    .max(CONNECTIONS.most, CONNECTIONS_EXPECTED)
    .default(CONNECTIONS.usual),
});

/** Names of others that we read, and of those the ones whose values are not shown. */
const FOREIGN: ReadonlySet<string> = new Set(["DATABASE_URL", "DATABASE_CONNECTIONS"]);
const SECRET: ReadonlySet<string> = new Set(["DATABASE_URL"]);

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
    const value = SECRET.has(name) ? "not usable" : JSON.stringify(given[name]);
    return fail("invalid_config", `${name} is ${value}: ${issue?.message}`, {
      setting: name,
    });
  }
  const read = parsed.data;
  const stageModels = readStageModels(env);
  if (!stageModels.ok) return stageModels;
  const mediatorModel = readModels(env, MEDIATOR_VARIABLE);
  if (!mediatorModel.ok) return mediatorModel;
  return ok({
    dataDir: resolve(read.AGENT_RUNNER_DATA ?? join(homedir(), ".agent-runner")),
    databaseUrl: read.DATABASE_URL ?? null,
    databaseConnections: read.DATABASE_CONNECTIONS,
    migrate: read.AGENT_RUNNER_MIGRATE,
    host: read.AGENT_RUNNER_HOST,
    port: read.AGENT_RUNNER_PORT,
    roles: read.AGENT_RUNNER_ROLES,
    labels: read.AGENT_RUNNER_LABELS,
    slots: read.AGENT_RUNNER_SLOTS,
    model: read.AGENT_RUNNER_MODEL ?? null,
    stageModels: stageModels.value,
    routing: routingFrom(read),
    sharedHealth: ["1", "true"].includes(read.AGENT_RUNNER_SHARED_HEALTH),
    modelsFile: read.AGENT_RUNNER_MODELS === undefined ? null : resolve(read.AGENT_RUNNER_MODELS),
    budgetsFile: read.AGENT_RUNNER_BUDGETS === undefined ? null : resolve(read.AGENT_RUNNER_BUDGETS),
    intentModel: read.AGENT_RUNNER_INTENT_MODEL ?? null,
    mediatorModel: mediatorModel.value,
    mediatorMs: read.AGENT_RUNNER_MEDIATOR_TIMEOUT,
    logLevel: read.AGENT_RUNNER_LOG,
    drainMs: read.AGENT_RUNNER_DRAIN,
    retentionMs: read.AGENT_RUNNER_RETENTION,
    script: read.AGENT_RUNNER_SCRIPT ?? null,
    limits: read.AGENT_RUNNER_LIMITS === undefined ? null : resolve(read.AGENT_RUNNER_LIMITS),
    trustIdentityHeaders: read.AGENT_RUNNER_TRUST_IDENTITY_HEADERS === "true",
    env,
  });
}

function readStageModels(env: Readonly<Record<string, string | undefined>>): Result<Config["stageModels"]> {
  const models: Partial<Record<Stage, string>> = {};
  for (const [stage, name] of Object.entries(STAGE_VARIABLES) as [Stage, string][]) {
    const read = readModels(env, name);
    if (!read.ok) return read;
    if (read.value !== null) models[stage] = read.value;
  }
  return ok(models);
}

function readModels(env: Readonly<Record<string, string | undefined>>, name: string): Result<string | null> {
  const value = env[name]?.trim();
  if (!value) return ok(null);
  const parsed = modelList.safeParse(value);
  if (parsed.success) return ok(parsed.data);
  const what = `${name} is ${JSON.stringify(value)}: ${parsed.error.issues[0]?.message}`;
  return fail("invalid_config", what, { setting: name });
}

function routingFrom(read: z.infer<typeof settings>): RoutingSettings {
  return {
    ...(read.AGENT_RUNNER_MODEL_UNKNOWN_PRICE !== undefined && {
      unknownPrice: read.AGENT_RUNNER_MODEL_UNKNOWN_PRICE,
    }),
    ...(read.AGENT_RUNNER_MODEL_MIN_QUALITY !== undefined && {
      minQuality: read.AGENT_RUNNER_MODEL_MIN_QUALITY,
    }),
    ...(read.AGENT_RUNNER_MODEL_HEDGE !== undefined && { hedge: read.AGENT_RUNNER_MODEL_HEDGE === "on" }),
    ...(read.AGENT_RUNNER_MODEL_REGIONS !== undefined && { regions: read.AGENT_RUNNER_MODEL_REGIONS }),
    ...(read.AGENT_RUNNER_MODEL_AFTER_CONTENT !== undefined && {
      afterContent: read.AGENT_RUNNER_MODEL_AFTER_CONTENT,
    }),
    ...(read.AGENT_RUNNER_MODEL_POLICY !== undefined && { policy: read.AGENT_RUNNER_MODEL_POLICY }),
    ...(read.AGENT_RUNNER_MODEL_ALLOW !== undefined && { allow: read.AGENT_RUNNER_MODEL_ALLOW }),
    ...(read.AGENT_RUNNER_MODEL_DENY !== undefined && { deny: read.AGENT_RUNNER_MODEL_DENY }),
  };
}
