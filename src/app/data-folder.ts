import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type ErrorCode, FailureError, failure } from "../domain/errors.ts";

/** What the file system's own codes say about a folder that cannot be made. */
const MEANING: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "disk_full",
  EDQUOT: "disk_full",
  EROFS: "read_only",
  EACCES: "read_only",
  EPERM: "read_only",
};

/** Makes the folder and those above it. Rejects with `disk_full`, `read_only` or `invalid_config`. */
export async function makeDataFolder(dir: string): Promise<void> {
  try {
    await makeWithParents(dir);
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    const meant = MEANING[code] ?? "invalid_config";
    throw new FailureError(failure(meant, `the data folder ${dir} cannot be made: ${message}`));
  }
}

/** One by one: `recursive` says of a read-only disk that something does not exist. */
async function makeWithParents(dir: string): Promise<void> {
  const found = await stat(dir).catch(() => null);
  if (found?.isDirectory()) return;
  if (dirname(dir) !== dir) await makeWithParents(dirname(dir));
  await mkdir(dir).catch(async (error: unknown) => {
    // Another process may have been faster.
    const now = await stat(dir).catch(() => null);
    if (!now?.isDirectory()) throw error;
  });
}
