import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync } from "node:fs";
import { stat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import type { Command, CommandResult, Sandbox } from "../../../contracts/sandbox.ts";
import { type Failure, failure } from "../../../domain/errors.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { commandEnvironment } from "./environment.ts";
import type { GroupRegistry, RegisteredGroup } from "./group-registry.ts";
import { invocationOf } from "./invocation.ts";
import { OutputPipes } from "./output-pipes.ts";
import { takePipe } from "./pipes.ts";
import { askToEnd, groupEnded, killGroup, killMarked } from "./process-group.ts";
import { startFailure } from "./start-failure.ts";
import { within } from "./within.ts";

/** What a command left running in the background gets to end by itself, once the command itself has ended. */
const LEFTOVER_GRACE_MS = 250;
/** A process that not even SIGKILL ends (it hangs inside the kernel) must not hang us as well. */
const KILL_WAIT_MS = 5_000;
/** `setTimeout` takes no more; a longer limit is as good as this one (24 days). */
const MAX_TIMER_MS = 2 ** 31 - 1;

type RunOptions = Parameters<Sandbox["run"]>[1];
type RunResult = Awaited<ReturnType<Sandbox["run"]>>;
type StopReason = "timeout" | "canceled";

interface Exit {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly mark: string;
  readonly exit: Promise<Exit>;
}

export interface HostSandboxOptions {
  /** Where live process groups are noted, for `reapOrphans` after a crash. */
  readonly registry?: GroupRegistry;
  /** Whom the commands run for (a run's id); written into the registry. */
  readonly owner?: string;
  /** More of the server's variables that commands may have, by name. Whatever they hold, commands can read. */
  readonly passNames?: readonly string[];
}

/**
 * Runs commands on this machine as this user: limits on time and output, an own process group, a clean
 * environment. It is no security boundary: a command can read and write whatever the user can.
 */
export function createHostSandbox(options: HostSandboxOptions = {}): Sandbox {
  return { name: "host", run: (command, runOptions) => runCommand(command, runOptions, options) };
}

async function runCommand(
  command: Command,
  options: RunOptions,
  host: HostSandboxOptions,
): Promise<RunResult> {
  const startedAt = performance.now();
  const problem = await problemOf(command);
  if (problem !== null) return { ok: false, failure: problem };
  const output = new OutputPipes(command.maxOutputBytes, options.onOutput);
  const finish = (exit: Exit, why: StopReason | null): RunResult =>
    output.callbackFailure === null
      ? { ok: true, result: resultOf({ exit, why, output, startedAt }) }
      : { ok: false, failure: output.callbackFailure };
  if (options.signal.aborted) return finish({ exitCode: null, signal: null }, "canceled");

  let group: RegisteredGroup | undefined;
  try {
    const mark = randomUUID();
    group = host.registry?.open(mark, host.owner ?? "unknown");
    const running = await start(command, { mark, host, group, output });
    const why = await exitOrStop(running, command.timeoutMs, options.signal);
    const exit = await endAll(running, why, options.graceMs ?? LIMITS.cancelGraceMs);
    await output.drained();
    return finish(exit, why);
  } catch (error) {
    return { ok: false, failure: startFailure(command, error) };
  } finally {
    group?.close();
  }
}

async function problemOf(command: Command): Promise<Failure | null> {
  const { cwd, timeoutMs, maxOutputBytes } = command;
  if (!isAbsolute(cwd)) return failure("command_not_started", `The folder "${cwd}" is not an absolute path.`);
  for (const [name, value] of Object.entries({ timeoutMs, maxOutputBytes })) {
    if (!(value > 0)) return failure("command_not_started", `\`${name}\` is ${value}; it must be above 0.`);
  }
  const folder = await stat(cwd).catch(() => null);
  if (folder?.isDirectory() === true) return null;
  return failure("command_not_started", `The folder "${cwd}" to run the command in does not exist.`);
}

interface Start {
  readonly mark: string;
  readonly host: HostSandboxOptions;
  readonly group: RegisteredGroup | undefined;
  readonly output: OutputPipes;
}

/** Throws what the system says when the command cannot be started; then nothing of it runs. */
async function start(command: Command, starting: Start): Promise<Running> {
  const child = await spawned(command, starting);
  const exit = new Promise<Exit>((resolve) => {
    child.once("exit", (exitCode, signal) => resolve({ exitCode, signal }));
  });
  const begun = new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.on("error", reject);
  });
  // A command may end without reading all of its input; that is its right.
  child.stdin?.on("error", () => undefined).end(command.stdin);
  try {
    if (child.pid !== undefined) starting.group?.bind(child.pid);
    await begun;
    if (child.pid === undefined) throw new Error("the system gave no pid");
    return { child, pid: child.pid, mark: starting.mark, exit };
  } catch (error) {
    begun.catch(() => undefined);
    if (child.pid !== undefined) await killGroup(child.pid);
    throw error;
  }
}

