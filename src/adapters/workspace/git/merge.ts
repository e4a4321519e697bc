import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { refuse } from "./failures.ts";
import { baseNow, type Opened, ownHead } from "./stage.ts";

/** The first git that merges without a work tree. */
const MERGE_TREE_SINCE = [2, 38] as const;
const MAX_CONFLICTS = 1_000;

export interface Conflicts {
  readonly baseMoved: boolean;
  readonly paths: readonly string[];
}

/** Would our newest commit merge into the base branch as it is now? Nothing is written but loose objects. */
export async function conflicts(opened: Opened): Promise<Conflicts> {
  const { context, state } = opened;
  const { git, signal } = context;
  const base = await baseNow(opened);
  if (base === null) {
    return refuse("git_failed", `The base "${state.baseRef}" is gone from the repository.`);
  }
  if (base === state.baseCommit) return { baseMoved: false, paths: [] };
  const { commit } = await ownHead(opened);
  if (commit === state.baseCommit) return { baseMoved: true, paths: [] };
  const [major, minor] = await git.version(signal);
  const isNew =
    major > MERGE_TREE_SINCE[0] || (major === MERGE_TREE_SINCE[0] && minor >= MERGE_TREE_SINCE[1]);
  const paths = isNew ? await mergeTree(opened, base, commit) : await mergeByIndex(opened, base, commit);
  return { baseMoved: true, paths: [...new Set(paths)].sort().slice(0, MAX_CONFLICTS) };
}

async function mergeTree(opened: Opened, base: string, ours: string): Promise<readonly string[]> {
  const { git, signal } = opened.context;
  const args = [
    "merge-tree",
    "--write-tree",
    "-z",
    "--name-only",
    "--no-messages",
    "--allow-unrelated-histories",
    base,
    ours,
  ];
  const { code, text } = await git.run(args, { scope: opened.scope, signal, okCodes: [1] });
  if (code === 0) return [];
  return text
    .split("\0")
    .slice(1)
    .filter((path) => path !== "");
}

/** For older gits: the three trees into an index, then file by file what the index could not settle. Knows no renames. */
export async function mergeByIndex(opened: Opened, base: string, ours: string): Promise<readonly string[]> {
  const { git, signal } = opened.context;
  const folder = await mkdtemp(join(opened.stateDir, "tmp-"));
  try {
    const call = { scope: opened.scope, signal, env: { GIT_INDEX_FILE: join(folder, "index") } };
    const common = await git.run(["merge-base", base, ours], { ...call, okCodes: [1] });
    const ancestor = common.text.trim().split("\n")[0] ?? "";
    const trees = ancestor === "" ? [base, ours] : [ancestor, base, ours];
    await git.run(["read-tree", "-i", "-m", "--aggressive", ...trees], call);
    const { text } = await git.run(["ls-files", "--unmerged", "-z"], call);
    const stages = new Map<string, Map<string, string>>();
    for (const row of text.split("\0")) {
      const found = /^\d+ ([0-9a-f]+) ([123])\t(.*)$/s.exec(row);
      if (found === null) continue;
      const [, id = "", stage = "", path = ""] = found;
      stages.set(path, (stages.get(path) ?? new Map<string, string>()).set(stage, id));
    }
    const paths: string[] = [];
    for (const [path, ids] of stages) {
      if (paths.length >= MAX_CONFLICTS) break;
      if (await collides(opened, folder, ids)) paths.push(path);
    }
    return paths;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function collides(opened: Opened, folder: string, ids: ReadonlyMap<string, string>): Promise<boolean> {
  const { git, signal } = opened.context;
  const call = { scope: opened.scope, signal };
  const [ancestor, theirs, ours] = [ids.get("1"), ids.get("2"), ids.get("3")];
  if (ancestor === undefined || theirs === undefined || ours === undefined) return true;
  const files: string[] = [];
  for (const [name, id] of [
    ["ours", ours],
    ["ancestor", ancestor],
    ["theirs", theirs],
  ] as const) {
    const { bytes } = await git.run(["cat-file", "blob", id], call);
    const path = join(folder, name);
    await writeFile(path, bytes);
    files.push(path);
  }
  // Its exit code is the number of conflicts, cut off at 127; 255 for what it cannot merge.
  const codes = Array.from({ length: 255 }, (_, i) => i + 1);
  return (await git.run(["merge-file", "-p", "--quiet", ...files], { ...call, okCodes: codes })).code !== 0;
}
