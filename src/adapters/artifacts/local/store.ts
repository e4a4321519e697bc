import { createHash, randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ArtifactStore } from "../../../contracts/artifact-store.ts";
import { type ErrorCode, FailureError, failure } from "../../../domain/errors.ts";

const SHA256 = /^[0-9a-f]{64}$/;

/** What the file system's own codes mean to us; anything else is the store being unavailable. */
const MEANING: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "disk_full",
  EDQUOT: "disk_full",
  EROFS: "read_only",
  EACCES: "read_only",
  EPERM: "read_only",
};

function failed(what: string, error: unknown): FailureError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const text = error instanceof Error ? error.message : String(error);
  return new FailureError(failure(MEANING[code] ?? "unavailable", `cannot ${what}: ${text}`));
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}

/**
 * Makes what was renamed into a folder survive a power cut. Windows cannot sync a folder and does not need to:
 * its file systems journal their names.
 */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** True when it was not there. The plain call comes first: the recursive one hides what a disk refused. */
async function makeFolder(folder: string): Promise<boolean> {
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    if (!isMissing(error)) throw error;
  }
  await mkdir(folder, { recursive: true });
  return true;
}

async function writeAndSync(path: string, bytes: Uint8Array): Promise<void> {
  let handle: FileHandle | null = null;
  try {
    handle = await open(path, "wx");
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle?.close();
  }
}

/** Artifacts as files below `folder`, by hash: `ab/cdef…`. The folder is made when the first one is put. */
export function createLocalArtifacts(folder: string): ArtifactStore {
  const pathOf = (sha256: string): string => join(folder, sha256.slice(0, 2), sha256.slice(2));

  const has = async (path: string, bytes: number): Promise<boolean> => {
    try {
      const found = await stat(path);
      // A file of another size is a damaged one: it is written again, over it.
      return found.isFile() && found.size === bytes;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  };

  const write = async (path: string, bytes: Uint8Array): Promise<void> => {
    const parent = dirname(path);
    const made = await makeFolder(parent);
    const temporary = join(parent, `.${randomUUID()}.tmp`);
    try {
      await writeAndSync(temporary, bytes);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await syncFolder(parent);
    if (made) await syncFolder(dirname(parent));
  };

  return {
    async put(content) {
      const bytes = typeof content === "string" ? Buffer.from(content) : content;
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const path = pathOf(sha256);
      try {
        if (!(await has(path, bytes.length))) await write(path, bytes);
      } catch (error) {
        throw failed(`write the artifact ${path}`, error);
      }
      return { sha256, bytes: bytes.length };
    },

    async get(sha256) {
      if (!SHA256.test(sha256)) {
        const message = `${JSON.stringify(sha256)} is not a sha-256 in lower-case hex`;
        throw new FailureError(failure("invalid_request", message));
      }
      const path = pathOf(sha256);
      let bytes: Buffer;
      try {
        bytes = await readFile(path);
      } catch (error) {
        if (isMissing(error)) return null;
        throw failed(`read the artifact ${path}`, error);
      }
      if (createHash("sha256").update(bytes).digest("hex") !== sha256) {
        const message = `the artifact ${path} does not match its hash; restore it from a backup`;
        throw new FailureError(failure("store_corrupt", message));
      }
      return bytes;
    },
  };
}
