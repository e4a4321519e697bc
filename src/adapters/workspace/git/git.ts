import { type ChildProcess, execFile, spawn } from "node:child_process";
import { statfs } from "node:fs/promises";
import { type ErrorCode, FailureError, failure } from "../../../domain/errors.ts";
import { baseConfig, type Environment, gitEnvironment } from "./environment.ts";
import { gitFailure, hasCode, refuse } from "./failures.ts";

export const GIT_LIMITS = {
  timeoutMs: 120_000,
  networkTimeoutMs: 300_000,
  checkoutTimeoutMs: 900_000,
  outputBytes: 67_108_864,
  stderrBytes: 65_536,
  killGraceMs: 5_000,
  /** A write that failed with less than this free failed for want of space. */
  diskFullBytes: 33_554_432,
} as const;

const MIN_VERSION = [2, 30] as const;

/** Which repository a call works on. Always said outright: git searches nothing by itself. */
export interface Scope {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** `-c` arguments. */
  readonly config?: readonly string[];
}

export interface GitOptions {
  readonly scope: Scope;
  readonly signal: AbortSignal;
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** Bytes of stdout that are read; more is a failure, or cut when `clip` is set. */
  readonly maxBytes?: number;
  readonly clip?: boolean;
  /** Exit codes that are answers, not failures; 0 always is one. */
  readonly okCodes?: readonly number[];
  /** The code of a failure that is not about the disk or the repository. */
  readonly failAs?: ErrorCode;
}

export interface GitOutput {
  readonly code: number;
  readonly bytes: Buffer;
  readonly text: string;
  readonly stderr: string;
  readonly clipped: boolean;
}

/** The git command line: no shell, a clean environment, bounded in time and output, ended with its children. */
export interface Git {
  /** Throws `FailureError`: `git_missing`, `command_timeout`, `canceled`, `limit_exceeded`, or what git's words mean. */
  run(args: readonly string[], options: GitOptions): Promise<GitOutput>;
  /** Major and minor version; throws `git_missing` when git is absent or too old. */
  version(signal: AbortSignal): Promise<readonly [number, number]>;
}

export interface CreateGitOptions {
  readonly program: string;
  /** An empty folder. */
  readonly noHooks: string;
  /** The server's own environment; git gets what it needs of it. */
  readonly environment: Environment;
}

export function createGit(options: CreateGitOptions): Git {
  const env = gitEnvironment(options.environment);
  const config = baseConfig(options.noHooks);
  const run: Git["run"] = async (args, call) => {
    const name = args[0] ?? "";
    const ended = await execute({
      program: options.program,
      args: ["--no-pager", ...config, ...(call.scope.config ?? []), ...args],
      env: { ...env, ...call.scope.env, ...call.env },
      call,
    });
    if (ended.stopped === "canceled") refuse("canceled", `git ${name} was canceled.`);
    const limitMs = call.timeoutMs ?? GIT_LIMITS.timeoutMs;
    if (ended.stopped === "timeout") refuse("command_timeout", `git ${name} took longer than ${limitMs} ms.`);
    if (ended.stopped === "overflow" && call.clip !== true) {
      refuse(
        "limit_exceeded",
        `git ${name} printed more than ${call.maxBytes ?? GIT_LIMITS.outputBytes} bytes.`,
      );
    }
    const clipped = ended.stopped === "overflow";
    const code = clipped ? 0 : (ended.code ?? -1);
    if (code !== 0 && !(call.okCodes ?? []).includes(code)) {
      const words = ended.code === null ? `${ended.stderr}\nended by ${ended.signal}` : ended.stderr;
      const told = gitFailure(name, words, call.failAs);
      if (
        /unable to write|write error|short write|could not write/i.test(words) &&
        (await isDiskFull(call))
      ) {
        throw new FailureError(failure("disk_full", told.message));
      }
      throw new FailureError(told);
    }
    return { code, bytes: ended.stdout, text: ended.stdout.toString("utf8"), stderr: ended.stderr, clipped };
  };
  let version: readonly [number, number] | null = null;
  return {
    run,
    async version(signal) {
      version ??= await readVersion(run, signal);
      return version;
    },
  };
}

