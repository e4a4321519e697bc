import { mkdir, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../../../base/clock.ts";
import type { Workspace, Workspaces } from "../../../contracts/workspace.ts";
import { collect } from "./collect.ts";
import { commit } from "./commit.ts";
import type { Environment } from "./environment.ts";
import { attempt, hasCode } from "./failures.ts";
import { findCommit } from "./find.ts";
import { createGit, type Git } from "./git.ts";
import { conflicts } from "./merge.ts";
import { prepare } from "./prepare.ts";
import { push, remoteCommit } from "./push.ts";
import type { GitContext } from "./repository.ts";
import { changesOf, type Opened, open } from "./stage.ts";
import { type Places, placesOf } from "./state.ts";

export interface GitWorkspacesOptions {
  /** Absolute. Worktrees are made in its `workspaces` folder. */
  readonly dataDir: string;
  readonly clock: Clock;
  /** The server's own environment. git gets the part that it, ssh and credential helpers need. */
  readonly environment: Environment;
  /** The git program; `git` on the PATH when absent. */
  readonly program?: string;
}

/** Workspaces as git worktrees, by the git command line. See ADR 0008 for what of a repository's configuration counts. */
export function gitWorkspaces(options: GitWorkspacesOptions): Workspaces {
  let ground: Promise<{ git: Git; places: Places }> | null = null;
  const enter = async (signal: AbortSignal): Promise<{ context: GitContext; places: Places }> => {
    // Not kept when it fails: a full disk or a missing folder may be better next time.
    ground ??= makeGround(options).catch((error: unknown) => {
      ground = null;
      throw error;
    });
    const { git, places } = await ground;
    return { context: { git, cwd: places.states, signal }, places };
  };
  const inside = <T>(workspace: Workspace, signal: AbortSignal, work: (opened: Opened) => Promise<T>) =>
    attempt(async () => {
      const { context, places } = await enter(signal);
      return await work(await open(context, places, workspace));
    });
  return {
    prepare: (request, signal) =>
      attempt(async () => {
        const { context, places } = await enter(signal);
        return await prepare(context, places, request);
      }),
    changes: (workspace, signal) => inside(workspace, signal, changesOf),
    commit: (request, signal) =>
      inside(request.workspace, signal, (opened) => commit(opened, request, options.clock.now())),
    findCommit: (workspace, trailer, signal) =>
      inside(workspace, signal, (opened) => findCommit(opened, trailer)),
    conflicts: (workspace, signal) => inside(workspace, signal, conflicts),
    push: (workspace, remote, signal) => inside(workspace, signal, (opened) => push(opened, remote)),
    remoteCommit: (workspace, remote, signal) =>
      inside(workspace, signal, (opened) => remoteCommit(opened, remote)),
    collect: (ended, signal) =>
      attempt(async () => {
        const { context, places } = await enter(signal);
        return await collect(context, places, ended);
      }),
  };
}

async function makeGround(options: GitWorkspacesOptions): Promise<{ git: Git; places: Places }> {
  const { dataDir, program, environment } = options;
  await makeFolder(dataDir);
  const places = placesOf(await realpath(dataDir));
  await makeFolder(places.noHooks);
  return { git: createGit({ program: program ?? "git", noHooks: places.noHooks, environment }), places };
}

/** Parents too. Node's own way to do this calls a read-only disk "no such file". */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (hasCode(error, "EEXIST") && (await stat(path)).isDirectory()) return;
    if (!hasCode(error, "ENOENT") || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path);
  }
}
