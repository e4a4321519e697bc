import { join } from "node:path";
import ignore, { type Ignore } from "ignore";
import type { ToolContext } from "../../contracts/tool.ts";
import { LIMITS } from "../../domain/limits.ts";
import { isGitName } from "./path-guard.ts";
import { codeOf, listInside, type Place, placeOf, readInside } from "./workspace-files.ts";

/** Entries looked at in one walk; a larger tree is walked in parts. */
const MAX_VISITED = 50_000;
const MAX_DEPTH = 64;

export type Walked =
  | { readonly kind: "file" | "folder" | "link"; readonly path: string; readonly depth: number }
  /** The folder just named may not be opened by this user. */
  | { readonly kind: "closed"; readonly path: string }
  /** There is more, which was not looked at. */
  | { readonly kind: "limit" };

interface Rules {
  /** Folder that the rules belong to, "" for the root. */
  readonly base: string;
  readonly matcher: Ignore;
}

interface Folder extends Place {
  readonly base: string;
  readonly depth: number;
  readonly rules: readonly Rules[];
}

interface Entry extends Folder {
  readonly kind: "file" | "folder" | "link";
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
  let visited = 0;
  const root: Folder = { ...start, base, depth: 0, rules };
  const entriesOf = async (folder: Folder): Promise<(Entry | "limit")[]> => {
    const there = await listInside(context.root, folder);
    const hasRules = there.some((entry) => entry.name === ".gitignore");
    const below = hasRules ? [...folder.rules, ...(await rulesOf(context, folder.base))] : folder.rules;
    const entries: (Entry | "limit")[] = [];
    for (const entry of there) {
      visited += 1;
      if (visited > MAX_VISITED) return [...entries, "limit"];
      const path = folder.base === "" ? entry.name : `${folder.base}/${entry.name}`;
      const kind = entry.isDirectory() ? "folder" : entry.isSymbolicLink() ? "link" : "file";
      if (isGitName(entry.name) || isIgnored(below, kind === "folder" ? `${path}/` : path)) continue;
      const place = { path, realPath: path, absolute: join(folder.absolute, entry.name), exists: true };
      entries.push({
        ...place,
        isFolder: kind === "folder",
        kind,
        base: path,
        depth: folder.depth + 1,
        rules: below,
      });
    }
    return entries;
  };
  const pending: (Entry | "limit")[] = (await entriesOf(root)).reverse();
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    context.signal.throwIfAborted();
    if (entry === "limit") {
      yield { kind: "limit" };
      return;
    }
    yield { kind: entry.kind, path: entry.path, depth: entry.depth };
    if (!entry.isFolder || entry.depth >= maxDepth) continue;
    const below = await entriesOf(entry).catch(orNull);
    if (below === null) yield { kind: "closed", path: entry.path };
    else pending.push(...below.reverse());
  }
}

function orNull(error: unknown): null {
  if (["EACCES", "EPERM", "ENOENT"].includes(codeOf(error) ?? "")) return null;
  throw error;
}

/** The rules of all folders above a place, outermost first. */
async function rulesAbove(context: ToolContext, place: Place): Promise<readonly Rules[]> {
  const rules: Rules[] = [{ base: "", matcher: ignore().add("node_modules/") }];
  if (place.realPath === ".") return rules;
  const names = place.realPath.split("/");
  for (const i of names.keys()) rules.push(...(await rulesOf(context, names.slice(0, i).join("/"))));
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
