import { lstat } from "node:fs/promises";
import path from "node:path";
import { FailureError, failure } from "../../domain/errors.ts";
import { type GitCall, gitRecords, gitText } from "./git.ts";
import { readSettings } from "./settings.ts";

/** More files than this are left out, last in path order. */
const MAX_FILES = 200_000;

export interface ListedFile {
  readonly path: string;
  /** Blob hash, lowercase hex; `null` when the contents are to be read from the work tree. */
  readonly blob: string | null;
}

export interface LeftOut {
  submodule: number;
  symlink: number;
  sparse: number;
  overLimit: number;
}

export interface Listing {
  /** In path order. */
  readonly files: readonly ListedFile[];
  readonly leftOut: LeftOut;
  /** Folder of the work tree, when that is what was listed. */
  readonly root: string | null;
  /** Commit whose history counts; `null` before the first commit. */
  readonly commit: string | null;
  /** Whether contents may be absent from the repository. */
  readonly partial: boolean;
}

/** All files of a ref's tree, or of the work tree with its uncommitted and untracked ones. */
export async function listFiles(call: GitCall, ref: string | undefined): Promise<Listing> {
  const settings = await readSettings(call);
  const bare = (await gitText(call, { args: ["rev-parse", "--is-bare-repository"] })) === "true";
  if (ref !== undefined || bare) {
    return { ...(await listTree(call, ref ?? "HEAD")), partial: settings.partial };
  }
  const root = path.normalize(await gitText(call, { args: ["rev-parse", "--show-toplevel"] }));
  const listed = await listWorkTree({ ...call, cwd: root }, root, settings.withoutFilters);
  return { ...listed, partial: settings.partial };
}

async function listTree(call: GitCall, ref: string): Promise<Omit<Listing, "partial">> {
  const commit = await resolveCommit(call, ref);
  if (commit === null) {
    if ((await resolveCommit(call, "HEAD")) === null && (await hasNoRef(call))) {
      throw new FailureError(failure("empty_repository", `repo: ${call.cwd} has no commit yet`));
    }
    throw new FailureError(failure("invalid_request", `ref: "${ref}" does not name a commit of ${call.cwd}`));
  }
  const listed = new Collector();
  for await (const record of gitRecords(call, { args: ["ls-tree", "-r", "-z", "--full-tree", commit] })) {
    const [head = "", name = ""] = splitOnce(record, "\t");
    const [mode = "", , blob = ""] = head.split(" ");
    listed.add(mode, name, blob);
  }
  return { ...listed.result(), root: null, commit };
}

async function resolveCommit(call: GitCall, ref: string): Promise<string | null> {
  const args = ["rev-parse", "--verify", "--quiet", "--end-of-options", `${ref}^{commit}`];
  const text = await gitText(call, { args, allowExit: [1, 128] });
  return /^[0-9a-f]{40,64}$/.test(text) ? text : null;
}

async function hasNoRef(call: GitCall): Promise<boolean> {
  return (await gitText(call, { args: ["for-each-ref", "--count=1"] })) === "";
}

async function listWorkTree(
  call: GitCall,
  root: string,
  withoutFilters: readonly string[],
): Promise<Omit<Listing, "partial">> {
  const commit = await resolveCommit(call, "HEAD");
  const changed = new Set<string>();
  // Git compares contents, through filters, where times tell nothing; the filters' programs must not run.
  const difference = {
    args: ["diff-files", "-z", "--name-only", "--ignore-submodules"],
    config: withoutFilters,
  };
  for await (const name of gitRecords(call, difference)) {
    changed.add(name);
  }
  const listed = new Collector();
  for await (const record of gitRecords(call, { args: ["ls-files", "-s", "-t", "-z"] })) {
    const [head = "", name = ""] = splitOnce(record, "\t");
    const [tag = "", mode = "", blob = "", stage = ""] = head.split(" ");
    if (tag === "S") listed.leftOut.sparse += 1;
    else if (stage === "0" && !changed.has(name)) listed.add(mode, name, blob);
    else if (!listed.has(name)) await listed.addFromDisk(root, name, mode);
  }
  const untracked = ["ls-files", "--others", "--exclude-standard", "-z"];
  for await (const name of gitRecords(call, { args: untracked })) {
    await listed.addFromDisk(root, name, "100644");
  }
  return { ...listed.result(), root, commit };
}

class Collector {
  readonly leftOut: LeftOut = { submodule: 0, symlink: 0, sparse: 0, overLimit: 0 };
  readonly #files = new Map<string, ListedFile>();

  has(name: string): boolean {
    return this.#files.has(name);
  }

  add(mode: string, name: string, blob: string | null): void {
    if (mode === "160000") this.leftOut.submodule += 1;
    else if (mode === "120000") this.leftOut.symlink += 1;
    else if (this.#files.size >= MAX_FILES) this.leftOut.overLimit += 1;
    else this.#files.set(name, { path: name, blob });
  }

  /** A changed, conflicted or untracked file as it is on disk; one that was deleted there is no file any more. */
  async addFromDisk(root: string, name: string, mode: string): Promise<void> {
    if (mode === "160000" || name.endsWith("/")) return this.add("160000", name, null);
    const entry = await lstat(path.join(root, name)).catch(() => null);
    if (entry?.isSymbolicLink()) this.add("120000", name, null);
    else if (entry?.isFile()) this.add("100644", name, null);
  }

  result(): { readonly files: readonly ListedFile[]; readonly leftOut: LeftOut } {
    const files = [...this.#files.values()].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
    return { files, leftOut: this.leftOut };
  }
}

function splitOnce(text: string, mark: string): readonly string[] {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + mark.length)];
}
