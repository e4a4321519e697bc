import type { ChangedFile } from "../../../contracts/workspace.ts";
import { refuse } from "./failures.ts";

export const DIFF_LIMITS = {
  /** More changed files than this are no change anybody reviews: a `.gitignore` is missing. */
  files: 20_000,
  patchBytes: 4_194_304,
  /** Larger files are taken for binary: no line is compared, none is held in memory. */
  textFileBytes: 16_777_216,
} as const;

/** One file of a diff between two trees, as git has it. */
export interface DiffEntry extends Omit<ChangedFile, "from"> {
  /** Also of a copy, which is a file that was added. */
  readonly from: string | null;
  readonly oldMode: string;
  readonly newMode: string;
  readonly oldId: string;
  readonly newId: string;
}

export const GITLINK = "160000";

const DIFF_FLAGS = ["--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=dirty"];

/** Arguments after the two sides of `diff-index`/`diff-tree`, for `parseDiff`. */
export const LIST_FLAGS = [...DIFF_FLAGS, "-r", "--raw", "--numstat", "-z", "--full-index", "--no-abbrev"];
export const RENAMES = ["-M", "-l400"];
export const PATCH_FLAGS = [...DIFF_FLAGS, "-r", "-p", "--full-index", "--src-prefix=a/", "--dst-prefix=b/"];
export const BIG_FILES = ["-c", `core.bigFileThreshold=${DIFF_LIMITS.textFileBytes}`];

/** Reads `--raw --numstat -z`: first every raw entry, then the numbers in the same order. */
export function parseDiff(output: string): DiffEntry[] {
  const fields = output.split("\0");
  const raw: Omit<DiffEntry, "insertions" | "deletions" | "binary">[] = [];
  let at = 0;
  for (; fields[at]?.startsWith(":"); at += 1) {
    const [oldMode = "", newMode = "", oldId = "", newId = "", letter = ""] = (fields[at] ?? "")
      .slice(1)
      .split(" ");
    at += 1;
    const first = fields[at] ?? "";
    const moved = letter.startsWith("R") || letter.startsWith("C");
    if (moved) at += 1;
    const path = moved ? (fields[at] ?? "") : first;
    raw.push({ path, from: moved ? first : null, status: statusOf(letter), oldMode, newMode, oldId, newId });
  }
  if (raw.length > DIFF_LIMITS.files) {
    refuse(
      "limit_exceeded",
      `${raw.length} files changed, more than ${DIFF_LIMITS.files}: is a .gitignore missing?`,
    );
  }
  return raw.map((entry) => {
    const [insertions = "", deletions = "", path] = (fields[at] ?? "").split("\t");
    at += path === "" ? 3 : 1;
    const binary = insertions === "-";
    return { ...entry, insertions: Number(insertions) || 0, deletions: Number(deletions) || 0, binary };
  });
}

function statusOf(letter: string): ChangedFile["status"] {
  if (letter.startsWith("A") || letter.startsWith("C")) return "added";
  if (letter.startsWith("D")) return "deleted";
  return letter.startsWith("R") ? "renamed" : "modified";
}

export function changedFile(entry: DiffEntry): ChangedFile {
  const { path, from, status, insertions, deletions, binary } = entry;
  const before = status === "renamed" && from !== null ? { from } : {};
  return { path, ...before, status, insertions, deletions, binary };
}

/** A patch that was cut while it was read: what is left are whole files, and a line says how many are not there. */
export function wholeFiles(patch: string, clipped: boolean, files: number): string {
  if (!clipped) return patch;
  const last = patch.lastIndexOf("\ndiff --git ");
  const kept = last === -1 ? "" : patch.slice(0, last + 1);
  const shown = kept === "" ? 0 : kept.split(/^diff --git /m).length - 1;
  return `${kept}# ${files - shown} of ${files} files are not shown: the patch is larger than ${DIFF_LIMITS.patchBytes} bytes.\n`;
}
