import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect } from "vitest";
import type { Script } from "../../src/adapters/models/script/schema.ts";
import type { Json } from "../../src/base/json.ts";
import type { Fact } from "../../src/domain/fact.ts";
import type { RunSummary } from "../../src/domain/run.ts";
import { type RunArtifact, validateRunArtifact } from "../../src/domain/run-artifact.ts";
import { openRunner, type Runner, type RunnerOptions } from "../../src/index.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { until } from "../support/until.ts";
import { type Fleet, openFleet } from "./fleet.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MODEL = "flow";
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** Nothing here may depend on who runs it: no identity, hook, signature or template of theirs. */
const GIT_ENV = {
  GIT_CONFIG_GLOBAL: join(tmpdir(), "agent-runner-no-such-gitconfig"),
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "Ada",
  GIT_AUTHOR_EMAIL: "ada@example.com",
  GIT_COMMITTER_NAME: "Ada",
  GIT_COMMITTER_EMAIL: "ada@example.com",
  GIT_TERMINAL_PROMPT: "0",
};

// FLOW_DATABASE=postgres for the same flows on PostgreSQL, FLOW_WORKERS=3 for one process that answers and three that
// work. Without them this file is no test's business: scripts use it too.
const ON_POSTGRES = process.env.FLOW_DATABASE === "postgres";
/** Worker processes behind every runner; none: the runner drives by itself, inside the test. */
export const FLOW_WORKERS = Number(process.env.FLOW_WORKERS ?? 0);
/** Whoever asks for what a runner is asked for, as journals name it. */
export const ASKED_BY = FLOW_WORKERS > 0 ? "api" : "library";
/** A fleet has some ten connections a process. */
const CONNECTIONS = 400;
let server: Promise<TestPostgres> | null = null;
if (ON_POSTGRES) afterAll(stopDatabases);

/** The PostgreSQL behind all playgrounds of the file, when one was started. */
export async function stopDatabases(): Promise<void> {
  const started = server;
  server = null;
  await (await started)?.stop();
}

/** Resolves when no run is being driven: what a worker would still write, it has written. */
export async function idle({ house }: Runner): Promise<void> {
  if (FLOW_WORKERS === 0) return house.worker.idle();
  const free = async () => ((await house.operations.reader.counts()).leased === 0 ? true : null);
  await until("nobody drives a run", free, WAIT_MS);
}

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program's end, whatever it is. */
export function execute(
  program: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string | undefined>> },
): Promise<Answer> {
  return new Promise((resolve) => {
    const settings = { cwd: options.cwd, env: options.env ?? process.env, maxBuffer: MAX_OUTPUT_BYTES };
    execFile(program, args, settings, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, stdout, stderr });
    });
  });
}

/** What git prints; rejects with its words when it fails. */
export async function git(cwd: string, ...args: readonly string[]): Promise<string> {
  const settings = ["-c", "core.autocrlf=false", "-c", "init.defaultBranch=main", ...args];
  const ran = await execute("git", settings, { cwd, env: { ...process.env, ...GIT_ENV } });
  if (ran.code !== 0) throw new Error(`git ${args.join(" ")} in ${cwd}: ${ran.stderr || ran.stdout}`);
  return ran.stdout.trimEnd();
}

