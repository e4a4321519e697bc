import { lstat, realpath } from "node:fs/promises";
import { dirname, isAbsolute, relative, resolve, sep } from "node:path";
import { fail, ok, type Result } from "../../domain/errors.ts";

/**
 * The absolute path of `path` inside `root`, or `workspace_escape`: absolute paths, `..` out of the root, links that
 * lead out of it and everything under `.git` are refused. The file itself need not exist.
 */
export async function confined(root: string, path: string): Promise<Result<string>> {
  const home = await realpath(root);
  const target = resolve(home, path);
  if (path === "" || path.includes("\0") || isAbsolute(path) || !isInside(home, target)) {
    return fail("workspace_escape", `"${path}" is not a path inside the workspace`);
  }
  const inGit = relative(home, target)
    .split(sep)
    .some((part) => part.toLowerCase() === ".git");
  if (inGit) return fail("workspace_escape", `"${path}" is under .git`);
  const existing = await nearestExisting(target);
  const real = await realpath(existing).catch(() => null);
  if (real === null || (real !== home && !isInside(home, real))) {
    return fail("workspace_escape", `"${path}" leads out of the workspace by a link`);
  }
  return ok(target);
}

function isInside(home: string, target: string): boolean {
  const way = relative(home, target);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

async function nearestExisting(target: string): Promise<string> {
  let path = target;
  while (
    !(await lstat(path).then(
      () => true,
      () => false,
    ))
  ) {
    path = dirname(path);
  }
  return path;
}
