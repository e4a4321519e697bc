import { mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Workspace, WorkspaceRequest } from "../../../contracts/workspace.ts";
import { isBranchName } from "../../../domain/branch-name.ts";
import { FailureError } from "../../../domain/errors.ts";
import { refuse } from "./failures.ts";
import type { Scope } from "./git.ts";
import { remoteTargets } from "./push.ts";
import {
  commitOf,
  dirtyPaths,
  discover,
  type GitContext,
  type Repository,
  readConfig,
  resolveBase,
  scopeOf,
} from "./repository.ts";
import { indexFile, type Places, type RunState, readState, workspaceOf, writeState } from "./state.ts";
import {
  addWorktree,
  adminDirOf,
  breakLocks,
  copyIndex,
  dropWorktree,
  exists,
  headBranch,
  namesIn,
  repairLink,
} from "./worktree.ts";

/** How many names are tried for a branch that somebody else has: `x`, `x-2`, … */
const BRANCH_TRIES = 50;
const DIRTY_PATHS_NAMED = 5;

export async function prepare(
  context: GitContext,
  places: Places,
  request: WorkspaceRequest,
): Promise<Workspace> {
  if (!isBranchName(request.branch)) {
    refuse("invalid_input", `branch "${request.branch}" is not a name git and every system can hold.`);
  }
  await context.git.version(context.signal);
  const stateDir = places.state(request.run);
  const repository = await discover(context, request.repo);
  const known = await readState(stateDir);
  if (
    known !== null &&
    (resolve(known.repo) !== resolve(request.repo) || known.requestedBranch !== request.branch)
  ) {
    refuse(
      "conflict",
      `The run ${request.run} has a workspace of ${known.repo} on "${known.requestedBranch}" already; it cannot become one of ${request.repo} on "${request.branch}".`,
    );
  }
  const config = await readConfig(context, repository.gitDir);
  const scope = scopeOf({ cwd: context.cwd, gitDir: repository.gitDir, config });
  if (known?.ready) return workspaceOf(await reopen({ context, scope, stateDir, state: known }));
  const begun = known ?? (await begin({ context, places, request, repository, scope }));
  return workspaceOf(await create({ context, scope, stateDir, state: begun }));
}

interface Begin {
  readonly context: GitContext;
  readonly places: Places;
  readonly request: WorkspaceRequest;
  readonly repository: Repository;
  readonly scope: Scope;
}

/** All that can be refused is refused before anything is made. */
async function begin({ context, places, request, repository, scope }: Begin): Promise<RunState> {
  const { git, signal } = context;
  const root = places.root(request.run);
  if (await exists(root)) {
    refuse("conflict", `${root} exists, and nothing here says whose it is: move it away if it can go.`);
  }
  const base = await resolveBase(context, scope, request.base);
  if (repository.workTree !== null && !request.allowDirty) {
    const { workTree } = repository;
    const status: Scope = { ...scope, cwd: workTree, env: { ...scope.env, GIT_WORK_TREE: workTree } };
    const dirty = await dirtyPaths(git, status, { workTree, except: places.base, signal });
    if (dirty.length > 0) {
      const named = dirty.slice(0, DIRTY_PATHS_NAMED).join(", ");
      refuse("dirty_target", `${request.repo} has ${dirty.length} uncommitted change(s): ${named}.`);
    }
  }
  const head = { commit: base.commit, keptOut: [] };
  return {
    version: 1,
    run: request.run,
    repo: request.repo,
    commonDir: repository.commonDir,
    root,
    requestedBranch: request.branch,
    branch: request.branch,
    baseRef: base.ref,
    baseCommit: base.commit,
    ready: false,
    head,
    pending: null,
    pushed: [],
    remotes: await remoteTargets(context, scope),
  };
}

interface Work {
  readonly context: GitContext;
  readonly scope: Scope;
  readonly stateDir: string;
  readonly state: RunState;
}

/** Also after a crash halfway: a worktree that was never handed out is thrown away and made anew. */
async function create({ context, scope, stateDir, state }: Work): Promise<RunState> {
  await mkdir(stateDir, { recursive: true });
  await writeState(stateDir, state);
  await dropWorktree(state.commonDir, state.root);
  const branch = await claimBranch(context, scope, state);
  const claimed = { ...state, branch };
  await writeState(stateDir, claimed);
  await addWorktree(context, scope, { root: state.root, branch });
  const admin = await adminDirOf(state.commonDir, state.root);
  if (admin === null) return refuse("git_failed", `git made no worktree at ${state.root}.`);
  await copyIndex(join(admin, "index"), indexFile(stateDir));
  const ready = { ...claimed, ready: true };
  await writeState(stateDir, ready);
  return ready;
}