/** git does not always pass on why a write failed. */
async function isDiskFull({ scope, env }: GitOptions): Promise<boolean> {
  const all = { ...scope.env, ...env };
  for (const path of [scope.cwd, all.GIT_DIR, all.GIT_WORK_TREE]) {
    const disk = path === undefined ? null : await statfs(path).catch(() => null);
    if (disk !== null && disk.bavail * disk.bsize < GIT_LIMITS.diskFullBytes) return true;
  }
  return false;
}

async function readVersion(run: Git["run"], signal: AbortSignal): Promise<readonly [number, number]> {
  const { text } = await run(["--version"], { scope: { cwd: process.cwd() }, signal });
  const found = /(\d+)\.(\d+)/.exec(text);
  const version = [Number(found?.[1] ?? 0), Number(found?.[2] ?? 0)] as const;
  if (version[0] < MIN_VERSION[0] || (version[0] === MIN_VERSION[0] && version[1] < MIN_VERSION[1])) {
    refuse("git_missing", `git is ${text.trim()}; agent-runner needs ${MIN_VERSION.join(".")} or later.`);
  }
  return version;
}

interface Execution {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Record<string, string>;
  readonly call: GitOptions;
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly stopped: "canceled" | "timeout" | "overflow" | null;
}

function execute({ program, args, env, call }: Execution): Promise<Ended> {
  const maxBytes = call.maxBytes ?? GIT_LIMITS.outputBytes;
  if (call.signal.aborted) {
    const nothing = { code: null, signal: null, stdout: Buffer.alloc(0), stderr: "" };
    return Promise.resolve({ ...nothing, stopped: "canceled" });
  }
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: call.scope.cwd,
      env,
      stdio: ["pipe", "pipe", "pipe"],
      // A process group of its own: git's helpers (ssh, index-pack) end with it, and no terminal can be asked.
      detached: process.platform !== "win32",
      windowsHide: true,
    });
    let stopped: Ended["stopped"] = null;
    let killTimer: NodeJS.Timeout | undefined;
    const stop = (why: NonNullable<Ended["stopped"]>) => {
      if (stopped !== null) return;
      stopped = why;
      endTree(child, "SIGTERM");
      killTimer = setTimeout(() => endTree(child, "SIGKILL"), GIT_LIMITS.killGraceMs);
    };
    const onAbort = () => stop("canceled");
    call.signal.addEventListener("abort", onAbort, { once: true });
    const timer = setTimeout(() => stop("timeout"), call.timeoutMs ?? GIT_LIMITS.timeoutMs);
    const out = gather(child.stdout, maxBytes, () => stop("overflow"));
    const err = gather(child.stderr, GIT_LIMITS.stderrBytes, () => {});
    const settle = () => {
      clearTimeout(timer);
      clearTimeout(killTimer);
      call.signal.removeEventListener("abort", onAbort);
    };
    child.on("error", (error) => {
      settle();
      reject(startFailure(error, program, call.scope.cwd));
    });
    child.on("close", (code, signal) => {
      settle();
      resolve({ code, signal, stdout: out(), stderr: err().toString("utf8"), stopped });
    });
    // git may end before it has read everything: its exit code says why, not the broken pipe.
    child.stdin.on("error", () => {});
    child.stdin.end(call.stdin ?? "");
  });
}

function gather(stream: NodeJS.ReadableStream, maxBytes: number, onOverflow: () => void): () => Buffer {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on("data", (chunk: Buffer) => {
    const kept = chunk.subarray(0, maxBytes - size);
    chunks.push(kept);
    size += kept.length;
    if (kept.length < chunk.length) onOverflow();
  });
  return () => Buffer.concat(chunks);
}

function startFailure(error: Error, program: string, cwd: string): Error {
  if (!hasCode(error, "ENOENT", "EACCES")) return error;
  const message = `git could not be started: "${program}" in ${cwd}: ${error.message}`;
  return new FailureError(failure("git_missing", message));
}

function endTree(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): void {
  if (child.pid === undefined) return;
  if (process.platform === "win32") {
    execFile("taskkill", ["/pid", String(child.pid), "/T", "/F"], () => {});
    return;
  }
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // The group is already gone: that is what was wanted.
    if (!hasCode(error, "ESRCH")) child.kill(signal);
  }
}
