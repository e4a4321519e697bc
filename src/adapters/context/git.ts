import { spawn } from "node:child_process";
import { Readable } from "node:stream";
import { FailureError, failure } from "../../domain/errors.ts";

const MAX_STDERR_CHARS = 4_000;
/** A record (a path, a commit message) is cut beyond about this. */
const MAX_RECORD_BYTES = 1024 * 1024;

/**
 * Settings that keep git from running programs that a repository names (fsmonitor, signature checks), from asking
 * a person, from taking locks, and from fetching what a partial clone lacks.
 */
const SAFE_FLAGS = [
  "--no-optional-locks",
  "-c",
  "core.fsmonitor=false",
  "-c",
  "log.showSignature=false",
  "-c",
  "core.quotePath=false",
  "-c",
  "i18n.logOutputEncoding=UTF-8",
];

/** Variables that would point git at another repository than the one asked for (they are set inside git hooks). */
const REPOSITORY_VARIABLES = new Set([
  "GIT_DIR",
  "GIT_WORK_TREE",
  "GIT_INDEX_FILE",
  "GIT_OBJECT_DIRECTORY",
  "GIT_ALTERNATE_OBJECT_DIRECTORIES",
  "GIT_COMMON_DIR",
  "GIT_NAMESPACE",
  "GIT_PREFIX",
]);

export interface GitCall {
  readonly git: string;
  /** Of the server; what would point git elsewhere is left out. */
  readonly environment: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly signal: AbortSignal | undefined;
}

export interface GitRun {
  readonly args: readonly string[];
  readonly stdin?: Iterable<string>;
  /** Settings for this run alone: `name=value`. */
  readonly config?: readonly string[];
  /** Exit codes other than 0 that are no failure. */
  readonly allowExit?: readonly number[];
}

/** The standard output of one git process, as it comes. Ending the iteration early ends the process. */
export async function* gitBytes(call: GitCall, run: GitRun): AsyncGenerator<Buffer, void, undefined> {
  if (call.signal?.aborted) throw canceled();
  const child = spawn(
    call.git,
    [...SAFE_FLAGS, ...(run.config ?? []).flatMap((one) => ["-c", one]), ...run.args],
    {
      cwd: call.cwd,
      env: gitEnvironment(call.environment),
      stdio: ["pipe", "pipe", "pipe"],
      windowsHide: true,
    },
  );
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    if (stderr.length < MAX_STDERR_CHARS) stderr += text.slice(0, MAX_STDERR_CHARS - stderr.length);
  });
  const ended = new Promise<number | NodeJS.ErrnoException>((resolve) => {
    child.once("error", resolve);
    child.once("close", (code) => resolve(code ?? -1));
  });
  const stop = (): void => void child.kill();
  call.signal?.addEventListener("abort", stop, { once: true });
  // A broken pipe means that git ended early; its exit code and words say why.
  child.stdin.on("error", () => undefined);
  Readable.from(run.stdin ?? [], { objectMode: true })
    .on("error", stop)
    .pipe(child.stdin);
  let whole = false;
  let end: number | NodeJS.ErrnoException = -1;
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    whole = true;
  } finally {
    if (!whole) stop();
    end = await ended;
    call.signal?.removeEventListener("abort", stop);
  }
  if (call.signal?.aborted) throw canceled();
  assertEnd(end, stderr, call, run);
}

function assertEnd(end: number | NodeJS.ErrnoException, stderr: string, call: GitCall, run: GitRun): void {
  if (typeof end !== "number") {
    // `cwd` that does not exist looks like a missing program.
    if (end.code === "ENOENT")
      throw new FailureError(failure("git_missing", `git: cannot run "${call.git}"`));
    throw new FailureError(failure("git_failed", `git ${run.args[0]}: ${end.message}`));
  }
  if (end === 0 || run.allowExit?.includes(end)) return;
  const words = stderr.trim();
  const lost = /not a git repository|must be run in a work tree|dubious ownership/i.test(words);
  throw new FailureError(
    failure(lost ? "not_a_repository" : "git_failed", `git ${run.args[0]} ended with ${end}: ${words}`, {
      exitCode: end,
      stderr: words,
    }),
  );
}

export function canceled(): FailureError {
  return new FailureError(failure("canceled", "the ranking was canceled"));
}

/** The NUL-ended records of git's output, as text. */
export async function* gitRecords(call: GitCall, run: GitRun): AsyncGenerator<string, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of gitBytes(call, run)) {
    const bytes: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(0, start); end >= 0; end = bytes.indexOf(0, start)) {
      yield bytes.toString("utf8", start, end);
      start = end + 1;
    }
    rest = bytes.subarray(start, start + MAX_RECORD_BYTES);
  }
  if (rest.length > 0) yield rest.toString("utf8");
}

/** Everything git says, trimmed: for short answers. */
export async function gitText(call: GitCall, run: GitRun): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of gitBytes(call, run)) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8").trim();
}

function gitEnvironment(given: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(given)) {
    if (!REPOSITORY_VARIABLES.has(name)) env[name] = value;
  }
  return {
    ...env,
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
    GIT_OPTIONAL_LOCKS: "0",
    // No protocol of this name exists, so nothing can be fetched, whatever the settings say.
    GIT_NO_LAZY_FETCH: "1",
    GIT_ALLOW_PROTOCOL: "none",
  };
}
