import ignore, { type Ignore } from "ignore";
import type { ToolContext } from "../../contracts/tool.ts";
import { LIMITS } from "../../domain/limits.ts";
import { isGitName } from "./path-guard.ts";
import { listInside, type Place, placeOf, readInside } from "./workspace-files.ts";

/** Entries looked at in one walk; a larger tree is walked in parts. */
const MAX_VISITED = 50_000;
const MAX_DEPTH = 64;

export type Walked =
  | { readonly kind: "file" | "folder" | "link"; readonly path: string; readonly depth: number }
  /** There is more, which was not looked at. */
  | { readonly kind: "limit" };

interface Rules {
  /** Folder that the rules belong to, "" for the root. */
  readonly base: string;
  readonly matcher: Ignore;
}

/**
 * What lies below a folder, depth first, in the order of the names. Skips git's own folder, what .gitignore files
 * name, and node_modules; but a folder that is asked for by name is shown even if it is ignored. Links are
 * named, never followed.
 */
export async function* walk(
  context: ToolContext,
  start: Place,
  options: { readonly maxDepth?: number } = {},
): AsyncGenerator<Walked> {
  const maxDepth = Math.min(options.maxDepth ?? MAX_DEPTH, MAX_DEPTH);
  const inherited = await rulesAbove(context, start);
  const base = start.realPath === "." ? "" : start.realPath;
  const rules = base !== "" && isIgnored(inherited, `${base}/`) ? [] : inherited;
  const stack = [{ place: start, base, depth: 1, rules }];
  let visited = 0;
  for (let folder = stack.pop(); folder !== undefined; folder = stack.pop()) {
    context.signal.throwIfAborted();
    const below = [...folder.rules, ...(await rulesOf(context, folder.base))];
    const folders: typeof stack = [];
    for (const entry of await listInside(context.root, folder.place)) {
      visited += 1;
      if (visited > MAX_VISITED) {
        yield { kind: "limit" };
        return;
      }
      const path = folder.base === "" ? entry.name : `${folder.base}/${entry.name}`;
      const kind = entry.isDirectory() ? "folder" : entry.isSymbolicLink() ? "link" : "file";
      if (isGitName(entry.name) || isIgnored(below, kind === "folder" ? `${path}/` : path)) continue;
      yield { kind, path, depth: folder.depth };
      if (kind !== "folder" || folder.depth >= maxDepth) continue;
      const place = {
        path,
        realPath: path,
        absolute: `${folder.place.absolute}/${entry.name}`,
        exists: true,
        isFolder: true,
      };
      folders.push({ place, base: path, depth: folder.depth + 1, rules: below });
    }
    stack.push(...folders.reverse());
  }
}

/** Whether the workspace's ignore rules name this place, or a folder above it. */
export async function isIgnoredPlace(context: ToolContext, place: Place): Promise<boolean> {
  return place.realPath !== "." && isIgnored(await rulesAbove(context, place), `${place.realPath}/`);
}

/** The rules of all folders above a place, outermost first. */
async function rulesAbove(context: ToolContext, place: Place): Promise<readonly Rules[]> {
  const rules: Rules[] = [{ base: "", matcher: ignore().add("node_modules/") }];
  if (place.realPath === ".") return rules;
  const names = place.realPath.split("/");
  for (let i = 0; i < names.length; i += 1)
    rules.push(...(await rulesOf(context, names.slice(0, i).join("/"))));
  return rules;
}

async function rulesOf(context: ToolContext, base: string): Promise<readonly Rules[]> {
  const place = await placeOf(context.root, base === "" ? ".gitignore" : `${base}/.gitignore`).catch(
    () => null,
  );
  // A .gitignore that is a link, a folder or far too large rules nothing, as in git.
  if (place?.exists !== true || place.path !== place.realPath) return [];
  const file = await readInside(context.root, place, LIMITS.fileReadBytes).catch(() => null);
  return file === null
    ? []
    : [{ base, matcher: ignore({ allowRelativePaths: true }).add(file.bytes.toString("utf8")) }];
}

/** The innermost rule that says something decides. */
function isIgnored(rules: readonly Rules[], path: string): boolean {
  let ignored = false;
  for (const { base, matcher } of rules) {
    if (base !== "" && !path.startsWith(`${base}/`)) continue;
    const below = base === "" ? path : path.slice(base.length + 1);
    if (below === "") continue;
    const verdict = matcher.test(below);
    if (verdict.ignored) ignored = true;
    else if (verdict.unignored) ignored = false;
  }
  return ignored;
}
