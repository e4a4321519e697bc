import { appendFileSync, mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { isJsonObject } from "../../../base/json.ts";
import { groupEnded, killGroup, killMarked, signalGroup } from "./process-group.ts";
import { bootId, identityOf, isStillAlive, type ProcessIdentity } from "./process-identity.ts";

const SUFFIX = ".group";
const DEFAULT_REAP_GRACE_MS = 1_000;
const KILL_WAIT_MS = 2_000;

/**
 * A folder with one small file for each command that runs now. It is what lets the next start of the server find
 * the processes that a crashed one left behind.
 */
export interface GroupRegistry {
  /** Written before the command starts, so that no instant is without its note. Throws what the file system says. */
  open(mark: string, owner: string): RegisteredGroup;
}

export interface RegisteredGroup {
  bind(pid: number): void;
  close(): void;
}

/** First line of a file: who started the command. A second line follows when it has a pid. */
interface Note {
  readonly mark: string;
  readonly owner: string;
  readonly host: string;
  readonly boot: string | null;
  readonly server: ProcessIdentity;
}

export function openGroupRegistry(dir: string): GroupRegistry {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const here = { host: hostname(), boot: bootId(), server: thisProcess() };
  return {
    open(mark, owner) {
      const file = join(dir, `${mark}${SUFFIX}`);
      const note: Note = { mark, owner, ...here };
      writeFileSync(file, `${JSON.stringify(note)}\n`, { mode: 0o600, flag: "wx" });
      return {
        // Appended, never rewritten: a kill between two bytes must not lose the first line.
        bind: (pid) => appendFileSync(file, `${JSON.stringify(identityOf(pid, Date.now()))}\n`),
        close: () => removeIfThere(file),
      };
    },
  };
}

export interface ReapReport {
  /** Commands whose server is dead, and what of them was ended. */
  readonly orphans: readonly {
    readonly owner: string;
    readonly pid: number | null;
    /** `gone`: it had ended, or its pid belongs to another process now, which was left alone. */
    readonly fate: "ended" | "gone" | "still_alive";
  }[];
  /** Commands of servers that live, or of other machines that share the folder: not touched. */
  readonly live: number;
  /** Files that could not be understood; they were removed. */
  readonly unreadable: readonly string[];
}

/** Ends what a crashed server left running. A pid is signalled only if its process is the one that was written down. */
export async function reapOrphans(
  dir: string,
  options: { readonly graceMs?: number } = {},
): Promise<ReapReport> {
  const orphans: ReapReport["orphans"][number][] = [];
  const unreadable: string[] = [];
  let live = 0;
  for (const name of noteFiles(dir)) {
    const file = join(dir, name);
    const entry = readEntry(file);
    if (entry === "gone") continue;
    if (entry === "unreadable") {
      unreadable.push(name);
      removeIfThere(file);
    } else if (entry.note.host !== hostname() || (await serverLives(entry.note))) {
      live += 1;
    } else {
      const fate = entry.note.boot === bootId() ? await endOrphan(entry, options.graceMs) : "gone";
      orphans.push({ owner: entry.note.owner, pid: entry.leader?.pid ?? null, fate });
      if (fate !== "still_alive") removeIfThere(file);
    }
  }
  return { orphans, live, unreadable };
}

interface Entry {
  readonly note: Note;
  readonly leader: ProcessIdentity | null;
}

async function serverLives(note: Note): Promise<boolean> {
  return note.boot === bootId() && (await isStillAlive(note.server));
}

async function endOrphan(
  entry: Entry,
  graceMs = DEFAULT_REAP_GRACE_MS,
): Promise<"ended" | "gone" | "still_alive"> {
  const { leader } = entry;
  let ended = false;
  if (leader !== null && (await isStillAlive(leader))) {
    ended = true;
    signalGroup(leader.pid, "SIGTERM");
    if (process.platform === "win32" || !(await groupEnded(leader.pid, graceMs))) await killGroup(leader.pid);
  }
  // Without its leader a group's number proves nothing; the mark in the environment does.
  const marked = await killMarked(entry.note.mark);
  if (leader !== null && ended && !(await groupEnded(leader.pid, KILL_WAIT_MS))) {
    if (await isStillAlive(leader)) return "still_alive";
  }
  return ended || marked.length > 0 ? "ended" : "gone";
}

function thisProcess(): ProcessIdentity {
  return identityOf(process.pid, Date.now() - Math.round(process.uptime() * 1_000));
}

function noteFiles(dir: string): readonly string[] {
  try {
    return readdirSync(dir).filter((name) => name.endsWith(SUFFIX));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

function readEntry(file: string): Entry | "unreadable" | "gone" {
  let lines: string[];
  try {
    lines = readFileSync(file, "utf8").split("\n");
  } catch (error) {
    return codeOf(error) === "ENOENT" ? "gone" : "unreadable";
  }
  const note = parse(lines[0]);
  const leader = parse(lines[1]);
  if (!isNote(note)) return "unreadable";
  return { note, leader: isIdentity(leader) ? leader : null };
}

function parse(line: string | undefined): unknown {
  try {
    return JSON.parse(line ?? "");
  } catch {
    // A line that a kill cut short is as good as a line that was never written.
    return null;
  }
}

function isNote(value: unknown): value is Note {
  if (!isJsonObject(value)) return false;
  const texts = [value.mark, value.owner, value.host];
  return texts.every((text) => typeof text === "string" && text !== "") && isIdentity(value.server);
}

function isIdentity(value: unknown): value is ProcessIdentity {
  return isJsonObject(value) && Number.isInteger(value.pid) && (value.pid as number) > 1;
}

function removeIfThere(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
