import { z } from "zod";
import type { ToolContext } from "../../contracts/tool.ts";
import { LIMITS } from "../../domain/limits.ts";
import { defineTool, refuse, said } from "./define-tool.ts";
import { compileGlob, type GlobMatcher } from "./glob.ts";
import { walk } from "./walk.ts";
import { type Place, placeOf } from "./workspace-files.ts";

const DEFAULT_DEPTH = 2;
const LARGEST_DEPTH = 20;
const MAX_LINES = 1_000;
/** Left for the notes below the lines. */
const NOTES_CHARS = 400;

export const listTool = defineTool({
  name: "list",
  description:
    "List files and folders of the workspace, without those that .gitignore names. With `glob`, find files at any depth.",
  fields: {
    path: z
      .string()
      .optional()
      .describe("Folder to list, relative to the workspace's root; without it the root."),
    glob: z
      .string()
      .min(1)
      .optional()
      .describe('Pattern of the files to find, such as "*.ts" or "src/**/*.test.{ts,js}".'),
    depth: z
      .int()
      .min(1)
      .max(LARGEST_DEPTH)
      .optional()
      .describe(`How many levels of folders to show without \`glob\`; ${DEFAULT_DEPTH} if not given.`),
  },
  effect: "pure",
  risk: "low",
  readOnly: true,
  async run(input, context) {
    const start = await placeOf(context.root, input.path || ".");
    if (!start.exists)
      refuse(`The folder ${JSON.stringify(start.path)} does not exist. List the folder above it.`);
    if (!start.isFolder) refuse(`${JSON.stringify(start.path)} is a file, not a folder. Use read to see it.`);
    const glob = input.glob === undefined ? null : globOf(input.glob);
    const depth = input.depth ?? DEFAULT_DEPTH;
    const found = await collect(context, start, { glob, depth });
    const notes = notesOf(found, glob === null ? depth : null);
    if (found.lines.length === 0)
      notes.unshift(glob === null ? "[the folder is empty]" : "[no file fits the pattern]");
    return said([...found.lines, ...notes].join("\n"));
  },
});

export function globOf(glob: string): GlobMatcher {
  const matcher = compileGlob(glob);
  return (
    matcher ??
    refuse(
      `\`glob\` ${JSON.stringify(glob.slice(0, 80))} is too long, or a brace of it is not closed.`,
      "tool_invalid_input",
    )
  );
}

/** A path on one line, whatever characters its names hold. */
export function shownPath(path: string): string {
  return /\p{Cc}/u.test(path) || !path.isWellFormed() ? JSON.stringify(path) : path;
}

interface Found {
  readonly lines: readonly string[];
  readonly left: number;
  readonly hasClosedFolders: boolean;
  readonly closed: number;
  readonly stopped: boolean;
}

async function collect(
  context: ToolContext,
  start: Place,
  { glob, depth }: { readonly glob: GlobMatcher | null; readonly depth: number },
): Promise<Found> {
  const lines: string[] = [];
  let [left, closed, stopped, hasClosedFolders] = [0, 0, false, false];
  let room = LIMITS.toolOutputChars - NOTES_CHARS;
  for await (const entry of walk(context, start, glob === null ? { maxDepth: depth } : {})) {
    if (entry.kind === "limit") {
      stopped = true;
      break;
    }
    if (entry.kind === "closed") {
      closed += 1;
      continue;
    }
    if (glob !== null && (entry.kind === "folder" || !glob(entry.path))) continue;
    const mark = entry.kind === "folder" ? "/" : entry.kind === "link" ? " (symbolic link)" : "";
    const line = shownPath(entry.path) + mark;
    if (entry.kind === "folder" && entry.depth === depth) hasClosedFolders = true;
    if (left > 0 || lines.length >= MAX_LINES || room < line.length + 1) {
      left += 1;
      continue;
    }
    room -= line.length + 1;
    lines.push(line);
  }
  return { lines, left, closed, stopped, hasClosedFolders };
}

function notesOf(found: Found, depth: number | null): string[] {
  const notes: string[] = [];
  if (found.left > 0) notes.push(`[${found.left} more not shown; narrow \`path\`, \`glob\` or \`depth\`]`);
  if (found.closed > 0) notes.push(`[${found.closed} folders may not be opened by this user]`);
  if (found.stopped) notes.push("[the tree is too large and was not walked to its end; narrow `path`]");
  if (depth !== null && found.hasClosedFolders) notes.push(`[folders are opened to depth ${depth} only]`);
  return notes;
}
