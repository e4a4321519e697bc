import { createHash } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Workspace } from "../../../contracts/workspace.ts";
import { hasCode, refuse } from "./failures.ts";

const KEY_CHARS = 80;
const HASH_CHARS = 16;

const keptOut = z.array(z.object({ path: z.string(), reason: z.string() })).readonly();
const commit = z.object({ commit: z.string(), keptOut }).readonly();

const runState = z
  .object({
    version: z.literal(1),
    run: z.string(),
    repo: z.string(),
    commonDir: z.string(),
    root: z.string(),
    requestedBranch: z.string(),
    branch: z.string(),
    baseRef: z.string(),
    baseCommit: z.string(),
    /** False until the worktree was checked out whole: before that nobody has seen it. */
    ready: z.boolean(),
    /** The newest commit that was made here; the base commit while there is none. */
    head: commit,
    /** A commit that was about to become `head`: it is one when the branch is at it. */
    pending: commit.nullable(),
    /** Commits that a remote is known to have. */
    pushed: z.array(z.string()).readonly(),
    /** Where each remote pointed when the run began. Later changes of the configuration do not redirect a push. */
    remotes: z.record(z.string(), z.array(z.string()).readonly()).readonly(),
  })
  .readonly();

export type RunState = z.infer<typeof runState>;

/**
 * A run's identifier as one folder name that every system can hold: itself when it is plain, else made
 * plain with a hash of the original, so that two never become one.
 */
export function workspaceKey(run: string): string {
  const isPlain = /^[a-z0-9][a-z0-9_-]*$/.test(run) && run.length <= KEY_CHARS;
  const isReserved = /^(?:con|prn|aux|nul|com\d|lpt\d)$/.test(run);
  if (isPlain && !isReserved) return run;
  const hash = createHash("sha256").update(run).digest("hex").slice(0, HASH_CHARS);
  const plain = run
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, "-")
    .slice(0, KEY_CHARS - HASH_CHARS - 2);
  return `w${plain}-${hash}`;
}

/** The folders of one data directory. The sandbox needs only `root`; what is beside it is ours. */
export interface Places {
  readonly base: string;
  readonly states: string;
  readonly noHooks: string;
  root(run: string): string;
  state(run: string): string;
}

export function placesOf(dataDir: string): Places {
  const base = join(dataDir, "workspaces");
  const states = join(base, ".state");
  return {
    base,
    states,
    noHooks: join(states, "no-hooks"),
    root: (run) => join(base, workspaceKey(run)),
    state: (run) => join(states, workspaceKey(run)),
  };
}

const FILE = "workspace.json";

/** The private index: what the worktree held when it was last known whole. */
export function indexFile(stateDir: string): string {
  return join(stateDir, "index");
}

export async function readState(stateDir: string): Promise<RunState | null> {
  const path = join(stateDir, FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return null;
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  const parsed = runState.safeParse(value);
  if (parsed.success) return parsed.data;
  return refuse("git_failed", `${path} is damaged: ${parsed.error.issues[0]?.message ?? "not readable"}.`);
}

/** Whole or not at all, and on disk when this returns. */
export async function writeState(stateDir: string, state: RunState): Promise<void> {
  await mkdir(stateDir, { recursive: true });
  const path = join(stateDir, FILE);
  const draft = `${path}.new`;
  const file = await open(draft, "w");
  try {
    await file.writeFile(`${JSON.stringify(state, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

export async function readyState(stateDir: string, workspace: Workspace): Promise<RunState> {
  const state = await readState(stateDir);
  if (state === null || !state.ready) {
    return refuse("not_found", `There is no workspace of the run ${workspace.run}: prepare it first.`);
  }
  if (state.root !== workspace.root || state.branch !== workspace.branch) {
    return refuse(
      "conflict",
      `The run ${workspace.run} has another workspace: ${state.root} on ${state.branch}.`,
    );
  }
  return state;
}

export function workspaceOf(state: RunState): Workspace {
  const { run, repo, root, branch, baseRef, baseCommit } = state;
  return { run, repo, root, branch, baseRef, baseCommit };
}

export async function removeState(stateDir: string): Promise<void> {
  await rm(stateDir, { recursive: true, force: true });
}
