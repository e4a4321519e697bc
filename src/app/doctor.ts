import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { programsOnPath } from "../adapters/sandbox/host/surroundings.ts";
import { inspectPostgres, roomInPostgres, unservedInPostgres } from "../adapters/store/postgres/inspect.ts";
import { judgeSchema, type SchemaState } from "../adapters/store/sql/migrations.ts";
import { inspectSqlite, unservedInSqlite } from "../adapters/store/sqlite/inspect.ts";
import type { GateSpec } from "../contracts/gates.ts";
import { ERRORS, type Failure, FailureError } from "../domain/errors.ts";
import { LIMITS } from "../domain/limits.ts";
import type { Config } from "./config.ts";
import { SQLITE_FILE } from "./database.ts";
import { createModels } from "./models.ts";
import { redactorFor } from "./redact.ts";
import { gatesOf } from "./repo-gates.ts";
import { systemClock } from "./system-clock.ts";

export interface Check {
  readonly name: string;
  /** `warn`: it works, and something will be missing. */
  readonly status: "ok" | "warn" | "fail";
  readonly detail: string;
  /** What to do; `null` when nothing is. */
  readonly remedy: string | null;
}

const NODE_MAJOR = 24;
const GIT_AT_LEAST = [2, 30] as const;
const LITTLE_BYTES = 5 * 1_024 ** 3;
const TOO_LITTLE_BYTES = 256 * 1_024 ** 2;
/** Of the server's connections; others need some too. */
const NEARLY_ALL = 0.8;
const COMMAND_MS = 10_000;

const run = promisify(execFile);

/** Whether agent-runner can work here, check by check, as each is known. Changes nothing. */
export async function* diagnose(config: Config, cwd: string): AsyncGenerator<Check> {
  yield node();
  yield await dataFolder(config.dataDir);
  yield await freeDisk(config.dataDir);
  const database = config.databaseUrl === null ? sqlite(config.dataDir) : await postgres(config.databaseUrl);
  yield database.check;
  if (database.ready && config.databaseUrl !== null)
    yield await connections(config.databaseUrl, config.databaseConnections);
  if (database.ready) yield* unserved(config);
  yield await git();
  yield await programs();
  yield* providers(config);
  yield await gates(cwd);
}

function node(): Check {
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= NODE_MAJOR) return good("node", `${process.versions.node} at ${process.execPath}`);
  return bad("node", `this is Node ${process.versions.node}`, `Use Node ${NODE_MAJOR} or later.`);
}

/** The folder, or the nearest one above it that is there. */
async function nearestFolder(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    const found = await stat(at).catch(() => null);
    if (found !== null || at === dirname(at)) return at;
  }
}

async function dataFolder(dir: string): Promise<Check> {
  const name = "data folder";
  const there = await nearestFolder(dir);
  const found = await stat(there).catch(() => null);
  if (!found?.isDirectory()) return bad(name, `${there} is not a folder`, ERRORS.read_only.remedy);
  try {
    await access(there, constants.W_OK | constants.X_OK);
  } catch {
    return bad(name, `${there} is not writable for this user`, ERRORS.read_only.remedy);
  }
  return good(name, there === dir ? `${dir} is writable` : `${dir} will be made`);
}

async function freeDisk(dir: string): Promise<Check> {
  const name = "free disk";
  try {
    const { bavail, bsize } = await statfs(await nearestFolder(dir));
    const free = bavail * bsize;
    const detail = `${(free / 1_024 ** 3).toFixed(1)} GB`;
    if (free < TOO_LITTLE_BYTES) return bad(name, detail, ERRORS.disk_full.remedy);
    return free < LITTLE_BYTES
      ? fair(name, detail, "Workspaces of large repositories may need more.")
      : good(name, detail);
  } catch (error) {
    return fair(name, `cannot be told: ${messageOf(error)}`, null);
  }
}

interface Looked {
  readonly check: Check;
  /** There is one, and this binary can read it as it is. */
  readonly ready: boolean;
}

const unready = (check: Check): Looked => ({ check, ready: false });

function sqlite(dir: string): Looked {
  const name = "database";
  try {
    const { library, schema, newest } = inspectSqlite(join(dir, SQLITE_FILE));
    const version = `SQLite ${library}`;
    if (schema === null)
      return unready(good(name, `${version}; none yet, it will be made with schema ${newest}`));
    return judged({ server: version, schema, newest });
  } catch (error) {
    return unready(bad(name, `cannot be opened: ${messageOf(error)}`, ERRORS.store_corrupt.remedy));
  }
}

async function postgres(url: string): Promise<Looked> {
  const name = "database";
  try {
    const { address, version, schema, newest } = await inspectPostgres(url);
    const server = `PostgreSQL ${version} at ${address}`;
    const { remedy } = ERRORS.store_incompatible;
    if (schema === null) return unready(bad(name, `${server} holds the tables of another program`, remedy));
    if (schema.version === 0)
      return unready(good(name, `${server}; empty, it will be made with schema ${newest}`));
    return judged({ server, schema, newest });
  } catch (error) {
    return unready(bad(name, messageOf(error), remedyOf(error)));
  }
}

function judged(of: {
  readonly server: string;
  readonly schema: SchemaState;
  readonly newest: number;
}): Looked {
  const { server, schema, newest } = of;
  try {
    const step = judgeSchema(schema, { newest, mode: "auto", database: server });
    const plan = step === "none" ? "" : `, will be brought to ${newest}`;
    return {
      check: good("database", `${server}, schema ${schema.version}${plan}`),
      ready: step === "none",
    };
  } catch (error) {
    return unready(bad("database", messageOf(error), remedyOf(error)));
  }
}

