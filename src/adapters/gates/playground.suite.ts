import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { afterEach } from "vitest";
import type { Command, Sandbox } from "../../contracts/sandbox.ts";
import { failure, type Result } from "../../domain/errors.ts";

const made: string[] = [];
afterEach(() => {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true });
});

/** A real folder with these files. */
export function folder(files: Readonly<Record<string, string>>): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "gates ü-")));
  made.push(root);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

export function must<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`${result.failure.code}: ${result.failure.message}`);
  return result.value;
}

const TOOLS = resolve("node_modules", ".bin");

/** Real processes with the tools of this repository on the PATH; no isolation. */
export const plainSandbox: Sandbox = {
  name: "plain",
  run: (command, { signal }) =>
    new Promise((done) => {
      const startedAt = performance.now();
      const env = { ...process.env, ...command.env, PATH: `${TOOLS}${delimiter}${process.env.PATH}` };
      const child = start(command, env);
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      let timedOut = false;
      const stop = () => child.kill("SIGKILL");
      const timer = setTimeout(() => {
        timedOut = true;
        stop();
      }, command.timeoutMs);
      signal.addEventListener("abort", stop, { once: true });
      child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
      child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
      child.on("error", (error) => {
        clearTimeout(timer);
        done({ ok: false, failure: failure("tool_failed", error.message) });
      });
      child.on("close", (exitCode, ended) => {
        clearTimeout(timer);
        const [stdout, a] = cut(Buffer.concat(out), command.maxOutputBytes);
        const [stderr, b] = cut(Buffer.concat(err), command.maxOutputBytes);
        const ms = Math.round(performance.now() - startedAt);
        const canceled = signal.aborted;
        const result = {
          exitCode,
          signal: ended,
          stdout,
          stderr,
          elidedBytes: a + b,
          timedOut,
          canceled,
          ms,
        };
        done({ ok: true, result });
      });
    }),
};

function start({ run, cwd }: Command, env: NodeJS.ProcessEnv) {
  const stdio = ["ignore", "pipe", "pipe"] as ["ignore", "pipe", "pipe"];
  return "shell" in run
    ? spawn(run.shell, { cwd, env, stdio, shell: true })
    : spawn(run.program, run.args, { cwd, env, stdio });
}

function cut(bytes: Buffer, max: number): [string, number] {
  if (bytes.length <= max) return [bytes.toString("utf8"), 0];
  const half = Math.floor(max / 2);
  return [`${bytes.subarray(0, half)}\n…\n${bytes.subarray(-half)}`, bytes.length - 2 * half];
}
