import { z } from "zod";
import type { ToolContext, ToolOutput } from "../../contracts/tool.ts";
import { defineTool, refuse, said } from "./define-tool.ts";
import { describeMiss } from "./nearest-text.ts";
import { type OpenedText, openText, refuseStale } from "./seen-file.ts";
import { encodeText, rawOffsets, type TextFile, withEol } from "./text-file.ts";
import { contentHash, writeInside } from "./workspace-files.ts";

const MAX_LISTED_LINES = 10;

const fields = {
  path: z.string().min(1).describe("File, relative to the workspace's root."),
  old_text: z
    .string()
    .min(1)
    .describe(
      "Text to replace, exactly as in the file (indentation too, without line numbers), long enough to occur once.",
    ),
  new_text: z.string().describe("Text to put in its place; empty to delete."),
  replace_all: z.boolean().optional().describe("Replace every occurrence, not just one."),
};

type EditInput = z.infer<z.ZodObject<typeof fields>>;

export const editTool = defineTool({
  name: "edit",
  description:
    "Replace text in a file. `old_text` must match exactly and occur once; otherwise nothing is changed and you are shown what is there.",
  fields,
  effect: "query",
  risk: "medium",
  readOnly: false,
  async run(input, context) {
    const oldText = plain(input.old_text);
    const newText = plain(input.new_text);
    if (oldText === newText)
      refuse("`old_text` and `new_text` are the same; there is nothing to change.", "tool_invalid_input");
    const opened = await openText(context, input.path);
    refuseStale(context, opened);
    const places = occurrences(opened.file.text, oldText);
    if (places.length === 0) refuse(describeMiss(opened.file.text, oldText, newText));
    if (places.length > 1 && input.replace_all !== true) refuseAmbiguous(opened, places);
    const raw = replaced(opened.file, places, { oldText, newText });
    const bytes = encodeText(raw, opened.file.bom);
    await writeInside(context.root, opened.place, { bytes });
    context.seen.set(opened.place.realPath, contentHash(bytes));
    const lines = places.slice(0, MAX_LISTED_LINES).map((at) => lineAt(opened.file.text, at));
    const where =
      places.length === 1
        ? `at line ${lines[0]}`
        : `${places.length} times, at lines ${listed(lines, places.length)}`;
    return said(`Changed ${JSON.stringify(opened.place.path)} ${where}.`, {
      changed: [opened.place.realPath],
    });
  },
  recover: async (input, context) => found(await openText(context, input.path), input, context),
});

/** What the file says of an edit whose outcome was lost. */
function found(opened: OpenedText, input: EditInput, context: ToolContext): ToolOutput | null {
  const oldText = plain(input.old_text);
  const newText = plain(input.new_text);
  const { realPath, path } = opened.place;
  const seen = context.seen.get(realPath);
  if (seen === opened.hash) return null;
  const hasOld = opened.file.text.includes(oldText);
  const hasNew = newText === "" ? !hasOld : opened.file.text.includes(newText);
  // A new text that holds the old one (an insertion) leaves it there, so then the old one proves nothing.
  const oldSurvives = newText.includes(oldText);
  if (hasOld && !(oldSurvives && hasNew)) return null;
  if (hasNew && (!hasOld || seen !== undefined)) {
    context.seen.set(realPath, opened.hash);
    return said(`Changed ${JSON.stringify(path)} (found done after an interruption).`, {
      changed: [realPath],
    });
  }
  const state = hasNew ? "It holds `new_text`, so the edit most likely happened." : "It holds neither text.";
  return refuse(
    `The edit of ${JSON.stringify(path)} was interrupted. ${state} Read the file before you repeat the edit.`,
  );
}

function refuseAmbiguous(opened: OpenedText, places: readonly number[]): never {
  const lines = places.slice(0, MAX_LISTED_LINES).map((at) => lineAt(opened.file.text, at));
  refuse(
    `\`old_text\` occurs ${places.length} times in ${JSON.stringify(opened.place.path)}, at lines ${listed(lines, places.length)}. ` +
      "Add surrounding lines so that it occurs once, or set `replace_all`.",
  );
}

/** The raw file with the occurrences replaced; new lines end as the ones around them do. */
function replaced(
  file: TextFile,
  places: readonly number[],
  texts: { readonly oldText: string; readonly newText: string },
): string {
  const toRaw = rawOffsets(file);
  const parts: string[] = [];
  let done = 0;
  for (const place of places) {
    const [from, to] = [toRaw(place), toRaw(place + texts.oldText.length)];
    const old = file.raw.slice(from, to);
    const eol = old.includes("\n") ? (old.includes("\r\n") ? "\r\n" : "\n") : file.eol;
    parts.push(file.raw.slice(done, from), withEol(texts.newText, eol));
    done = to;
  }
  parts.push(file.raw.slice(done));
  return parts.join("");
}

function occurrences(text: string, part: string): number[] {
  const places: number[] = [];
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) places.push(at);
  return places;
}

function plain(text: string): string {
  return text.replaceAll("\r\n", "\n");
}

function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < offset; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

function listed(lines: readonly number[], total: number): string {
  return lines.join(", ") + (total > lines.length ? ` and ${total - lines.length} more` : "");
}
