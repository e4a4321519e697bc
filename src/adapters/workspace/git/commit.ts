import { copyFile, open as openFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { CommitInfo, CommitRequest } from "../../../contracts/workspace.ts";
import { addedText } from "./added.ts";
import { changedFile, type DiffEntry, GITLINK, LIST_FLAGS, parseDiff, RENAMES } from "./diff.ts";
import { hasCode, refuse } from "./failures.ts";
import { commitOf } from "./repository.ts";
import { findSecrets } from "./secrets.ts";
import { sensitiveFile } from "./sensitive.ts";
import { type KeptOut, type Opened, ownHead, type Scratch, stage, withScratch, writeTree } from "./stage.ts";
import { indexFile, writeState } from "./state.ts";
import { copyIndex, headBranch } from "./worktree.ts";

const MAX_MESSAGE_CHARS = 65_536;
const MAX_TRAILER_CHARS = 500;
const SECRETS_NAMED = 5;

export type CommitOutcome =
  | { readonly kind: "committed"; readonly info: CommitInfo }
  | { readonly kind: "nothing"; readonly keptOut: CommitInfo["keptOut"] };

/**
 * One commit of everything in the work tree, on top of our last one. It is built beside the branch (a private
 * index, a tree, a commit object) and becomes visible in one step, so that until then nothing has to be taken
 * back. Commits that somebody made in the worktree meanwhile are not kept as such: their content is in ours,
 * scanned and with our trailers.
 */
export async function commit(opened: Opened, request: CommitRequest, now: number): Promise<CommitOutcome> {
  checkRequest(request);
  const lock = await lockIndex(opened.admin);
  try {
    return await withScratch(opened, "repository", async (scratch) => {
      const head = await ownHead(opened);
      const staged = await stageClean(opened, scratch, head.commit);
      if (staged.entries.length === 0) return { kind: "nothing", keptOut: staged.keptOut };
      await refuseSecrets(opened, [head.commit, staged.tree], staged.entries);
      const message = await withTrailers(opened, request);
      const made = await commitTree(opened, {
        request,
        now,
        message,
        tree: staged.tree,
        parent: head.commit,
      });
      await land(opened, { scratch, lock, commit: made, keptOut: staged.keptOut });
      const info = { commit: made, branch: opened.state.branch, files: staged.entries.map(changedFile) };
      return { kind: "committed", info: { ...info, keptOut: staged.keptOut } };
    });
  } finally {
    await lock.release();
  }
}

function checkRequest({ message, author, trailers }: CommitRequest): void {
  if (message.trim() === "") refuse("invalid_input", "The commit message is empty.");
  if (message.length > MAX_MESSAGE_CHARS || message.includes("\0")) {
    refuse("invalid_input", `The commit message has a NUL or more than ${MAX_MESSAGE_CHARS} characters.`);
  }
  for (const [field, value] of Object.entries(author)) {
    if (value.trim() === "" || /[<>\n\0]/.test(value))
      refuse("invalid_input", `author.${field} "${value}" is empty or has one of < > or a line break.`);
  }
  for (const [key, value] of Object.entries(trailers)) {
    checkTrailer(key, value);
  }
}

export function checkTrailer(key: string, value: string): void {
  const fine =
    /^[A-Za-z][A-Za-z0-9-]*$/.test(key) && /^[^\n\r\0]+$/.test(value) && value.length <= MAX_TRAILER_CHARS;
  if (!fine)
    refuse(
      "invalid_input",
      `The trailer "${key}: ${value}" is not one line of at most ${MAX_TRAILER_CHARS} characters.`,
    );
}

interface IndexLock {
  /** Makes this index the worktree's own; the lock is gone with it. */
  replace(index: string): Promise<void>;
  /** Gives the lock back; the index is as it was. */
  release(): Promise<void>;
}

/** The worktree's own index is locked for as long as the commit takes, by git's own protocol. */
async function lockIndex(admin: string): Promise<IndexLock> {
  const path = join(admin, "index.lock");
  let isHeld = true;
  try {
    await (await openFile(path, "wx")).close();
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
    refuse("git_failed", `The commit was not made: another git works here, or one that fell left ${path}.`);
  }
  return {
    async replace(index) {
      await copyFile(index, path);
      await rename(path, join(admin, "index"));
      isHeld = false;
    },
    async release() {
      // Once it is given away, a lock of that name is somebody else's.
      if (isHeld) await rm(path, { force: true });
      isHeld = false;
    },
  };
}

interface Staged {
  readonly tree: string;
  readonly entries: readonly DiffEntry[];
  readonly keptOut: readonly KeptOut[];
}

/** What may be committed. A sensitive file that is tracked already keeps the content it had. */
async function stageClean(opened: Opened, scratch: Scratch, head: string): Promise<Staged> {
  const { git, signal } = opened.context;
  const { root } = opened.state;
  const call = { scope: opened.scope, signal, env: scratch.env };
  const list = async (flags: readonly string[]) => {
    const { text } = await git.run(["diff-index", "--cached", ...LIST_FLAGS, ...flags, head], call);
    return parseDiff(text);
  };
  const keptOut = [...(await stage(opened, scratch, (path) => sensitiveFile(root, path)))];
  const back: string[] = [];
  for (const entry of await list(["--no-renames"])) {
    const reason = await whyNot(root, entry);
    if (reason === null) continue;
    keptOut.push({ path: entry.path, reason });
    back.push(`${entry.oldMode} ${entry.oldId}\t${entry.path}`);
  }
  if (back.length > 0) {
    await git.run(["update-index", "-z", "--index-info"], { ...call, stdin: `${back.join("\0")}\0` });
  }
  const entries = await list(RENAMES);
  for (const entry of entries) {
    if ((await whyNot(root, entry)) !== null)
      refuse("git_failed", `"${entry.path}" could not be kept out of the commit.`);
  }
  const tree = await writeTree(opened, scratch);
  return { tree, entries, keptOut: keptOut.sort((a, b) => (a.path < b.path ? -1 : 1)) };
}

/** Taking a sensitive file out of the repository is welcome; putting one in, or changing one, is not. */
async function whyNot(root: string, entry: DiffEntry): Promise<string | null> {
  if (entry.status === "deleted") return null;
  if (entry.newMode === GITLINK && entry.oldMode !== GITLINK) return "a git repository of its own";
  return await sensitiveFile(root, entry.path);
}

async function refuseSecrets(
  opened: Opened,
  sides: readonly [string, string],
  entries: readonly DiffEntry[],
): Promise<void> {
  const found = await findSecrets(await addedText(opened, sides, entries));
  if (found.length === 0) return;
  const named = found.slice(0, SECRETS_NAMED).map(({ path, line, kind }) => `${path}:${line} (${kind})`);
  const more = found.length > named.length ? ` and ${found.length - named.length} more` : "";
  refuse("secret_found", `Nothing was committed: secrets in ${named.join(", ")}${more}.`, {
    findings: found.map((finding) => ({ ...finding })),
  });
}

/** By git's own rules for trailers, without any configuration: trailers can be configured to run programs. */
async function withTrailers(opened: Opened, { message, trailers }: CommitRequest): Promise<string> {
  const { git, signal } = opened.context;
  const args = Object.entries(trailers).flatMap(([key, value]) => ["--trailer", `${key}: ${value}`]);
  if (args.length === 0) return `${message.trimEnd()}\n`;
  const bare = { HOME: opened.stateDir, XDG_CONFIG_HOME: opened.stateDir, GIT_CONFIG_NOSYSTEM: "1" };
  const env = {
    ...bare,
    GIT_CONFIG_GLOBAL: join(opened.stateDir, "no-config"),
    GIT_DIR: join(opened.stateDir, "no-repository"),
  };
  const call = ["-c", "trailer.ifexists=addIfDifferent", "interpret-trailers", "--no-divider", ...args];
  const { text } = await git.run(call, {
    scope: { cwd: opened.context.cwd, env },
    signal,
    stdin: `${message.trimEnd()}\n`,
  });
  return text;
}

interface Tree {
  readonly request: CommitRequest;
  readonly now: number;
  readonly message: string;
  readonly tree: string;
  readonly parent: string;
}

async function commitTree(opened: Opened, { request, now, message, tree, parent }: Tree): Promise<string> {
  const { git, signal } = opened.context;
  const { name, email } = request.author;
  const date = `@${Math.floor(now / 1000)} +0000`;
  const config = [...(opened.scope.config ?? []), "-c", `user.name=${name}`, "-c", `user.email=${email}`];
  const { text } = await git.run(["commit-tree", tree, "-p", parent, "-F", "-"], {
    scope: { ...opened.scope, config },
    signal,
    stdin: message,
    env: { GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date },
  });
  return text.trim();
}

interface Landing {
  readonly scratch: Scratch;
  readonly lock: IndexLock;
  readonly commit: string;
  readonly keptOut: readonly KeptOut[];
}

/** From here on it is not canceled any more: it is finished, or taken back. */
async function land(opened: Opened, { scratch, lock, commit: made, keptOut }: Landing): Promise<void> {
  const { state, stateDir, admin, scope, context } = opened;
  if (context.signal.aborted) refuse("canceled", "The commit was canceled before it was made.");
  const git = (args: readonly string[]) =>
    context.git.run(args, { scope, signal: new AbortController().signal });
  const ref = `refs/heads/${state.branch}`;
  const head = await ownHead(opened);
  const pending = { commit: made, keptOut };
  await writeState(stateDir, { ...state, head, pending });
  const tip = await commitOf(context.git, scope, { name: ref, signal: context.signal });
  const branch = await headBranch(admin);
  const detached = branch === null ? (await git(["rev-parse", "--verify", "HEAD"])).text.trim() : null;
  await git(["update-ref", "--create-reflog", "-m", "agent-runner: commit", ref, made, tip ?? ""]);
  try {
    if (branch !== state.branch) await git(["symbolic-ref", "HEAD", ref]);
    await copyIndex(scratch.index, indexFile(stateDir));
    await lock.replace(scratch.index);
  } catch (error) {
    await git(tip === null ? ["update-ref", "-d", ref, made] : ["update-ref", ref, tip, made]);
    if (detached !== null) await git(["update-ref", "--no-deref", "HEAD", detached]);
    else if (branch !== state.branch) await git(["symbolic-ref", "HEAD", `refs/heads/${branch}`]);
    throw error;
  }
  for (const left of ["MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "CHERRY_PICK_HEAD", "REVERT_HEAD"]) {
    await rm(join(admin, left), { force: true });
  }
  await writeState(stateDir, { ...state, head: pending, pending: null });
}
