import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { Changes, CommitInfo, Workspace } from "../../../contracts/workspace.ts";
import type { RepositoryConfig } from "./config-guard.ts";
import {
  BIG_FILES,
  changedFile,
  DIFF_LIMITS,
  LIST_FLAGS,
  PATCH_FLAGS,
  parseDiff,
  RENAMES,
  wholeFiles,
} from "./diff.ts";
import { refuse } from "./failures.ts";
import { GIT_LIMITS, type Scope } from "./git.ts";
import { commitOf, type GitContext, readConfig, scopeOf } from "./repository.ts";
import { indexFile, type Places, type RunState, readyState } from "./state.ts";
import { adminDirOf, copyIndex, exists } from "./worktree.ts";

export type KeptOut = CommitInfo["keptOut"][number];

/** A workspace opened for one operation: its state, and a scope that names its repository outright. */
export interface Opened {
  readonly context: GitContext;
  readonly state: RunState;
  readonly stateDir: string;
  readonly admin: string;
  readonly config: RepositoryConfig;
  readonly scope: Scope;
}

export async function open(context: GitContext, places: Places, workspace: Workspace): Promise<Opened> {
  const stateDir = places.state(workspace.run);
  const state = await readyState(stateDir, workspace);
  const admin = await adminDirOf(state.commonDir, state.root);
  if (admin === null || !(await exists(state.root))) {
    return refuse("not_found", `The worktree ${state.root} is gone: prepare the workspace again.`);
  }
  const config = await readConfig(context, admin);
  const scope = scopeOf({ cwd: context.cwd, gitDir: admin, workTree: state.root, config });
  return { context, state, stateDir, admin, config, scope };
}

/** The commit that the branch's newest work of ours is at; a commit that was underway when we fell counts when it got there. */
export async function ownHead({ context, scope, state }: Opened): Promise<NonNullable<RunState["pending"]>> {
  if (state.pending === null) return state.head;
  const tip = await commitOf(context.git, scope, {
    name: `refs/heads/${state.branch}`,
    signal: context.signal,
  });
  return tip === state.pending.commit ? state.pending : state.head;
}

/** The commit the base is at now, `null` when it is gone. */
export async function baseNow({ context, scope, state }: Opened): Promise<string | null> {
  const { signal } = context;
  const branch = await commitOf(context.git, scope, { name: `refs/heads/${state.baseRef}`, signal });
  return branch ?? (await commitOf(context.git, scope, { name: state.baseRef, signal }));
}

export interface Scratch {
  readonly index: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * A copy of the private index, thrown away afterwards; with `objects: "scratch"` what is staged goes to a
 * folder of its own too, so that looking at the work leaves nothing in the repository.
 */
export async function withScratch<T>(
  opened: Opened,
  objects: "scratch" | "repository",
  work: (scratch: Scratch) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(opened.stateDir, "tmp-"));
  try {
    const index = join(folder, "index");
    await copyIndex(indexFile(opened.stateDir), index);
    if (objects === "repository") return await work({ index, env: { GIT_INDEX_FILE: index } });
    const own = join(folder, "objects");
    await mkdir(own);
    const env = {
      GIT_INDEX_FILE: index,
      GIT_OBJECT_DIRECTORY: own,
      GIT_ALTERNATE_OBJECT_DIRECTORIES: quoted(join(opened.state.commonDir, "objects")),
    };
    return await work({ index, env });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** git splits the variable at the system's path delimiter, unless the path is quoted. */
function quoted(path: string): string {
  if (!path.includes(delimiter) && !path.startsWith('"')) return path;
  return `"${path.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/**
 * Everything in the work tree into the scratch index: tracked files as they are now, untracked ones that
 * are not ignored, and ignored ones that somebody put into the worktree's own index. That index decides
 * nothing else: its flags could hide files. `skip` names the reason to leave an untracked file out.
 */
export async function stage(
  opened: Opened,
  scratch: Scratch,
  skip: (path: string) => Promise<string | null>,
): Promise<readonly KeptOut[]> {
  const { context, scope } = opened;
  const { git, signal } = context;
  const call = { scope, signal, env: scratch.env, timeoutMs: GIT_LIMITS.checkoutTimeoutMs };
  await git.run([...BIG_FILES, "add", "--update"], call);
  const others = await git.run(["ls-files", "-z", "--others", "--exclude-standard"], call);
  // A broken index of the worktree's own only loses its forced files.
  const forced = await git.run(["ls-files", "-z", "--cached", "--ignored", "--exclude-standard"], {
    scope,
    signal,
    okCodes: [128],
  });
  const paths = [...new Set([...names(others.text), ...names(forced.text)])];
  if (paths.length > DIFF_LIMITS.files) {
    refuse(
      "limit_exceeded",
      `${paths.length} files are new, more than ${DIFF_LIMITS.files}: is a .gitignore missing?`,
    );
  }
  const keptOut: KeptOut[] = [];
  const taken: string[] = [];
  for (const path of paths) {
    const reason = path.endsWith("/") ? "a git repository of its own" : await skip(path);
    if (reason === null) taken.push(path);
    else keptOut.push({ path, reason });
  }
  if (taken.length > 0) {
    const update = [...BIG_FILES, "update-index", "--add", "--remove", "--replace", "-z", "--stdin"];
    await git.run(update, { ...call, stdin: `${taken.join("\0")}\0` });
  }
  return keptOut;
}

function names(listing: string): string[] {
  return listing.split("\0").filter((name) => name !== "");
}

export async function writeTree(opened: Opened, scratch: Scratch): Promise<string> {
  const { git, signal } = opened.context;
  const { text } = await git.run(["write-tree"], { scope: opened.scope, signal, env: scratch.env });
  return text.trim();
}

/** Everything that was done in the workspace, against the commit it began at. */
export async function changesOf(opened: Opened): Promise<Changes> {
  const { context, scope, state } = opened;
  const { git, signal } = context;
  return await withScratch(opened, "scratch", async (scratch) => {
    await stage(opened, scratch, async () => null);
    const treeHash = await writeTree(opened, scratch);
    const call = { scope, signal, env: scratch.env };
    const sides = [state.baseCommit, treeHash];
    const listed = await git.run([...BIG_FILES, "diff-tree", ...LIST_FLAGS, ...RENAMES, ...sides], call);
    const files = parseDiff(listed.text).map(changedFile);
    const patch = await git.run([...BIG_FILES, "diff-tree", ...PATCH_FLAGS, ...RENAMES, ...sides], {
      ...call,
      maxBytes: DIFF_LIMITS.patchBytes,
      clip: true,
    });
    return { files, patch: wholeFiles(patch.text, patch.clipped, files.length), treeHash };
  });
}