/**
 * Makes the branch at the base commit, or takes the one this run made before a crash. One that somebody else has,
 * here or on a remote, is left alone, and the next free name is taken: the second run of a task is no error.
 */
async function claimBranch(context: GitContext, scope: Scope, state: RunState): Promise<string> {
  const { git, signal } = context;
  const mark = `agent-runner: ${state.run}`;
  let reason = "";
  for (let n = 1; n <= BRANCH_TRIES; n += 1) {
    const branch = n === 1 ? state.requestedBranch : `${state.requestedBranch}-${n}`;
    const ref = `refs/heads/${branch}`;
    const taken = await git.run(["for-each-ref", "--format=%(refname)", ref, `refs/remotes/*/${branch}`], {
      scope,
      signal,
    });
    if (taken.text.split("\n").includes(ref)) {
      const log = ["log", "--walk-reflogs", "--format=%gs", "--max-count=1000", ref, "--"];
      const made = await git.run(log, { scope, signal, okCodes: [128] });
      const isOurs = made.text.split("\n").includes(mark);
      if (isOurs && (await commitOf(git, scope, { name: ref, signal })) === state.baseCommit) return branch;
    }
    if (taken.text.trim() !== "") continue;
    try {
      // The empty old value: made only if it is not there in this instant.
      await git.run(["update-ref", "--create-reflog", "-m", mark, ref, state.baseCommit, ""], {
        scope,
        signal,
      });
      return branch;
    } catch (error) {
      const words = error instanceof FailureError ? error.failure.message : "";
      if (!/reference already exists|'refs\/heads\/.*' exists; cannot create/.test(words)) throw error;
      reason = ` ${words}`;
    }
  }
  return refuse(
    "branch_exists",
    `The branch "${state.requestedBranch}" cannot be made, nor one of its ${BRANCH_TRIES - 1} numbered names: they exist.${reason}`,
  );
}

/** A workspace that was handed out before: what a crash left behind is repaired, what was written stays. */
async function reopen({ context, scope, stateDir, state }: Work): Promise<RunState> {
  const { git, signal } = context;
  for (const name of await namesIn(stateDir)) {
    if (name.startsWith("tmp-")) await rm(join(stateDir, name), { recursive: true, force: true });
  }
  const ref = `refs/heads/${state.branch}`;
  const before = await adminDirOf(state.commonDir, state.root);
  if (before !== null) await breakLocks(before, state.commonDir, state.branch);
  let tip = await commitOf(git, scope, { name: ref, signal });
  if (tip === null) {
    await git.run(["update-ref", "--create-reflog", ref, state.head.commit, ""], { scope, signal });
    tip = state.head.commit;
  }
  if (before === null || !(await exists(state.root))) {
    await dropWorktree(state.commonDir, state.root);
    await addWorktree(context, scope, { root: state.root, branch: state.branch });
  }
  const admin = await adminDirOf(state.commonDir, state.root);
  if (admin === null) return refuse("git_failed", `git made no worktree at ${state.root}.`);
  await repairLink(admin, state.root);
  if (!(await exists(join(admin, "index")))) {
    await copyIndex(indexFile(stateDir), join(admin, "index"));
  }
  if (state.pending === null) return state;
  const landed = tip === state.pending.commit;
  if (landed) await finishLanding(context, state, admin);
  const settled = { ...state, head: landed ? state.pending : state.head, pending: null };
  await writeState(stateDir, settled);
  return settled;
}

/** The branch had reached the commit when we fell; HEAD and the worktree's own index had perhaps not. */
async function finishLanding(context: GitContext, state: RunState, admin: string): Promise<void> {
  const { git, signal } = context;
  const config = await readConfig(context, admin);
  const scope = scopeOf({ cwd: context.cwd, gitDir: admin, workTree: state.root, config });
  if ((await headBranch(admin)) !== state.branch) {
    await git.run(["symbolic-ref", "HEAD", `refs/heads/${state.branch}`], { scope, signal });
  }
  await git.run(["read-tree", "-m", `refs/heads/${state.branch}`], { scope, signal });
  // It answers 1 when files differ from the commit: that is for `changes` to tell.
  await git.run(["update-index", "-q", "--refresh"], { scope, signal, okCodes: [1] });
}
