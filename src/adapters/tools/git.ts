import { devNull } from "node:os";
import { dirname } from "node:path";
import { z } from "zod";
import type { ToolContext } from "../../contracts/tool.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import { headAndTail, readable, runInWorkspace } from "./command-output.ts";
import { defineTool, refuse, said } from "./define-tool.ts";
import { placeOf } from "./workspace-files.ts";

const TIMEOUT_MS = 60_000;
const DEFAULT_COMMITS = 20;
const MOST_COMMITS = 100;
const MESSAGE_CHARS = 2_000;

/** Names of branches, tags and commits, `HEAD~2`, `main..HEAD`; nothing that git could take for an option. */
const REVISION = /^[A-Za-z0-9_@][\w./@{}^~+-]*$/;

/** Nothing that the repository configures may run, ask or page, and no path is a pattern. */
const SAFE_OPTIONS = [
  ...["--no-pager", "--no-optional-locks", "--literal-pathspecs"],
  ...["-c", `core.hooksPath=${devNull}`, "-c", "core.fsmonitor=false", "-c", "core.quotePath=false"],
  ...["-c", "color.ui=false", "-c", "log.showSignature=false", "-c", "diff.ignoreSubmodules=dirty"],
];

const pathField = z
  .string()
  .min(1)
  .optional()
  .describe("Only this file or folder, relative to the workspace's root.");

const readOnlyGit = { effect: "pure", risk: "low", readOnly: true } as const;

export const gitStatusTool = defineTool({
  name: "git_status",
  description: "Show the branch and which files are changed, staged or untracked.",
  fields: {},
  ...readOnlyGit,
  run: async (_, context) =>
    said(await git(context, ["status", "--short", "--branch", "--untracked-files=all"])),
});

export const gitDiffTool = defineTool({
  name: "git_diff",
  description:
    "Show changes of tracked files as a diff: of the working tree against the last commit, or what you name.",
  fields: {
    path: pathField,
    revision: z
      .string()
      .optional()
      .describe("Compare with this commit or branch, or show a range such as `main...HEAD`."),
    staged: z.boolean().optional().describe("Only what is staged."),
    summary: z.boolean().optional().describe("Only how many lines changed in which file."),
  },
  ...readOnlyGit,
  async run(input, context) {
    const args = ["diff", "--no-ext-diff", "--no-textconv", "--no-color"];
    if (input.summary === true) args.push("--stat");
    if (input.staged === true) args.push("--cached");
    args.push(revisionOf(input.revision ?? "HEAD"), "--", ...(await pathOf(context, input.path)));
    return said((await git(context, args)) || "[no changes of tracked files]");
  },
});

export const gitLogTool = defineTool({
  name: "git_log",
  description: "Show commits, newest first: hash, date, author, subject.",
  fields: {
    path: pathField,
    revision: z
      .string()
      .optional()
      .describe("Branch, commit or range such as `main..HEAD`; without it HEAD."),
    limit: z.int().min(1).max(MOST_COMMITS).optional().describe(`How many; ${DEFAULT_COMMITS} if not given.`),
    messages: z.boolean().optional().describe("Show whole messages and the files of each commit."),
  },
  ...readOnlyGit,
  async run(input, context) {
    const format = input.messages === true ? "commit %h %ad %an%n%n%w(0,4,4)%B" : "%h %ad %an: %s";
    const args = [
      "log",
      "--no-color",
      "--no-ext-diff",
      "--no-textconv",
      "--date=short",
      `--format=${format}`,
    ];
    if (input.messages === true) args.push("--stat");
    args.push(`--max-count=${input.limit ?? DEFAULT_COMMITS}`, revisionOf(input.revision ?? "HEAD"));
    return said(
      (await git(context, [...args, "--", ...(await pathOf(context, input.path))])) || "[no commits]",
    );
  },
});

async function git(context: ToolContext, args: readonly string[]): Promise<string> {
  const run = { program: "git", args: [...SAFE_OPTIONS, ...args] };
  // A workspace that is no repository must not show one that happens to lie above it.
  const env = { GIT_CEILING_DIRECTORIES: dirname(context.root), LC_ALL: "C" };
  const result = await runInWorkspace(context, { run, env, timeoutMs: TIMEOUT_MS }).catch(
    (error: unknown) => {
      const missing = error instanceof FailureError && error.failure.code === "command_not_started";
      throw missing
        ? new FailureError(failure("git_missing", `git could not be started: ${error.message}`))
        : error;
    },
  );
  context.signal.throwIfAborted();
  if (result.exitCode === 0) return headAndTail(readable(result.stdout).trimEnd(), LIMITS.toolOutputChars);
  const message = headAndTail(readable(result.stderr).trim(), MESSAGE_CHARS);
  if (/not a git repository/i.test(message))
    refuse("The workspace is not a git repository.", "not_a_repository");
  return refuse(
    result.timedOut ? `git took longer than ${TIMEOUT_MS / 1_000} s.` : `git says: ${message}`,
    "git_failed",
  );
}

function revisionOf(text: string): string {
  if (REVISION.test(text)) return text;
  return refuse(
    `\`revision\` is ${JSON.stringify(text.slice(0, 80))}; expected a branch, a tag, a commit, or a range such as \`main..HEAD\`.`,
    "tool_invalid_input",
  );
}

async function pathOf(context: ToolContext, path: string | undefined): Promise<readonly string[]> {
  return path === undefined ? [] : [(await placeOf(context.root, path)).path];
}
