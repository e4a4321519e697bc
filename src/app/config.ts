import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { parseDuration } from "../base/duration.ts";
import { nearest } from "../base/text.ts";
import { fail, ok, type Result } from "../domain/errors.ts";
import { LIMITS } from "../domain/limits.ts";

/** Everything that can be set from outside. Secrets are handed to the adapter that needs them and go no further. */
export interface Config {
  /** Absolute path of the folder that holds the database, artifacts and workspaces. */
  readonly dataDir: string;
  /** `postgres://…`, or `null`: then the database is a file in the data folder. */
  readonly databaseUrl: string | null;
  readonly host: string;
  readonly port: number;
  readonly slots: number;
  /** `provider/model` for agents that name none; `null` when none is set. */
  readonly model: string | null;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
  /** How long steps may go on after a stop was asked for, in ms. */
  readonly drainMs: number;
  /** A YAML script for the `scripted` provider; it is offered only when this is set. */
  readonly script: string | null;
  /** The environment that providers are configured from. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

const PREFIX = "AGENT_RUNNER_";

const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== null) return ms;
  context.addIssue({ code: "custom", message: 'expected a duration such as "30s" or "5m"' });
  return z.NEVER;
});

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
  AGENT_RUNNER_MODEL: z
    .string()
    .regex(/^[^/\s]+\/\S+$/, "expected provider/model, e.g. anthropic/claude-sonnet-4-5")
    .optional(),
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
  return ok({
    dataDir: resolve(read.AGENT_RUNNER_DATA ?? join(homedir(), ".agent-runner")),
    databaseUrl: read.DATABASE_URL ?? null,
    host: read.AGENT_RUNNER_HOST,
    port: read.AGENT_RUNNER_PORT,
    slots: read.AGENT_RUNNER_SLOTS,
    model: read.AGENT_RUNNER_MODEL ?? null,
    logLevel: read.AGENT_RUNNER_LOG,
    drainMs: read.AGENT_RUNNER_DRAIN,
    script: read.AGENT_RUNNER_SCRIPT ?? null,
    env,
  });
}
