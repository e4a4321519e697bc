import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);
const QUERY_TIMEOUT_MS = 10_000;
/** `ps` tells whole seconds, and our own note of the time is made a moment after the start. */
const WALL_CLOCK_TOLERANCE_MS = 2_000;

/** Enough to tell a process from a later one that was given the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Linux: boot id and start tick, exact. Elsewhere `null`: the wall clock decides. */
  readonly startTick: string | null;
  readonly startedAtMs: number;
}

/** Of a process that was started just now, or of this very process. */
export function identityOf(pid: number, startedAtMs: number): ProcessIdentity {
  return { pid, startTick: startTickOf(pid), startedAtMs };
}

/** Whether the process that was written down is the one that has its pid now. */
export async function isStillAlive(identity: ProcessIdentity): Promise<boolean> {
  if (identity.startTick !== null || process.platform === "linux") {
    return identity.startTick !== null && startTickOf(identity.pid) === identity.startTick;
  }
  const startedAtMs = await startTimeOf(identity.pid);
  return startedAtMs !== null && Math.abs(startedAtMs - identity.startedAtMs) <= WALL_CLOCK_TOLERANCE_MS;
}

/** Changes with every start of the machine; `null` where the system has no such thing. */
export function bootId(): string | null {
  return readOrNull("/proc/sys/kernel/random/boot_id")?.trim() ?? null;
}

function startTickOf(pid: number): string | null {
  const stat = readOrNull(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The second field is the program's name in parentheses and may hold anything; count from its end.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, tick] = [fields[0], fields[19]];
  if (tick === undefined || state === "Z" || state === "X") return null;
  return `${bootId() ?? "unknown"}:${tick}`;
}

async function startTimeOf(pid: number): Promise<number | null> {
  try {
    if (process.platform === "win32") {
      const script = `(Get-Process -Id ${pid}).StartTime.ToUniversalTime().ToString('o')`;
      const { stdout } = await run("powershell.exe", ["-NoProfile", "-NonInteractive", "-Command", script], {
        timeout: QUERY_TIMEOUT_MS,
        windowsHide: true,
      });
      return finite(Date.parse(stdout.trim()));
    }
    const { stdout } = await run("ps", ["-o", "lstart=", "-p", String(pid)], {
      timeout: QUERY_TIMEOUT_MS,
      env: { PATH: process.env.PATH ?? "/bin:/usr/bin", LC_ALL: "C", TZ: "UTC" },
    });
    return finite(Date.parse(`${stdout.trim()} UTC`));
  } catch {
    // Both programs fail when there is no such process, which is the answer.
    return null;
  }
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null;
  }
}
