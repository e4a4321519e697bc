import { createHash } from "node:crypto";
import { constants, type Dirent, existsSync, type Stats } from "node:fs";
import {
  access,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  stat,
  unlink,
} from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { FailureError, fail, failure, ok, type Result } from "../../domain/errors.ts";
import { checkPath, isGitName } from "./path-guard.ts";

const { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = constants;
// Windows has none of these; Node leaves them undefined there.
const O_NOFOLLOW = constants.O_NOFOLLOW ?? 0;
const O_NONBLOCK = constants.O_NONBLOCK ?? 0;
const O_DIRECTORY = constants.O_DIRECTORY ?? 0;
/** Linux lets us reach a folder by the descriptor that holds it. */
const CAN_HOLD = process.platform === "linux" && existsSync("/proc/self/fd");
const TEMPORARY_NAME_HASH_CHARS = 16;

/** A place inside the workspace. */
export interface Place {
  /** As asked for, normalised: "/" between the names, "." for the root. */
  readonly path: string;
  /** The same with all symbolic links followed: one file has one, whatever way leads to it. */
  readonly realPath: string;
  /** Absolute; no part of it that exists was a symbolic link when it was looked at. */
  readonly absolute: string;
  readonly exists: boolean;
  readonly isFolder: boolean;
}

/**
 * Where a path of the model's leads, or `workspace_escape`: relative paths only, whose deepest existing part
 * really lies inside the root (links followed) and not in git's own folder.
 *
 * Not covered: a hard link to a file outside looks like any other file, and a bind mount like any other folder.
 */
export async function resolveInside(root: string, path: string): Promise<Result<Place>> {
  const names = checkPath(path);
  if (!names.ok) return names;
  const realRoot = await realpath(root);
  const shown = names.value.join("/") || ".";
  const outside = (why: string): Result<never> =>
    fail(
      "workspace_escape",
      `The path ${JSON.stringify(shown)} ${why}. Use a path that stays inside the workspace.`,
    );

  let existing = names.value.length;
  while (existing > 0 && !(await isThere(join(realRoot, ...names.value.slice(0, existing))))) existing -= 1;
  const real = await realpath(join(realRoot, ...names.value.slice(0, existing))).catch(() => null);
  if (real === null) return outside("goes through a symbolic link that leads nowhere");
  if (!isInside(realRoot, real)) return outside("leads out of the workspace by a symbolic link");
  const absolute = join(real, ...names.value.slice(existing));
  const realPath = relative(realRoot, absolute).split(sep).join("/");
  if (!isOurs(realRoot, absolute)) return outside("leads into git's own folder by a symbolic link");
  const exists = existing === names.value.length;
  const isFolder = exists && (await statusOf(absolute))?.isDirectory() === true;
  return ok({ path: shown, realPath: realPath || ".", absolute, exists, isFolder });
}

/** As `resolveInside`, for code that turns failures into values further out. */
export async function placeOf(root: string, path: string): Promise<Place> {
  const place = await resolveInside(root, path);
  if (!place.ok) throw new FailureError(place.failure);
  return place.value;
}

export interface FileBytes {
  /** At most as many as were asked for. */
  readonly bytes: Buffer;
  /** Of the whole file. */
  readonly size: number;
}

/** Reads a regular file. Never waits on a pipe, and never follows a link that took the file's place. */
export async function readInside(root: string, place: Place, maxBytes: number): Promise<FileBytes> {
  return withParent(root, place, async (dir, name) => {
    const handle = await open(join(dir, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(
      linkMeansChanged(place),
    );
    try {
      const status = await handle.stat();
      if (status.isDirectory()) throw notAFile(place, "is a folder");
      if (!status.isFile()) throw notAFile(place, "is no regular file (a pipe, a socket or a device)");
      await recheck(root, place, handle);
      return { bytes: await readUpTo(handle, Math.min(maxBytes, status.size)), size: status.size };
    } finally {
      await handle.close();
    }
  });
}

/**
 * Puts a file in place as a whole or not at all: readers and a crash see the old content or the new one.
 * Missing folders are made; an existing file keeps its mode.
 */
export async function writeInside(
  root: string,
  place: Place,
  content: { readonly bytes: Buffer; readonly mode?: number },
): Promise<void> {
  await makeParents(root, place);
  await withParent(root, place, async (dir, name) => {
    const target = join(dir, name);
    const old = await statusOf(target);
    if (old?.isSymbolicLink() === true) throw changedMeanwhile(place);
    if (old !== null && !old.isFile()) throw notAFile(place, "is a folder or another thing that is no file");
    // A rename asks nobody whether the file itself may be written.
    if (old !== null) await access(target, constants.W_OK);
    const mode = old === null ? content.mode : old.mode & 0o7777;
    const temporary = join(dir, temporaryName(name));
    const handle = await openNew(temporary);
    try {
      await recheck(root, { ...place, absolute: join(place.absolute, "..", temporaryName(name)) }, handle);
      await handle.writeFile(content.bytes);
      if (mode !== undefined) await handle.chmod(mode);
      await handle.close();
      await rename(temporary, target);
    } catch (error) {
      await handle.close().catch(() => undefined);
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
  });
}

export async function removeInside(root: string, place: Place): Promise<void> {
  await withParent(root, place, async (dir, name) => {
    const old = await lstat(join(dir, name));
    if (old.isDirectory()) throw notAFile(place, "is a folder");
    await unlink(join(dir, name));
  });
}

/** Permission bits of a file. */
export async function modeInside(root: string, place: Place): Promise<number> {
  return withParent(root, place, async (dir, name) => (await lstat(join(dir, name))).mode & 0o7777);
}

/** What a folder holds, in the order of the names. */
export async function listInside(root: string, place: Place): Promise<readonly Dirent[]> {
  const entries = await withFolder(root, place.absolute, (dir) => readdir(dir, { withFileTypes: true }));
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function contentHash(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function isInside(realRoot: string, real: string): boolean {
  return real === realRoot || real.startsWith(realRoot.endsWith(sep) ? realRoot : realRoot + sep);
}

/** Inside, and not git's. The root itself may well lie below a folder called `.git`. */
function isOurs(realRoot: string, real: string): boolean {
  return isInside(realRoot, real) && !relative(realRoot, real).split(sep).some(isGitName);
}

async function withParent<T>(
  root: string,
  place: Place,
  use: (dir: string, name: string) => Promise<T>,
): Promise<T> {
  if (place.realPath === ".") throw notAFile(place, "is the workspace itself");
  const name = place.absolute.slice(place.absolute.lastIndexOf(sep) + 1);
  return withFolder(root, join(place.absolute, ".."), (dir) => use(dir, name));
}

/**
 * Holds a folder open, makes sure of where it is, and lets `use` work through the open folder. On Linux the name
 * handed over leads to that very folder, whatever happens to its path meanwhile, so that nobody can put a
 * symbolic link in between. Other systems have no such name: there the path is used, and what was opened by it is
 * checked again afterwards, which leaves a moment in which an empty file may come to be outside.
 */
async function withFolder<T>(root: string, folder: string, use: (dir: string) => Promise<T>): Promise<T> {
  const realRoot = await realpath(root);
  if (!CAN_HOLD) {
    if (!isOurs(realRoot, await realpath(folder))) throw changedMeanwhile(relative(realRoot, folder));
    return use(folder);
  }
  const handle = await open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch(async (error: unknown) => {
    // Linux says "not a directory" of a link that it was told not to follow.
    const isLink = (await statusOf(folder))?.isSymbolicLink() === true;
    throw isLink ? changedMeanwhile(relative(realRoot, folder)) : error;
  });
  try {
    const dir = `/proc/self/fd/${handle.fd}`;
    if (!isOurs(realRoot, await readlink(dir))) throw changedMeanwhile(relative(realRoot, folder));
    return await use(dir);
  } finally {
    await handle.close();
  }
}

/** Where the folder cannot be held: is the file that was opened the one that the path leads to, inside the root? */
async function recheck(
  root: string,
  place: Pick<Place, "absolute" | "path">,
  handle: FileHandle,
): Promise<void> {
  if (CAN_HOLD) return;
  const real = await realpath(place.absolute);
  const [opened, there] = await Promise.all([handle.stat(), stat(real)]);
  const same = opened.dev === there.dev && opened.ino === there.ino;
  if (!same || !isOurs(await realpath(root), real)) throw changedMeanwhile(place.path);
}

async function makeParents(root: string, place: Place): Promise<void> {
  const names = place.realPath.split("/").slice(0, -1);
  let parent = await realpath(root);
  for (const name of names) {
    await withFolder(root, parent, (dir) => mkdir(join(dir, name)).catch(existsAlready));
    parent = join(parent, name);
  }
}

async function openNew(path: string): Promise<FileHandle> {
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  try {
    return await open(path, flags, 0o666);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    // A crash left it: the name belongs to this one file, and writes to one workspace come one after another.
    await unlink(path);
    return open(path, flags, 0o666);
  }
}

/** The same for the same file, so that the next write clears what a crash left behind. */
export function temporaryName(name: string): string {
  const hash = createHash("sha256").update(name).digest("hex").slice(0, TEMPORARY_NAME_HASH_CHARS);
  return `.agent-runner-${hash}.tmp`;
}

async function readUpTo(handle: FileHandle, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes);
  let length = 0;
  while (length < bytes) {
    const { bytesRead } = await handle.read(buffer, length, bytes - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

async function isThere(path: string): Promise<boolean> {
  return (await statusOf(path)) !== null;
}

async function statusOf(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    // ELOOP: a ring of links further up, which the caller meets again as a link that leads nowhere.
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(codeOf(error) ?? "")) return null;
    throw error;
  }
}

function existsAlready(error: unknown): void {
  if (codeOf(error) !== "EEXIST") throw error;
}

function linkMeansChanged(place: Place): (error: unknown) => never {
  return (error) => {
    throw codeOf(error) === "ELOOP" ? changedMeanwhile(place) : error;
  };
}

function changedMeanwhile(place: Place | string): FailureError {
  const path = typeof place === "string" ? place : place.path;
  const message = `The path ${JSON.stringify(path)} was replaced while it was used. Nothing was read or written.`;
  return new FailureError(failure("workspace_escape", message));
}

function notAFile(place: Place, what: string): FailureError {
  return new FailureError(failure("tool_failed", `${JSON.stringify(place.path)} ${what}. Name a file.`));
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
