import { isAbsolute } from "node:path";
import { type ErrorCode, FailureError } from "../../../domain/errors.ts";
import { redactUrls } from "./failures.ts";
import { GIT_LIMITS, type Scope } from "./git.ts";
import type { GitContext } from "./repository.ts";
import { baseNow, type Opened, ownHead } from "./stage.ts";
import { writeState } from "./state.ts";

const MAX_REMOTES = 50;
const MAX_PUSHED = 1_000;
/** Said outright: `remote.*.receivepack` may name any program, and of several values git takes the first. */
const PUSH_PROGRAM = "--receive-pack=git-receive-pack";
const LIST_PROGRAM = "--upload-pack=git-upload-pack";

/** Where each configured remote pushes to, with every rewriting of addresses applied. */
export async function remoteTargets(
  context: GitContext,
  scope: Scope,
): Promise<Record<string, readonly string[]>> {
  const { git, signal } = context;
  const { text } = await git.run(["remote"], { scope, signal });
  const targets: Record<string, readonly string[]> = {};
  for (const name of text
    .split("\n")
    .filter((line) => line !== "")
    .slice(0, MAX_REMOTES)) {
    targets[name] = await targetsOf(context, scope, name);
  }
  return targets;
}

async function targetsOf(
  { git, signal }: GitContext,
  scope: Scope,
  name: string,
): Promise<readonly string[]> {
  const { text } = await git.run(["remote", "get-url", "--push", "--all", name], {
    scope,
    signal,
    okCodes: [2, 128],
  });
  return text.split("\n").filter((line) => line !== "");
}

/**
 * A remote by its name, which must still point where it did when the run began: an agent that can write
 * the repository's configuration must not choose where the work goes. Or an address said outright.
 */
async function checkRemote({ context, state, scope, config }: Opened, remote: string): Promise<void> {
  const pinned = state.remotes[remote];
  if (pinned !== undefined) {
    const now = await targetsOf(context, scope, remote);
    if (now.join("\n") === pinned.join("\n")) return;
    const [from, to] = [pinned, now].map((urls) => redactUrls(urls.join(", ")) || "nowhere");
    noPush(
      `The remote "${remote}" pointed to ${from} when the run began and points to ${to} now; give its address to push there.`,
    );
  }
  const isAddress =
    /^(?:https?|ssh|file):\/\/[^\s]+$/.test(remote) ||
    isAbsolute(remote) ||
    /^[\w.-]+@[\w.-]+:[^\s]+$/.test(remote);
  if (!isAddress || /[\0\n]/.test(remote)) {
    const known = Object.keys(state.remotes).join(", ") || "none";
    noPush(
      `"${redactUrls(remote)}" is no remote that the repository had when the run began (${known}), nor an address of the form https://, ssh://, file:// or user@host:path.`,
    );
  }
  if (config.rewrites.some((start) => remote.startsWith(start))) {
    noPush(
      `The repository's own configuration rewrites "${redactUrls(remote)}" (url.*.insteadOf); take that out first.`,
    );
  }
}

function noPush(message: string): never {
  throw new FailureError({ code: "push_failed" satisfies ErrorCode, message, retryable: false });
}

/** From the target's own folder: a remote may be written as a path relative to it. */
function remoteScope({ state, admin, scope }: Opened): Scope {
  return { ...scope, cwd: state.repo, env: { GIT_DIR: admin } };
}

export interface Pushed {
  readonly remote: string;
  readonly ref: string;
  readonly commit: string;
}

/** Our newest commit to the branch of the same name. Never by force; what is there already is success. */
export async function push(opened: Opened, remote: string): Promise<Pushed> {
  const { context, state, stateDir } = opened;
  const { git, signal } = context;
  const scope = remoteScope(opened);
  await checkRemote(opened, remote);
  const head = await ownHead(opened);
  if (head.commit === state.baseCommit)
    noPush("There is no commit to push: nothing was committed in this workspace.");
  const ref = `refs/heads/${state.branch}`;
  const flags = [
    "--porcelain",
    "--no-verify",
    "--no-follow-tags",
    "--no-signed",
    "--recurse-submodules=no",
    PUSH_PROGRAM,
  ];
  const { code, text, stderr } = await git.run(["push", ...flags, remote, `${head.commit}:${ref}`], {
    scope,
    signal,
    timeoutMs: GIT_LIMITS.networkTimeoutMs,
    okCodes: [1, 128],
    failAs: "push_failed",
  });
  if (code !== 0) pushFailure(text, stderr, { remote, ref });
  const pushed = [...new Set([...state.pushed, head.commit])].slice(-MAX_PUSHED);
  await writeState(stateDir, { ...state, pushed });
  return { remote: redactUrls(remote), ref, commit: head.commit };
}

function pushFailure(text: string, stderr: string, to: { remote: string; ref: string }): never {
  const row = text.split("\n").find((line) => line.startsWith("!"));
  const why = /\[(?:remote )?rejected\]\s*\((.*)\)/.exec(row ?? "")?.[1];
  const remote = redactUrls(to.remote);
  if (why !== undefined && /fetch first|non-fast-forward|stale info/.test(why)) {
    noPush(`${remote} has other commits on ${to.ref} (${why}); agent-runner does not push by force.`);
  }
  const words = redactUrls(stderr)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^(?:hint:|To |error: failed to push)/.test(line))
    .join(" | ")
    .slice(0, 800);
  // The other side said no: the same push again would be told the same.
  if (why !== undefined) noPush(`${remote} refused ${to.ref}: ${why}. ${words}`.trim());
  const retryable =
    !/Authentication failed|could not read (?:Username|Password)|Permission denied|not found|does not appear to be a git repository|not allowed/i.test(
      stderr,
    );
  throw new FailureError({ code: "push_failed", message: `Push to ${remote} failed: ${words}`, retryable });
}

/** The commit the remote's branch is at, `null` when it has no such branch. */
export async function remoteCommit(opened: Opened, remote: string): Promise<string | null> {
  const { context, state } = opened;
  const scope = remoteScope(opened);
  await checkRemote(opened, remote);
  const ref = `refs/heads/${state.branch}`;
  const urls = state.remotes[remote];
  const { text } = await context.git.run(["ls-remote", LIST_PROGRAM, urls?.[0] ?? remote, ref], {
    scope,
    signal: context.signal,
    timeoutMs: GIT_LIMITS.networkTimeoutMs,
    failAs: "push_failed",
  });
  const row = text.split("\n").find((line) => line.endsWith(`\t${ref}`));
  return row?.split("\t")[0] ?? null;
}

/** How many commits up to this one are neither on a remote, as far as is known here, nor in the base. */
export async function countUnpushed(opened: Opened, commit: string): Promise<number> {
  const { context, scope, state } = opened;
  const saved = [state.baseCommit, ...state.pushed];
  const base = await baseNow(opened);
  if (base !== null) saved.push(base);
  const args = ["rev-list", "--count", "--ignore-missing", commit, "--not", ...saved, "--remotes"];
  return Number((await context.git.run(args, { scope, signal: context.signal })).text);
}
