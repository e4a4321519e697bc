import { fail, ok, type Result } from "../../domain/errors.ts";

const MAX_PATH_CHARS = 4_096;
const MAX_NAME_BYTES = 255;
const SHOWN_CHARS = 120;

/** Characters that HFS+ does not see: ".g<zero-width joiner>it" opens ".git" there. */
const HFS_IGNORED = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;
const CONTROL = /\p{Cc}/u;
const WINDOWS_FORBIDDEN = /[<>:"|?*]/;
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)$/i;

/**
 * The names of a relative path, `..` resolved; empty for the root itself. Looks at the text alone:
 * what symbolic links make of it is for `resolveInside` to find out.
 *
 * Both slashes separate names on every system, so that a path means the same everywhere.
 */
export function checkPath(
  path: string,
  platform: NodeJS.Platform = process.platform,
): Result<readonly string[]> {
  const refuse = (why: string): Result<never> => {
    const shown = JSON.stringify(path.length > SHOWN_CHARS ? `${path.slice(0, SHOWN_CHARS)}…` : path);
    return fail("workspace_escape", `The path ${shown} ${why}. Use a path relative to the workspace's root.`);
  };
  if (path.length > MAX_PATH_CHARS) return refuse(`is longer than ${MAX_PATH_CHARS} characters`);
  if (CONTROL.test(path)) return refuse("holds a control character");
  if (!path.isWellFormed()) return refuse("is not valid Unicode");
  const parts = path.split(/[\\/]/);
  if (parts.length > 1 && parts[0] === "") return refuse("is absolute");

  const names: string[] = [];
  for (const part of parts) {
    if (part === "" || part === ".") continue;
    const problem = part === ".." ? null : nameProblem(part, platform);
    if (problem !== null) return refuse(problem);
    if (part !== "..") names.push(part);
    else if (names.pop() === undefined) return refuse("leaves the workspace by `..`");
  }
  // Both as it was written and as it is now: what was accepted must mean the same when it is given again.
  const firsts = [parts[0] ?? "", names[0] ?? ""];
  if (firsts.some((name) => /^[a-z]:/i.test(name))) return refuse("names a drive");
  if (firsts.includes("~")) return refuse("begins with ~, which stands for nothing here");
  return ok(names);
}

/** Whether a name is git's own folder, or one that some file system takes for it. */
export function isGitName(name: string): boolean {
  const stream = name.replace(HFS_IGNORED, "").split(":", 1).join("");
  const bare = stream.replace(/[. ]+$/, "");
  return [".git", "git~1"].includes(bare.toLowerCase()) || [".GIT", "GIT~1"].includes(bare.toUpperCase());
}

function nameProblem(name: string, platform: NodeJS.Platform): string | null {
  if (isGitName(name)) return "goes into git's own folder, which only git may change";
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return `holds a name of more than ${MAX_NAME_BYTES} bytes`;
  if (platform !== "win32") return null;
  if (WINDOWS_FORBIDDEN.test(name)) return "holds a character that Windows does not allow in a name";
  if (/[. ]$/.test(name)) return "holds a name that ends with a dot or a space, which Windows drops";
  const stem = name.split(".", 1).join("").trimEnd();
  return WINDOWS_DEVICE.test(stem) ? "names a Windows device" : null;
}