/** Files by their path, written below `root`. */
export function writeFiles(root: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

/** What a script may say, with `times` and the like left out. */
type Turns = readonly Partial<Script["turns"] extends readonly (infer T)[] | undefined ? T : never>[];
export interface Words {
  readonly turns?: Turns;
  readonly agents?: Readonly<Record<string, Turns>>;
}

interface Spoken {
  readonly words?: Words | string;
  /** In the test's own process, whatever the environment says: where the library's own door is what is tested. */
  readonly inside?: boolean;
}

/** A folder with everything that one test leaves behind: repositories, remotes, data folders, open runners. */
export class Playground {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), "agent-runner-flow-")));
  readonly #open: Runner[] = [];
  readonly #database: "postgres" | "sqlite";
  #scripts = 0;

  /** The database is that of the environment, unless it is named here. */
  constructor(database: "postgres" | "sqlite" = ON_POSTGRES ? "postgres" : "sqlite") {
    this.#database = database;
  }

  path(...parts: readonly string[]): string {
    return join(this.root, ...parts);
  }

  /** A new repository with one commit of these files. */
  async repository(
    name: string,
    files: Readonly<Record<string, string | Uint8Array>>,
    message = "A beginning",
  ): Promise<string> {
    const repo = this.path(name);
    mkdirSync(repo, { recursive: true });
    await git(repo, "init", "--quiet");
    await git(repo, "config", "core.autocrlf", "false");
    writeFiles(repo, files);
    await git(repo, "add", "--all");
    await git(repo, "commit", "--quiet", "-m", message);
    return repo;
  }

  /** A bare copy of a repository, configured there as the remote `origin`. */
  async remote(repo: string, name = "remote.git"): Promise<string> {
    const bare = this.path(name);
    await git(this.root, "clone", "--quiet", "--bare", "--no-hardlinks", repo, bare);
    const known = (await git(repo, "remote")).split("\n").includes("origin");
    await git(repo, "remote", known ? "set-url" : "add", "origin", bare);
    return bare;
  }

  script(words: Words | string): string {
    this.#scripts += 1;
    const path = this.path(`script-${this.#scripts}.yaml`);
    writeFileSync(path, typeof words === "string" ? words : JSON.stringify({ name: MODEL, ...words }));
    return path;
  }

  /** A runner on a data folder of this playground, whose models are the script's. Closed by `close`. */
  async runner(options: RunnerOptions & Spoken = {}): Promise<Runner> {
    const { words: _, inside = false, ...more } = options;
    const { dataDir, env } = await this.#settings(options);
    // What is made of the test's own code lives in the test's own process.
    const own = inside || options.actions !== undefined || options.providers !== undefined;
    if (FLOW_WORKERS > 0 && !own) return this.fleet(FLOW_WORKERS, options);
    const runner = await openRunner({ ...more, dataDir, env });
    this.#open.push(runner);
    return runner;
  }

  /** The same with so many worker processes behind it, and one that answers. */
  async fleet(workers: number, options: RunnerOptions & Spoken = {}): Promise<Fleet> {
    const fleet = await openFleet({ ...(await this.#settings(options)), workers });
    this.#open.push(fleet);
    return fleet;
  }

  async #settings({ words, ...options }: RunnerOptions & Spoken) {
    const scripted =
      words === undefined
        ? {}
        : { AGENT_RUNNER_SCRIPT: this.script(words), AGENT_RUNNER_MODEL: `scripted/${MODEL}` };
    const dataDir = options.dataDir ?? this.path("data");
    const database = await this.#urlOf(dataDir);
    return { dataDir, env: { AGENT_RUNNER_LOG: "silent", ...database, ...scripted, ...options.env } };
  }

  readonly #urls = new Map<string, string>();

  /** Nothing for the file in the data folder; otherwise a database of its own for each folder. */
  async #urlOf(folder: string): Promise<Readonly<Record<string, string>>> {
    if (this.#database === "sqlite") return {};
    server ??= startPostgres({ connections: CONNECTIONS });
    const url = this.#urls.get(folder) ?? (await (await server).database());
    this.#urls.set(folder, url);
    return { DATABASE_URL: url };
  }

  async close(): Promise<void> {
    for (const runner of this.#open.splice(0)) await runner.close();
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** One run from its start to its end, with the whole journal. */
export interface Ended {
  readonly summary: RunSummary;
  readonly facts: readonly Fact[];
}

/** Starts a run and waits for its end; a run that hangs fails the test by its time limit, not silently. */
export async function run(runner: Runner, workflow: string, inputs: Json): Promise<Ended> {
  const { id } = await runner.start(workflow, inputs);
  return ended(runner, id);
}

const WAIT_MS = 45_000;

/** The end of a run, and the laws that hold for every journal. */
export async function ended(runner: Runner, id: string): Promise<Ended> {
  const summary = await runner.wait(id, { signal: AbortSignal.timeout(WAIT_MS) });
  const facts = await Array.fromAsync(runner.facts(id));
  expect(facts.map((fact) => fact.seq)).toEqual(facts.map((_, index) => index + 1));
  expect(facts.at(-1)?.kind).toBe(`run_${summary.status}`);
  const ends = facts.filter((fact) => /^run_(completed|failed|canceled)$/.test(fact.kind));
  expect(ends, "a run ends once, and nothing comes after").toHaveLength(1);
  return { summary, facts };
}

export function factsOf<K extends Fact["kind"]>(
  facts: readonly Fact[],
  kind: K,
  step?: string,
): readonly Extract<Fact, { kind: K }>[] {
  return facts.filter(
    (fact): fact is Extract<Fact, { kind: K }> =>
      fact.kind === kind && (step === undefined || ("step" in fact && fact.step === step)),
  );
}

/** The content of the run's newest artifact of that name. */
export async function artifactText(runner: Runner, { summary, facts }: Ended, name: string): Promise<string> {
  const found = factsOf(facts, "artifact_saved").findLast(({ artifact }) => artifact.name === name);
  if (found === undefined) {
    const names = factsOf(facts, "artifact_saved").map(({ artifact }) => artifact.name);
    throw new Error(`the run left no ${name}, but ${names.join(", ") || "nothing"}`);
  }
  return Buffer.from(await runner.artifact(summary.id, found.artifact.id)).toString("utf8");
}

/** `run.json`, which must be one by our own validator. */
export async function runRecord(runner: Runner, done: Ended): Promise<RunArtifact> {
  const checked = validateRunArtifact(JSON.parse(await artifactText(runner, done, "run.json")));
  if (checked.kind !== "valid") throw new Error(`run.json: ${JSON.stringify(checked)}`);
  return checked.artifact;
}