/** Whether the server has room for what the processes that are there may open. */
async function connections(url: string, each: number): Promise<Check> {
  const name = "connections";
  try {
    const { most, used, processes } = await roomInPostgres(url);
    const there = Math.max(1, processes);
    const needed = there * each;
    const detail = `${there} × ${each} of ${most}, ${used} in use now`;
    if (Math.max(needed, used) < most * NEARLY_ALL) return good(name, detail);
    return fair(
      name,
      detail,
      "Set DATABASE_CONNECTIONS lower (at least 5), or PostgreSQL's max_connections higher; docs/DEPLOYMENT.md.",
    );
  } catch (error) {
    return bad(name, messageOf(error), remedyOf(error));
  }
}

/** Runs that wait for labels which no live worker has; nothing is told when there are none. */
async function* unserved(config: Config): AsyncGenerator<Check> {
  try {
    const { databaseUrl, dataDir } = config;
    const all =
      databaseUrl === null
        ? await unservedInSqlite(join(dataDir, SQLITE_FILE))
        : await unservedInPostgres(databaseUrl);
    for (const { needs, queued } of all) {
      const labels = needs.map((need) => `--label ${need}`).join(" ");
      yield fair(
        "queue",
        `${queued} waiting for ${needs.join(", ")}, which no live worker has`,
        `Start one that has: \`agent-runner start --worker ${labels}\`; or cancel what waits. docs/WORKERS.md`,
      );
    }
  } catch (error) {
    yield bad("queue", messageOf(error), remedyOf(error));
  }
}

async function git(): Promise<Check> {
  const { remedy } = ERRORS.git_missing;
  try {
    const { stdout } = await run("git", ["--version"], { timeout: COMMAND_MS });
    const [, major = "0", minor = "0"] = /(\d+)\.(\d+)/.exec(stdout) ?? [];
    const [wantMajor, wantMinor] = GIT_AT_LEAST;
    const recent = Number(major) > wantMajor || (Number(major) === wantMajor && Number(minor) >= wantMinor);
    return recent
      ? good("git", stdout.trim().replace(/^git version /, ""))
      : bad("git", stdout.trim(), remedy);
  } catch (error) {
    return bad("git", `cannot be run: ${messageOf(error)}`, remedy);
  }
}

async function programs(): Promise<Check> {
  const found = await programsOnPath(process.env.PATH ?? "");
  const detail = found.length === 0 ? "none of the known ones" : found.join(", ");
  if (found.includes("rg")) return good("programs", detail);
  return fair("programs", detail, "With ripgrep (rg) on the PATH, searching large repositories is faster.");
}

async function* providers(config: Config): AsyncGenerator<Check> {
  try {
    const redactor = redactorFor(config.env);
    const parts = { clock: systemClock, random: Math.random, providers: [], redactor };
    const gateway = await createModels(config, parts);
    const listed = await gateway.providers(AbortSignal.timeout(LIMITS.healthCheckMs));
    const found = gateway.resolve(undefined, "execute");
    if (found.ok) yield good("default model", `${found.provider}/${found.model}`);
    else
      yield fair(
        "default model",
        found.failure.message,
        "Agents that name a model, and `agent-runner demo`, work without.",
      );
    for (const { name, health, isDefault } of listed) {
      const title = `model provider ${name}`;
      const detail = health.detail === "" ? health.status : health.detail;
      if (health.status === "ok") yield good(title, isDefault ? `${detail} (default)` : detail);
      else
        yield (isDefault ? bad : fair)(
          title,
          detail,
          "Check its key, its address and the network; docs/PROVIDERS.md.",
        );
    }
  } catch (error) {
    yield bad("models", messageOf(error), remedyOf(error));
  }
}

async function gates(cwd: string): Promise<Check> {
  const name = "gates";
  const root = await topOf(cwd);
  if (root === null) return good(name, "no repository here");
  const found = await gatesOf(root);
  if (!found.ok) return bad(name, found.failure.message, remedyOf(new FailureError(found.failure)));
  const [first] = found.value;
  if (first === undefined) {
    return fair(
      name,
      `${root} has none that are known`,
      "`agent-runner init` writes a file to name them in.",
    );
  }
  const names = found.value.map((gate: GateSpec) => gate.name).join(", ");
  return good(name, `${names} (${first.origin}) in ${root}`);
}

async function topOf(cwd: string): Promise<string | null> {
  try {
    const { stdout } = await run("git", ["rev-parse", "--show-toplevel"], { cwd, timeout: COMMAND_MS });
    return stdout.trim();
  } catch {
    // Not in a repository, or no git, which has its own check.
    return null;
  }
}

function good(name: string, detail: string): Check {
  return { name, status: "ok", detail, remedy: null };
}

function fair(name: string, detail: string, remedy: string | null): Check {
  return { name, status: "warn", detail, remedy };
}

function bad(name: string, detail: string, remedy: string | null): Check {
  return { name, status: "fail", detail, remedy };
}

function remedyOf(error: unknown): string | null {
  const value: Failure | null = error instanceof FailureError ? error.failure : null;
  const entries: Readonly<Record<string, { readonly remedy: string } | undefined>> = ERRORS;
  return value === null ? null : (entries[value.code]?.remedy ?? null);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
