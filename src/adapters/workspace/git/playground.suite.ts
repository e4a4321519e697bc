import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect } from "vitest";
import type { Workspace, Workspaces } from "../../../contracts/workspace.ts";
import type { Result } from "../../../domain/errors.ts";
import { gitWorkspaces } from "./workspaces.ts";

/** Real repositories in temporary folders, away from the configuration of whoever runs the tests. */
process.env.GIT_CONFIG_NOSYSTEM = "1";
process.env.GIT_CONFIG_GLOBAL = join(tmpdir(), "no-such-gitconfig");

const made: string[] = [];
afterEach(() => {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true });
});

export const never = new AbortController().signal;
export const author = { name: "Ada Agent", email: "ada@agents.example" };
const NOW_MS = 1_790_000_000_000;

export function tempFolder(name = "agent runner ü"): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), `${name}-`)));
  made.push(path);
  return path;
}

export function git(cwd: string, ...args: readonly string[]): string {
  const who = [
    "-c",
    "user.name=Person",
    "-c",
    "user.email=person@example.com",
    "-c",
    "init.defaultBranch=main",
  ];
  return execFileSync("git", [...who, ...args], {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  }).trim();
}

export function write(root: string, path: string, content: string | Buffer): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

/** A repository with a first commit of `files`. */
export function repository(
  files: Readonly<Record<string, string>> = { "a.txt": "one\ntwo\nthree\n" },
): string {
  const repo = join(tempFolder(), "target repo");
  mkdirSync(repo);
  git(repo, "init", "-q");
  commitAll(repo, files, "first");
  return repo;
}

export function commitAll(repo: string, files: Readonly<Record<string, string>>, message: string): string {
  for (const [path, content] of Object.entries(files)) write(repo, path, content);
  git(repo, "add", "-A", "-f");
  git(repo, "commit", "-q", "--allow-empty", "-m", message);
  return git(repo, "rev-parse", "HEAD");
}

/** A real bare repository, and a remote of that name to it. */
export function bareRemote(repo: string, name = "origin"): string {
  const bare = join(tempFolder(), "remote.git");
  git(repo, "init", "-q", "--bare", bare);
  git(repo, "remote", "add", name, bare);
  git(repo, "push", "-q", name, "main");
  return bare;
}

export function workspacesIn(dataDir: string, program?: string): Workspaces {
  const clock = { now: () => NOW_MS, after: () => () => {} };
  const options = { dataDir, clock, environment: process.env };
  return gitWorkspaces(program === undefined ? options : { ...options, program });
}

export function must<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`${result.failure.code}: ${result.failure.message}`);
  return result.value;
}

export function refused<T>(result: Result<T>): { code: string; message: string; retryable: boolean } {
  if (result.ok) expect.fail(`expected a failure, got ${JSON.stringify(result.value)}`);
  return result.failure;
}

export interface Started {
  readonly repo: string;
  readonly dataDir: string;
  readonly workspaces: Workspaces;
  readonly workspace: Workspace;
}

export async function started(files?: Readonly<Record<string, string>>): Promise<Started> {
  const repo = repository(files);
  const dataDir = tempFolder("data dir");
  const workspaces = workspacesIn(dataDir);
  return { repo, dataDir, workspaces, workspace: await prepared(workspaces, repo) };
}

export async function prepared(workspaces: Workspaces, repo: string, run = "run_1"): Promise<Workspace> {
  const request = { run, repo, branch: "feature/task-1-fix", allowDirty: false };
  return must(await workspaces.prepare(request, never));
}

export async function committed(workspaces: Workspaces, workspace: Workspace, step = "implement") {
  const trailers = { "Agent-Runner-Run": workspace.run, "Agent-Runner-Step": step };
  const request = { workspace, message: "Change things\n\nBecause.\n", author, trailers };
  return await workspaces.commit(request, never);
}
