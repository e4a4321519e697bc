import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";

const FIRST_POLL_MS = 5;
const LAST_POLL_MS = 80;
const TASKKILL_TIMEOUT_MS = 10_000;
/** A process that forks while it is being looked for is found in a later round. */
const SWEEP_ROUNDS = 5;
/** Processes looked at before the event loop gets its turn. */
const SWEEP_SLICE = 64;

const GROUPS = process.platform !== "win32";

/** Sends a signal to every process of the group; `false` when there is none left (or none that may be signalled). */
export function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  if (!GROUPS) return false;
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    // ESRCH: the group is gone. EPERM: what is left belongs to another user, and is out of reach.
    return false;
  }
}

/** Asks the group to end, or ends it where a system knows no asking. */
export async function askToEnd(pid: number): Promise<void> {
  if (GROUPS) signalGroup(pid, "SIGTERM");
  else await taskkill(pid);
}

export async function killGroup(pid: number): Promise<void> {
  if (GROUPS) signalGroup(pid, "SIGKILL");
  else await taskkill(pid);
}

/** Waits until no process of the group is left, at most `ms`. Systems give no event for this, so it looks again. */
export async function groupEnded(pid: number, ms: number): Promise<boolean> {
  const until = performance.now() + ms;
  let pause = FIRST_POLL_MS;
  while (isGroupAlive(pid)) {
    if (performance.now() >= until) return false;
    await wait(Math.min(pause, Math.max(until - performance.now(), 1)));
    pause = Math.min(pause * 2, LAST_POLL_MS);
  }
  return true;
}

/** The dead whom nobody has buried yet can still be signalled; in a container without an init they stay for ever. */
function isGroupAlive(pid: number): boolean {
  if (!signalGroup(pid, 0)) return false;
  if (process.platform !== "linux") return true;
  return readdirSync("/proc").some((name) => {
    const [state, , group] = Number.isInteger(Number(name)) ? statusOf(name) : [];
    return group === String(pid) && state !== "Z" && state !== "X";
  });
}

function statusOf(pid: string): readonly string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ", 3);
  } catch {
    return [];
  }
}

/**
 * Kills every process that carries the mark in the environment it was started with, wherever it moved to: a
 * process that made its own session has left the group, but not its environment. Only Linux lets us look.
 * @returns the pids that were killed.
 */
export async function killMarked(mark: string): Promise<readonly number[]> {
  const killed = new Set<number>();
  if (process.platform !== "linux") return [];
  for (let round = 0; round < SWEEP_ROUNDS; round += 1) {
    const found = (await findMarked(mark)).filter((pid) => !killed.has(pid));
    if (found.length === 0) break;
    for (const pid of found) {
      killed.add(pid);
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself between the look and the kill.
      }
    }
  }
  return [...killed];
}

async function findMarked(mark: string): Promise<number[]> {
  const found: number[] = [];
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  for (let at = 0; at < pids.length; at += SWEEP_SLICE) {
    for (const pid of pids.slice(at, at + SWEEP_SLICE))
      if (pid !== process.pid && isMarked(pid, mark)) found.push(pid);
    if (at + SWEEP_SLICE < pids.length) await nextTurn();
  }
  return found;
}

function isMarked(pid: number, mark: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").includes(mark);
  } catch {
    // Ended meanwhile, or another user's: neither is ours to kill.
    return false;
  }
}

function taskkill(pid: number): Promise<void> {
  const program = join(process.env.SystemRoot ?? "C:\\Windows", "System32", "taskkill.exe");
  return new Promise((resolve) => {
    // An error means that there is no such process any more, which is what was asked for.
    execFile(program, ["/pid", String(pid), "/T", "/F"], { timeout: TASKKILL_TIMEOUT_MS }, () => resolve());
  });
}
