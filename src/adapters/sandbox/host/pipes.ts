import { execFile } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";

const run = promisify(execFile);
/** Made by one call of mkfifo: enough that a busy server seldom waits for the next. */
const BATCH = 32;
const MKFIFO_TIMEOUT_MS = 5_000;

interface Ends {
  readonly readFd: number;
  readonly writeFd: number;
}

export interface OutputPipe {
  readonly reader: Readable;
  /** To be handed to the command, and closed here once it has started. */
  readonly writeFd: number;
}

let pool: Ends[] = [];
let filling: Promise<boolean> | null = null;

/**
 * A pipe as a shell would make it, for one output stream of a command; `null` where there are none. What Node
 * makes by itself is a socket, and a script that opens `/dev/stderr` or `/dev/stdout` fails on a socket.
 */
export async function takePipe(): Promise<OutputPipe | null> {
  if (process.platform === "win32") return null;
  while (pool.length === 0) {
    filling ??= fill().finally(() => {
      filling = null;
    });
    if (!(await filling)) return null;
  }
  const ends = pool.pop();
  if (ends === undefined) return null;
  return { reader: new Socket({ fd: ends.readFd, readable: true, writable: false }), writeFd: ends.writeFd };
}

/** Named pipes that lose their names at once: open ends are all that is kept, so nothing is left behind. */
async function fill(): Promise<boolean> {
  let folder = "";
  const made: Ends[] = [];
  try {
    folder = await mkdtemp(join(tmpdir(), "agent-runner-pipes-"));
    const paths = Array.from({ length: BATCH }, (_, i) => join(folder, String(i)));
    await run("mkfifo", ["-m", "600", ...paths], { timeout: MKFIFO_TIMEOUT_MS });
    for (const path of paths) made.push(openEnds(path));
  } catch {
    // No mkfifo, no temporary folder or no more descriptors: for what is missing Node's sockets have to do.
  }
  pool = [...pool, ...made];
  if (folder !== "") await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  return made.length > 0;
}

function openEnds(path: string): Ends {
  // Without O_NONBLOCK the first end would wait for the second; the command's end must be an ordinary, waiting one.
  const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return { readFd, writeFd: openSync(path, constants.O_WRONLY) };
  } catch (error) {
    closeSync(readFd);
    throw error;
  }
}