async function spawned(command: Command, { mark, host, output }: Start): Promise<ChildProcess> {
  const invocation = invocationOf(command.run);
  const stdout = await takePipe();
  const stderr = await takePipe();
  output.attach([stdout?.reader, stderr?.reader]);
  try {
    const child = spawn(invocation.file, invocation.args, {
      cwd: command.cwd,
      env: commandEnvironment({
        server: process.env,
        platform: process.platform,
        mark,
        ...(host.passNames === undefined ? {} : { passNames: host.passNames }),
        ...(command.env === undefined ? {} : { added: command.env }),
      }),
      stdio: [
        command.stdin === undefined ? "ignore" : "pipe",
        stdout?.writeFd ?? "pipe",
        stderr?.writeFd ?? "pipe",
      ],
      // A session and group of its own, so that one signal reaches all of it; on Windows it would open a window.
      detached: process.platform !== "win32",
      windowsHide: true,
      windowsVerbatimArguments: invocation.verbatim,
    });
    output.attach([child.stdout, child.stderr]);
    return child;
  } finally {
    // The command has its own copies; while we hold ours, no stream ever ends.
    for (const pipe of [stdout, stderr]) if (pipe !== null) closeSync(pipe.writeFd);
  }
}

/** `null` when the command ended by itself. */
async function exitOrStop(
  running: Running,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<StopReason | null> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort = (): void => undefined;
  const stopped = new Promise<StopReason>((resolve) => {
    timer = setTimeout(() => resolve("timeout"), Math.min(timeoutMs, MAX_TIMER_MS));
    onAbort = () => resolve("canceled");
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([running.exit.then(() => null), stopped]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/** Ends the group, first politely, then by kill, and whatever left the group but can still be found. */
async function endAll(running: Running, why: StopReason | null, graceMs: number): Promise<Exit> {
  const politeMs = why === null ? Math.min(LEFTOVER_GRACE_MS, graceMs) : graceMs;
  if (why !== null || !(await groupEnded(running.pid, 0))) {
    await askToEnd(running.pid);
    if (!(await groupEnded(running.pid, politeMs))) await killGroup(running.pid);
  }
  await killMarked(running.mark);
  const ended = await within(KILL_WAIT_MS, running.exit);
  return ended ? running.exit : { exitCode: null, signal: "SIGKILL" };
}

function resultOf(of: {
  readonly exit: Exit;
  readonly why: StopReason | null;
  readonly output: OutputPipes;
  readonly startedAt: number;
}): CommandResult {
  const stdout = of.output.stdout.finish();
  const stderr = of.output.stderr.finish();
  return {
    ...of.exit,
    stdout: stdout.text,
    stderr: stderr.text,
    elidedBytes: stdout.elidedBytes + stderr.elidedBytes,
    timedOut: of.why === "timeout",
    canceled: of.why === "canceled",
    ms: Math.round(performance.now() - of.startedAt),
  };
}
