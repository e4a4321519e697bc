import { copyFile, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { hasCode } from "./failures.ts";
import { GIT_LIMITS, type Scope } from "./git.ts";
import type { GitContext } from "./repository.ts";

/**
 * The administrative folder of a worktree, found from the repository's side. The `.git` file inside the
 * worktree is never believed: whoever works there can make it name another repository.
 */
export async function adminDirOf(commonDir: string, root: string): Promise<string | null> {
  for (const { admin, gitFile } of await adminDirs(commonDir)) {
    if (samePath(gitFile, join(root, ".git"))) return admin;
  }
  return null;
}

export async function adminDirs(commonDir: string): Promise<{ admin: string; gitFile: string }[]> {
  const folder = join(commonDir, "worktrees");
  const found: { admin: string; gitFile: string }[] = [];
  for (const name of await namesIn(folder)) {
    const admin = join(folder, name);
    const written = await readText(join(admin, "gitdir"));
    if (written !== null) found.push({ admin, gitFile: resolve(admin, written.trim()) });
  }
  return found;
}

export async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
}

export async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR", "EISDIR")) return null;
    throw error;
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return false;
    throw error;
  }
}

function samePath(a: string, b: string): boolean {
  const [one, two] = [resolve(a), resolve(b)];
  return process.platform === "win32" ? one.toLowerCase() === two.toLowerCase() : one === two;
}

/** The branch HEAD names in this git directory, `null` when it is detached. */
export async function headBranch(gitDir: string): Promise<string | null> {
  const head = (await readText(join(gitDir, "HEAD")))?.trim() ?? "";
  return head.startsWith("ref: refs/heads/") ? head.slice("ref: refs/heads/".length) : null;
}

/** Locks that a killed git left behind. Only of this worktree and its branch: both are this run's alone. */
export async function breakLocks(admin: string, commonDir: string, branch: string): Promise<void> {
  const locks = [
    join(admin, "index.lock"),
    join(admin, "HEAD.lock"),
    join(commonDir, "refs", "heads", ...`${branch}.lock`.split("/")),
  ];
  for (const lock of locks) await rm(lock, { force: true });
}

/** Makes the worktree's `.git` name its administrative folder again, when something else was written there. */
export async function repairLink(admin: string, root: string): Promise<void> {
  const path = join(root, ".git");
  const wanted = `gitdir: ${admin.replaceAll("\\", "/")}`;
  const written = await readText(path);
  if (written !== null && samePath(resolve(root, written.trim().replace(/^gitdir:\s*/, "")), admin)) return;
  await rm(path, { recursive: true, force: true });
  await writeFile(path, `${wanted}\n`);
}

export async function addWorktree(
  context: GitContext,
  scope: Scope,
  options: { readonly root: string; readonly branch: string },
): Promise<void> {
  await context.git.run(["worktree", "add", "--quiet", "--force", "--force", options.root, options.branch], {
    scope,
    signal: context.signal,
    timeoutMs: GIT_LIMITS.checkoutTimeoutMs,
  });
}

/** Takes a worktree away whole: its files, then its administrative folder. The caller has made sure nothing is lost. */
export async function dropWorktree(commonDir: string, root: string): Promise<void> {
  const admin = await adminDirOf(commonDir, root);
  await rm(root, { recursive: true, force: true, maxRetries: 3 });
  if (admin !== null && basename(resolve(admin, "..")) === "worktrees") {
    await rm(admin, { recursive: true, force: true });
  }
}

/** With its time: git compares files against it to know which it must look into. */
export async function copyIndex(from: string, to: string): Promise<void> {
  const { mtime } = await stat(from);
  const draft = `${to}.new`;
  await copyFile(from, draft);
  await utimes(draft, mtime, mtime);
  await rename(draft, to);
}
