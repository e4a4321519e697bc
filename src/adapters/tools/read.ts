import { z } from "zod";
import { LIMITS } from "../../domain/limits.ts";
import { defineTool, refuse, said } from "./define-tool.ts";
import { openText } from "./seen-file.ts";
import { linesOf } from "./text-file.ts";

const MAX_LINE_CHARS = 2_000;
/** Left for the notes below the lines. */
const NOTES_CHARS = 300;

/**
 * Lines carry their numbers, because models name places by them: the next offset, a line of a stack trace, a hit
 * of search. The number is as short as can be (no padding) and ends in a tab, so that it costs one or two tokens
 * and `edit` can tell it from text when it was copied by mistake.
 */
export const readTool = defineTool({
  name: "read",
  description:
    "Read a text file of the workspace. Each line is shown as its number, a tab and its text. Long files come in parts: go on with `offset`.",
  fields: {
    path: z.string().min(1).describe("File, relative to the workspace's root."),
    offset: z.int().min(1).optional().describe("First line to show, counted from 1."),
    limit: z.int().min(1).optional().describe("How many lines to show; without it as many as fit."),
  },
  effect: "pure",
  risk: "low",
  readOnly: true,
  async run(input, context) {
    const { place, file, hash } = await openText(context, input.path);
    context.seen.set(place.realPath, hash);
    const lines = linesOf(file.text);
    if (lines.length === 0) return said("[the file is empty]");
    const first = input.offset ?? 1;
    if (first > lines.length) refuse(`\`offset\` is ${first}, but the file has ${lines.length} lines.`);
    const shown = numbered(lines, first, input.limit ?? lines.length);
    const last = first + shown.length - 1;
    const notes: string[] = [];
    if (first > 1 || last < lines.length) {
      const more = last < lines.length ? `; go on with offset ${last + 1}` : "";
      notes.push(`[lines ${first}-${last} of ${lines.length}${more}]`);
    }
    if (file.eol === "\r\n") notes.push("[lines end in CRLF; edits keep that]");
    if (last === lines.length && !file.text.endsWith("\n")) notes.push("[no newline at the end of the file]");
    return said([...shown, ...notes].join("\n"));
  },
});

/** As many whole lines as fit into one output, at least one. */
function numbered(lines: readonly string[], first: number, limit: number): string[] {
  const shown: string[] = [];
  let room = LIMITS.toolOutputChars - NOTES_CHARS;
  for (const [index, line] of lines.slice(first - 1, first - 1 + limit).entries()) {
    const text = `${first + index}\t${shortened(line)}`;
    room -= text.length + 1;
    if (room < 0 && shown.length > 0) break;
    shown.push(text);
  }
  return shown;
}

function shortened(line: string): string {
  if (line.length <= MAX_LINE_CHARS) return line;
  return `${line.slice(0, MAX_LINE_CHARS)}… [${line.length - MAX_LINE_CHARS} characters of this line left out]`;
}
