import { existsSync } from "node:fs";
import { open, realpath } from "node:fs/promises";
import { isAbsolute, join, relative, sep } from "node:path";
import { formatDuration } from "../../base/duration.ts";
import type { GateResult, GateSpec, Gates } from "../../contracts/gates.ts";
import type { CommandResult, Sandbox } from "../../contracts/sandbox.ts";
import { fail, ok, type Result } from "../../domain/errors.ts";
import { DetectionError, detectGates, type Facts } from "./detect.ts";
import { parseFindings } from "./findings.ts";
import { GATE_LIMITS, GATES_FILE, parseGatesFile } from "./gates-file.ts";

/** Bytes kept of each stream of a gate, head and tail. */
const OUTPUT_BYTES = 262_144;
const GRACE_MS = 5_000;
/** Colours would be noise in a journal; tools that watch or ask do neither. */
const GATE_ENV = { CI: "true", NO_COLOR: "1", TERM: "dumb" };
/** What shells answer when they do not find a program. */
const NOT_FOUND_CODES = process.platform === "win32" ? [9009] : [127];

/** Files that detection looks into; whether others exist is asked for by name. */
const READ_FOR_DETECTION = [
  "package.json",
  "pyproject.toml",
  "setup.cfg",
  "tox.ini",
  "requirements.txt",
  "requirements-dev.txt",
  "dev-requirements.txt",
  "requirements/dev.txt",
  "Cargo.toml",
  "GNUmakefile",
  "makefile",
  "Makefile",
];

/** Gates as the repository's own file says, else as its files show. */
export function repositoryGates(): Gates {
  return { specs: specsOf, run: runGate };
}

async function specsOf(root: string): Promise<Result<readonly GateSpec[]>> {
  const written = await readInside(root, GATES_FILE);
  if (!written.ok) return written;
  if (written.value !== null) return parseGatesFile(written.value);
  if (existsSync(join(root, ".agent-runner", "gates.yml"))) {
    return fail("invalid_gates", `.agent-runner/gates.yml is not read: rename it to ${GATES_FILE}.`);
  }
  const texts = new Map<string, string>();
  for (const path of READ_FOR_DETECTION) {
    const read = await readInside(root, path);
    if (!read.ok) return read;
    if (read.value !== null) texts.set(path, read.value);
  }
  const facts: Facts = {
    has: (path) => existsSync(join(root, path)),
    read: (path) => texts.get(path) ?? null,
  };
  try {
    return ok(detectGates(facts));
  } catch (error) {
    if (!(error instanceof DetectionError)) throw error;
    return fail(
      "invalid_gates",
      `No gates can be detected: ${error.message}. Correct it, or write ${GATES_FILE}.`,
    );
  }
}

/** A file of the repository that is really inside it; `null` when there is none. */
async function readInside(root: string, path: string): Promise<Result<string | null>> {
  try {
    const real = await realpath(join(root, path));
    if (!isInside(await realpath(root), real)) {
      return fail("workspace_escape", `${path} is a link to ${real}, outside the repository.`);
    }
    const file = await open(real, "r");
    try {
      const { size } = await file.stat();
      if (size > GATE_LIMITS.fileBytes) {
        return fail("limit_exceeded", `${path} has ${size} bytes, more than ${GATE_LIMITS.fileBytes}.`);
      }
      return ok(await file.readFile("utf8"));
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return ok(null);
    return fail(
      "invalid_gates",
      `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

interface RunOptions {
  readonly root: string;
  readonly sandbox: Sandbox;
  readonly signal: AbortSignal;
}

async function runGate(gate: GateSpec, { root, sandbox, signal }: RunOptions): Promise<Result<GateResult>> {
  const startedAt = performance.now();
  const base = { name: gate.name, command: commandLine(gate), required: gate.required };
  const notStarted = (why: string): Result<GateResult> =>
    ok({
      ...base,
      passed: false,
      exitCode: null,
      timedOut: false,
      ms: Math.round(performance.now() - startedAt),
      findings: [],
      output: `The gate could not be started: ${why}\n`,
      elidedBytes: 0,
    });
  const cwd = await realpath(join(root, gate.workdir)).catch(() => null);
  if (cwd === null) return notStarted(`its workdir "${gate.workdir}" does not exist.`);
  if (!isInside(await realpath(root), cwd))
    return notStarted(`its workdir "${gate.workdir}" is outside the repository.`);
  const command = {
    run: gate.run,
    cwd,
    env: GATE_ENV,
    timeoutMs: gate.timeoutMs,
    maxOutputBytes: OUTPUT_BYTES,
  };
  if (signal.aborted) return canceled(gate);
  const ran = await sandbox.run(command, { signal, graceMs: GRACE_MS });
  if (signal.aborted || (ran.ok ? ran.result.canceled : ran.failure.code === "canceled")) {
    return canceled(gate);
  }
  if (!ran.ok) return notStarted(ran.failure.message);
  const { result } = ran;
  const printed = joinStreams(result);
  const findings = parseFindings(printed, { root, cwd });
  return ok({
    ...base,
    passed: result.exitCode === 0 && !result.timedOut,
    exitCode: result.exitCode,
    timedOut: result.timedOut,
    ms: result.ms,
    findings,
    output: printed + remark(gate, result),
    elidedBytes: result.elidedBytes,
  });
}

function canceled(gate: GateSpec): Result<GateResult> {
  return fail("canceled", `The gate "${gate.name}" was canceled.`);
}

function joinStreams({ stdout, stderr }: CommandResult): string {
  const gap = stdout !== "" && stderr !== "" && !stdout.endsWith("\n") ? "\n" : "";
  return `${stdout}${gap}${stderr}`;
}

/** A line of ours, for what the command itself could not say. */
function remark(gate: GateSpec, { exitCode, timedOut, signal }: CommandResult): string {
  if (timedOut)
    return `\n[agent-runner] ended at the gate's time limit of ${formatDuration(gate.timeoutMs)}\n`;
  if (signal !== null) return `\n[agent-runner] ended by ${signal}\n`;
  if (exitCode !== null && NOT_FOUND_CODES.includes(exitCode)) {
    return `\n[agent-runner] exit code ${exitCode}: a program that the gate names is not installed\n`;
  }
  return "";
}

/** As a person would type it. */
function commandLine({ run }: GateSpec): string {
  if ("shell" in run) return run.shell;
  return [run.program, ...run.args]
    .map((part) => (/^[\w@%+=:,./-]+$/.test(part) ? part : JSON.stringify(part)))
    .join(" ");
}
