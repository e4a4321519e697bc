import { readFileSync } from "node:fs";

/**
 * When the process began, as its system tells it (clock ticks since boot, on Linux); "" where there is no such thing.
 * With the pid it names one process for good: a pid alone is given out again.
 */
export function processStart(pid: number): string {
  if (process.platform !== "linux") return "";
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    // No /proc, or no such process: either way there is nothing to tell.
    return "";
  }
  // Field 2 is the command in parentheses and may hold spaces and parentheses itself; starttime is field 22.
  const afterCommand = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return afterCommand[19] ?? "";
}

/** Whether the process that had this pid and this start is surely gone from this host. */
export function isProcessGone(pid: number, start: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, under another user.
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
  const now = processStart(pid);
  return start !== "" && now !== "" && now !== start;
}
