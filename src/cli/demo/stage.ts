import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, realpath } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { packageFile } from "../../app/package-files.ts";
import { git } from "../git.ts";

/** A fresh copy of the sample project, a repository with one commit. */
export interface Stage {
  /** Absolute, in the system's folder for temporary files; holds everything below. */
  readonly root: string;
  readonly repo: string;
  readonly dataDir: string;
  readonly task: string;
}

const IDENTITY = ["-c", "user.name=Corner Shop", "-c", "user.email=shop@example.com"];
const QUIET = ["-c", "commit.gpgsign=false", "-c", "core.hooksPath="];

export async function makeStage(): Promise<Stage> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "agent-runner-demo-")));
  const repo = join(root, "corner-shop");
  await cp(packageFile("examples", "sample-project"), repo, { recursive: true });
  await git(repo, "-c", "init.defaultBranch=main", "init", "--quiet");
  // The same bytes on every system: the script edits what it has read.
  await git(repo, "config", "core.autocrlf", "false");
  await git(repo, "add", "--all");
  await git(repo, ...IDENTITY, ...QUIET, "commit", "--quiet", "--no-verify", "-m", "A small till");
  const task = await readFile(join(repo, "TASK.md"), "utf8");
  return { root, repo, dataDir: join(root, "data"), task };
}

/** What the project's tests say now: their exit code and the lines worth reading. */
export async function runTests(
  repo: string,
): Promise<{ readonly passed: boolean; readonly lines: readonly string[] }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, ["--test", "--test-reporter=spec"], {
    cwd: repo,
    env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  const [output, code] = await Promise.all([text(child.stdout), ended]);
  const results = output.split("failing tests:")[0] ?? "";
  const lines = results.split("\n").filter((line) => /^\s*[✔✖]/.test(line));
  return { passed: code === 0, lines };
}

/** Commands of the agent and the gates find the Node that runs this, whatever else is installed. */
export function offerOwnNode(): void {
  process.env.PATH = `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ""}`;
}
