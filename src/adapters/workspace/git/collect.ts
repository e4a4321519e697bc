import { readlink, rm } from "node:fs/promises";
import { isAbsolute, join, relative, sep } from "node:path";
import { failureOf } from "./failures.ts";
import { countUnpushed } from "./push.ts";
import { commitOf, type GitContext } from "./repository.ts";
import { type Opened, open, stage, withScratch, writeTree } from "./stage.ts";
import { type Places, type RunState, readState, removeState, workspaceOf } from "./state.ts";
import { adminDirs, dropWorktree, exists, headBranch, namesIn } from "./worktree.ts";

export interface Collected {
  readonly removed: readonly string[];
  readonly kept: readonly { readonly path: string; readonly reason: string }[];
}

/** Work underway in a worktree that no tree shows. */
const UNDERWAY = [
  "MERGE_HEAD",
  "CHERRY_PICK_HEAD",
  "REVERT_HEAD",
  "BISECT_LOG",
  "rebase-merge",
  "rebase-apply",
];

/**
 * Takes the worktrees of ended runs away. In doubt it stays: what is dirty, what is in no other place than this
 * repository, what a process still works in, what cannot be read. A branch goes only when it holds no commit of its own.
 */
export async function collect(
  context: GitContext,
  places: Places,
  ended: (run: string) => Promise<boolean>,
): Promise<Collected> {
  const removed: string[] = [];
  const kept: { path: string; reason: string }[] = [];
  const busy = await workingFolders();
  const repositories = new Set<string>();
  for (const name of await namesIn(places.states)) {
    if (context.signal.aborted) break;
    const stateDir = join(places.states, name);
    let root = join(places.base, name);
    try {
      const state = await readState(stateDir);
      if (state === null) continue;
      root = state.root;
      repositories.add(state.commonDir);
      if (!(await ended(state.run))) continue;
      const reason = await whyKept(context, places, { state, busy });
      if (reason === null) removed.push(root);
      else kept.push({ path: root, reason });
    } catch (error) {
      kept.push({ path: root, reason: failureOf(error).message });
    }
  }
  for (const stray of await strays(places))
    kept.push({ path: stray, reason: "no run of this data folder made it" });
  for (const commonDir of repositories) await pruneAdmin(commonDir, places.base);
  return { removed, kept };
}

interface Candidate {
  readonly state: RunState;
  readonly busy: readonly { readonly pid: number; readonly folder: string }[];
}

/** `null` after it was taken away. */
async function whyKept(
  context: GitContext,
  places: Places,
  { state, busy }: Candidate,
): Promise<string | null> {
  const stateDir = places.state(state.run);
  if (!(await exists(state.commonDir))) {
    if (await exists(state.root)) return `its repository ${state.commonDir} is gone`;
    await removeState(stateDir);
    return null;
  }
  if (!state.ready) {
    // A crash while it was made: nobody has worked in it.
    await dropWorktree(state.commonDir, state.root);
    await removeState(stateDir);
    return null;
  }
  const worker = busy.find(({ folder }) => holds(state.root, folder));
  if (worker !== undefined) return `the process ${worker.pid} works in it`;
  if (!(await exists(state.root))) {
    await dropWorktree(state.commonDir, state.root);
    await removeState(stateDir);
    return null;
  }
  const opened = await open(context, places, workspaceOf(state));
  const reason = await unsaved(opened);
  if (reason !== null) return reason;
  await dropWorktree(state.commonDir, state.root);
  await dropEmptyBranch(context, opened);
  await removeState(stateDir);
  return null;
}

/** What would be lost with the worktree, in words; `null` when nothing would. */
async function unsaved(opened: Opened): Promise<string | null> {
  const { context, scope, state, admin } = opened;
  const { git, signal } = context;
  for (const name of UNDERWAY) {
    if (await exists(join(admin, name))) return `a git operation is underway (${name})`;
  }
  const tip = await commitOf(git, scope, { name: `refs/heads/${state.branch}`, signal });
  if (tip === null) return `its branch "${state.branch}" is gone`;
  const trees = await git.run(["rev-parse", "--verify", `${tip}^{tree}`], { scope, signal });
  const tree = await withScratch(opened, "scratch", async (scratch) => {
    const embedded = await stage(opened, scratch, async () => null);
    return embedded.length > 0 ? null : await writeTree(opened, scratch);
  });
  if (tree === null) return "another git repository is inside it";
  if (tree !== trees.text.trim()) return "uncommitted changes";
  const branch = await headBranch(admin);
  const head = branch === state.branch ? tip : await commitOf(git, scope, { name: "HEAD", signal });
  for (const commit of new Set([tip, head])) {
    if (commit === null) return "its HEAD names no commit";
    const count = await countUnpushed(opened, commit);
    if (count > 0) return `${count} commit(s) not pushed`;
  }
  return null;
}

async function dropEmptyBranch(context: GitContext, { scope, state }: Opened): Promise<void> {
  const call = {
    scope: { ...scope, cwd: context.cwd, env: { GIT_DIR: state.commonDir } },
    signal: context.signal,
  };
  const tip = await commitOf(context.git, call.scope, {
    name: `refs/heads/${state.branch}`,
    signal: context.signal,
  });
  if (tip !== state.baseCommit) return;
  // The old value: it goes only if nobody has moved it in this instant.
  await context.git.run(["update-ref", "-d", `refs/heads/${state.branch}`, tip], call);
}

/** Administrative folders of our worktrees whose files are gone. Others' are not ours to judge. */
async function pruneAdmin(commonDir: string, base: string): Promise<void> {
  for (const { admin, gitFile } of await adminDirs(commonDir)) {
    const isOurs = holds(base, gitFile);
    if (!isOurs || (await exists(gitFile)) || (await headBranch(admin)) === null) continue;
    await rm(admin, { recursive: true, force: true });
  }
}

async function strays(places: Places): Promise<string[]> {
  const known = new Set(await namesIn(places.states));
  const names = await namesIn(places.base);
  return names.filter((name) => name !== ".state" && !known.has(name)).map((name) => join(places.base, name));
}

/** The working folders of all processes, where the system tells them (Linux). Elsewhere a busy folder shows as dirty or not at all. */
async function workingFolders(): Promise<{ pid: number; folder: string }[]> {
  if (process.platform !== "linux") return [];
  const found: { pid: number; folder: string }[] = [];
  for (const name of await namesIn("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // Other users' processes do not tell, and some end while we look.
    const folder = await readlink(`/proc/${name}/cwd`).catch(() => null);
    if (folder !== null) found.push({ pid: Number(name), folder });
  }
  return found;
}

function holds(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}
