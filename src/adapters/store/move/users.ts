import { hostname } from "node:os";
import { isProcessGone } from "../sql/process.ts";

/** A worker or a member that was heard of a moment ago. */
export interface HeardOf {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly process_start: string;
}

/** The migration that brought `member`: processes that answer requests or keep house, and drive no runs. */
const MEMBERS_SINCE = 5;

export function hasMembers(schema: number): boolean {
  return schema >= MEMBERS_SINCE;
}

/** One text a process, of those that live as far as this machine can tell; a member may be a worker too. */
export function usersOf(workers: readonly HeardOf[], members: readonly HeardOf[]): readonly string[] {
  const seen = new Set<string>();
  const texts: string[] = [];
  for (const [kind, all] of [
    ["worker", workers],
    ["process", members],
  ] as const) {
    for (const { id, host, pid, process_start } of all) {
      if (seen.has(`${host} ${pid}`)) continue;
      if (host === hostname() && isProcessGone(pid, process_start)) continue;
      seen.add(`${host} ${pid}`);
      texts.push(`${kind} ${id} (pid ${pid} on ${host})`);
    }
  }
  return texts;
}
