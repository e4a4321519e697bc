import { realpath, stat } from "node:fs/promises";
import { isAbsolute, join, relative, resolve } from "node:path";
import { FailureError } from "../../../domain/errors.ts";
import { guardConfig, type RepositoryConfig } from "./config-guard.ts";
import { refuse } from "./failures.ts";
import type { Git, Scope } from "./git.ts";

export interface Repository {
  /** Its own git directory: of a linked worktree the administrative one. */
  readonly gitDir: string;
  /** Where objects, branches and configuration are; shared by all worktrees. */
  readonly commonDir: string;
  /** `null` for a bare repository. */
  readonly workTree: string | null;
}

export interface Base {
  /** Short name of a local branch, else the full name of what was given, else the commit itself. */
  readonly ref: string;
  readonly commit: string;
}

export interface GitContext {
  readonly git: Git;
  /** A folder that exists: where calls run that name their repository by environment. */
  readonly cwd: string;
  readonly signal: AbortSignal;
}

/** git does not say which folder it was asked about. */
async function ask(
  { git, signal }: GitContext,
  path: string,
  of: { readonly cwd: string; readonly question: readonly string[] },
): Promise<{ readonly text: string }> {
  try {
    return await git.run(of.question, { scope: { cwd: of.cwd }, signal, failAs: "not_a_repository" });
  } catch (error) {
    if (!(error instanceof FailureError) || error.failure.code !== "not_a_repository") throw error;
    return refuse("not_a_repository", `repo "${path}" is no git repository: ${error.failure.message}`);
  }
}

/** Finds the repository at exactly this path. git's own check of ownership (`safe.directory`) applies. */
export async function discover(context: GitContext, path: string): Promise<Repository> {
  if (!isAbsolute(path)) refuse("not_a_repository", `repo "${path}" is not an absolute path.`);
  const real = await realpath(path).catch(() => null);
  if (real === null) refuse("not_a_repository", `repo "${path}" does not exist.`);
  if (!(await stat(real)).isDirectory()) refuse("not_a_repository", `repo "${path}" is not a folder.`);
  const question = ["rev-parse", "--absolute-git-dir", "--git-common-dir", "--is-bare-repository"];
  const { text } = await ask(context, path, { cwd: real, question });
  const [gitDir = "", common = "", isBare] = text.split("\n");
  const commonDir = resolve(real, common);
  if (isBare === "true") {
    if ((await realpath(gitDir)) === real) return { gitDir, commonDir, workTree: null };
    refuse("not_a_repository", `repo "${path}" is inside the repository ${gitDir}; name that one.`);
  }
  const top = await ask(context, path, { cwd: real, question: ["rev-parse", "--show-toplevel"] });
  const workTree = resolve(top.text.replace(/\n$/, ""));
  if ((await realpath(workTree)) !== real) {
    refuse(
      "not_a_repository",
      `repo "${path}" is a folder inside the repository ${workTree}; name that one.`,
    );
  }
  return { gitDir, commonDir, workTree };
}

/** What the repository's configuration may not decide. Read anew for each operation: an agent may have written it. */
export async function readConfig(context: GitContext, gitDir: string): Promise<RepositoryConfig> {
  const { text } = await context.git.run(["config", "--show-scope", "-z", "--list"], {
    scope: { cwd: context.cwd, env: { GIT_DIR: gitDir } },
    signal: context.signal,
  });
  return guardConfig(text);
}

export interface ScopeParts {
  readonly cwd: string;
  readonly gitDir: string;
  readonly workTree?: string;
  readonly config: RepositoryConfig;
}

export function scopeOf({ cwd, gitDir, workTree, config }: ScopeParts): Scope {
  const tree = workTree === undefined ? {} : { GIT_WORK_TREE: workTree };
  return { cwd: workTree ?? cwd, env: { GIT_DIR: gitDir, ...tree }, config: config.overrides };
}

/** The commit a name means, or `null`. */
export async function commitOf(git: Git, scope: Scope, options: { name: string; signal: AbortSignal }) {
  const args = ["rev-parse", "--verify", "--quiet", "--end-of-options", `${options.name}^{commit}`];
  const { code, text } = await git.run(args, { scope, signal: options.signal, okCodes: [1, 128] });
  return code === 0 ? text.trim() : null;
}

/** The commit to start from. `empty_repository` when there is none at all. */
export async function resolveBase(
  context: GitContext,
  scope: Scope,
  base: string | undefined,
): Promise<Base> {
  if (base !== undefined && (base === "" || base.startsWith("-") || /[\0\n]/.test(base))) {
    refuse("invalid_input", `base "${base}" is not the name of a branch, tag or commit.`);
  }
  const name = base ?? "HEAD";
  const branch = base === undefined ? null : `refs/heads/${base}`;
  const lookUp = (wanted: string) => commitOf(context.git, scope, { name: wanted, signal: context.signal });
  if (branch !== null) {
    const commit = await lookUp(branch);
    if (commit !== null) return { ref: name, commit };
  }
  const commit = await lookUp(name);
  if (commit === null) return noBase(context, scope, base);
  const args = ["rev-parse", "--symbolic-full-name", name];
  const full = (await context.git.run(args, { scope, signal: context.signal, okCodes: [128] })).text.trim();
  if (full.startsWith("refs/heads/")) return { ref: full.slice("refs/heads/".length), commit };
  return { ref: full.startsWith("refs/") ? full : commit, commit };
}

async function noBase(context: GitContext, scope: Scope, base: string | undefined): Promise<never> {
  const list = async (pattern: string) => {
    const args = ["for-each-ref", "--count=5", "--format=%(refname:short)", pattern];
    const { text } = await context.git.run(args, { scope, signal: context.signal });
    return text.split("\n").filter((line) => line !== "");
  };
  const branches = await list("refs/heads");
  if (branches.length === 0 && (await list("refs")).length === 0) {
    return refuse("empty_repository", "The repository has no commit yet.");
  }
  const known = branches.length === 0 ? "" : ` Branches there are: ${branches.join(", ")}.`;
  if (base === undefined) {
    return refuse("invalid_input", `HEAD names a branch without commits: give a base.${known}`);
  }
  const remote = (await list(`refs/remotes/*/${base}`))[0];
  const hint = remote === undefined ? known : ` Did you mean "${remote}"?`;
  return refuse("invalid_input", `base "${base}" is no branch, tag or commit of the repository.${hint}`);
}

/** Paths of uncommitted changes, untracked files among them; what is under `except` (our own data) does not count. */
export async function dirtyPaths(
  git: Git,
  scope: Scope,
  options: { workTree: string; except: string; signal: AbortSignal },
) {
  const args = ["status", "--porcelain=v1", "-z", "--no-renames", "--ignore-submodules=dirty"];
  const { text } = await git.run(args, { scope, signal: options.signal });
  return text
    .split("\0")
    .filter((entry) => entry.length > 3)
    .map((entry) => entry.slice(3))
    .filter((path) => !holds(join(options.workTree, path), options.except));
}

function holds(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === "" || (!way.startsWith("..") && !isAbsolute(way));
}
