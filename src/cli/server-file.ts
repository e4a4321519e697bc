import { constants } from "node:fs";
import { copyFile, link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isJsonObject, type Json } from "../base/json.ts";
import { FailureError, failure } from "../domain/errors.ts";

/** Where a running server says that it is reached; in the data folder. */
export const SERVER_FILE = "server.json";
const ALIVE_MS = 2_000;

/** What stands in the file. */
export interface RunningServer {
  readonly url: string;
  readonly pid: number;
  /** RFC 3339. */
  readonly started_at: string;
  /** Whoever sends it is believed to be who he says; `null` in notes of older versions. */
  readonly key: string | null;
}

/**
 * The server that works on this data folder, or `null`. The note of a server that was killed stays behind, and
 * another one, on other data, may listen at its address since: so its process must live as well as answer.
 */
export async function runningServer(dataDir: string): Promise<RunningServer | null> {
  const noted = await readNote(join(dataDir, SERVER_FILE));
  return noted !== null && (await isAlive(noted)) ? noted : null;
}

async function readNote(path: string): Promise<RunningServer | null> {
  try {
    const note = JSON.parse(await readFile(path, "utf8")) as Json;
    if (!isJsonObject(note)) return null;
    const { url, pid, started_at } = note;
    if (typeof url !== "string" || typeof pid !== "number" || typeof started_at !== "string") return null;
    return { url, pid, started_at, key: typeof note.key === "string" ? note.key : null };
  } catch {
    // No note, or half of one: nobody who can be spoken to.
    return null;
  }
}

async function isAlive({ url, pid }: RunningServer): Promise<boolean> {
  if (!processLives(pid)) return false;
  try {
    const answer = await fetch(new URL("/healthz", url), { signal: AbortSignal.timeout(ALIVE_MS) });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}

function processLives(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // There, but somebody else's.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Rejects with `conflict` when a server works on this data folder. */
export async function refuseSecondServer(dataDir: string): Promise<void> {
  const other = await runningServer(dataDir);
  if (other !== null) throw alreadyServed(dataDir, other);
}

function alreadyServed(dataDir: string, other: RunningServer): FailureError {
  const message = `a server (pid ${other.pid}, ${other.url}) works on the data folder ${dataDir} already; stop it, talk to it, or name another folder with --data`;
  return new FailureError(failure("conflict", message, { pid: other.pid, url: other.url }));
}

/** Writes the note, whole or not at all; rejects with `conflict` when another server was quicker. */
export async function noteServer(dataDir: string, note: RunningServer): Promise<() => Promise<void>> {
  const path = join(dataDir, SERVER_FILE);
  const draft = `${path}.${note.pid}`;
  await writeFile(draft, `${JSON.stringify(note)}\n`, { mode: 0o600 });
  try {
    if (!(await place(draft, path))) {
      await refuseSecondServer(dataDir);
      // Moved aside first, so that of two that find an old note only one removes it.
      const stale = `${path}.stale-${note.pid}`;
      await rename(path, stale).catch(() => {});
      await rm(stale, { force: true });
      if (!(await place(draft, path))) {
        const other = await readNote(path);
        throw alreadyServed(dataDir, other ?? { url: "unknown", pid: 0, started_at: "", key: null });
      }
    }
  } finally {
    await rm(draft, { force: true });
  }
  return async () => {
    const now = await readNote(path);
    if (now?.pid === note.pid) await rm(path, { force: true });
  };
}

/** False when there is one already. */
async function place(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
  }
  try {
    // A file system without links.
    await copyFile(draft, path, constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}
