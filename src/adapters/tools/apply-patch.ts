import { z } from "zod";
import type { ToolContext, ToolOutput } from "../../contracts/tool.ts";
import { FailureError } from "../../domain/errors.ts";
import { LIMITS } from "../../domain/limits.ts";
import { defineTool, refuse, said } from "./define-tool.ts";
import { type FileChange, type Hunk, parsePatch } from "./patch-format.ts";
import { applyHunks } from "./patch-match.ts";
import { type StagedFile, StagedFiles } from "./staged-files.ts";
import { encodeText } from "./text-file.ts";

const FORMAT = `Change files by one patch; all of it is applied, or nothing. Format:
*** Begin Patch
*** Update File: path
*** Move to: new path (optional)
@@ function or class above the change (optional)
 line that stays
-line that goes
+line that comes
*** Add File: path
+each line of the new file
*** Delete File: path
*** End Patch
Give about 3 lines of context around each change, exactly as in the file.`;

export const applyPatchTool = defineTool({
  name: "apply_patch",
  description: FORMAT,
  fields: {
    patch: z.string().min(1).describe("The patch, from `*** Begin Patch` to `*** End Patch`."),
  },
  effect: "query",
  risk: "medium",
  readOnly: false,
  async run({ patch }, context) {
    const changes = parsePatch(patch);
    const staged = new StagedFiles(context);
    const report: string[] = [];
    for (const change of changes) report.push(await stage(staged, change));
    const changed = await staged.commit();
    return said(["Applied:", ...report].join("\n"), { changed });
  },
  recover: async ({ patch }, context) => found(parsePatch(patch), context),
});

async function stage(staged: StagedFiles, change: FileChange): Promise<string> {
  const file = await staged.open(change.path);
  const path = JSON.stringify(change.path);
  if (change.kind === "add") {
    if (file.exists) refuse(`${path} exists already. Use \`*** Update File\` for it. Nothing was changed.`);
    file.put(sized(encodeText(textOf(change.lines), false), path));
    return `A ${file.place.path}`;
  }
  if (!file.exists)
    refuse(`${path} does not exist, so it cannot be changed or deleted. Nothing was changed.`);
  file.refuseStale();
  if (change.kind === "delete" || change.moveTo !== undefined) refuseLinked(file);
  if (change.kind === "delete") {
    file.remove();
    return `D ${file.place.path}`;
  }
  const text = file.text();
  const raw = applyHunks(text.raw, change.hunks, { path: file.place.path, eol: text.eol });
  const bytes = sized(encodeText(raw, text.bom), path);
  if (change.moveTo === undefined) {
    file.put(bytes);
    return `M ${file.place.path}`;
  }
  const target = await staged.open(change.moveTo);
  if (target.exists)
    refuse(
      `${JSON.stringify(change.moveTo)} exists already, so nothing can be moved there. Nothing was changed.`,
    );
  target.put(bytes, file.mode);
  file.remove();
  return `R ${file.place.path} -> ${target.place.path}`;
}

/** Through a link, taking a file away could mean the link or what it points to. */
function refuseLinked({ place }: StagedFile): void {
  if (place.path === place.realPath) return;
  refuse(
    `${JSON.stringify(place.path)} leads through a symbolic link to ${JSON.stringify(place.realPath)}. Name that file to delete or move it. Nothing was changed.`,
  );
}

/** What the workspace says of a patch whose outcome was lost: done, not begun (`null`), or neither. */
async function found(changes: readonly FileChange[], context: ToolContext): Promise<ToolOutput | null> {
  const staged = new StagedFiles(context);
  const states: State[] = [];
  for (const change of changes) states.push(await stateOf(change, staged));
  if (states.every((state) => state === "done")) {
    return said("The patch was applied (found done after an interruption).", { changed: staged.noteAll() });
  }
  if (states.every((state) => state === "not done")) return null;
  const report = changes.map((change, i) => `${change.path}: ${states[i]}`);
  return refuse(
    [
      "The patch was interrupted. What the workspace shows of it:",
      ...report,
      "Read these files, then change what is missing.",
    ].join("\n"),
  );
}

type State = "done" | "not done" | "unclear";

async function stateOf(change: FileChange, staged: StagedFiles): Promise<State> {
  const file = await staged.open(change.path);
  if (file.exists && file.isAsSeen === true) return "not done";
  if (change.kind === "delete") return file.exists ? "not done" : "done";
  if (change.kind === "add") {
    if (!file.exists) return "not done";
    return file.text().text === textOf(change.lines) ? "done" : "unclear";
  }
  if (change.moveTo !== undefined) {
    const target = await staged.open(change.moveTo);
    if (file.exists !== target.exists) return file.exists ? "not done" : "done";
    return "unclear";
  }
  if (!file.exists) return "unclear";
  const { raw, eol } = file.text();
  const fits = (hunks: readonly Hunk[]): boolean =>
    doesApply(() => applyHunks(raw, hunks, { path: change.path, eol }));
  const [before, after] = [fits(change.hunks), fits(change.hunks.map(reversed))];
  // Where only lines are added, both may fit; but a file that is not as it was seen has been changed.
  if (before && after && file.isAsSeen === false) return "done";
  if (before === after) return "unclear";
  return before ? "not done" : "done";
}

function doesApply(apply: () => unknown): boolean {
  try {
    apply();
    return true;
  } catch (error) {
    if (error instanceof FailureError) return false;
    throw error;
  }
}

function reversed(hunk: Hunk): Hunk {
  const swap = { keep: "keep", remove: "add", add: "remove" } as const;
  return { ...hunk, lines: hunk.lines.map(({ kind, text }) => ({ kind: swap[kind], text })) };
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

function sized(bytes: Buffer, path: string): Buffer {
  if (bytes.length <= LIMITS.fileReadBytes) return bytes;
  return refuse(
    `${path} would have ${bytes.length} bytes; at most ${LIMITS.fileReadBytes} can be written. Nothing was changed.`,
  );
}
