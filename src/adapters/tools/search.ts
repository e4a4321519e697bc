import { z } from "zod";
import type { ToolContext } from "../../contracts/tool.ts";
import { LIMITS } from "../../domain/limits.ts";
import { defineTool, refuse, said } from "./define-tool.ts";
import { globOf, shownPath } from "./list.ts";
import type { SearchLine, SearchRequest, SearchResult } from "./search-files.ts";
import { hasRipgrep, ripgrep } from "./search-ripgrep.ts";
import { scan } from "./search-scan.ts";
import { placeOf } from "./workspace-files.ts";

const MAX_HITS = 200;
const MAX_PATTERN_CHARS = 1_000;
const MAX_CONTEXT_LINES = 5;
const SHOWN_LINE_CHARS = 300;
const SHOWN_BEFORE_HIT_CHARS = 100;
/** Left for the notes below the lines. */
const NOTES_CHARS = 500;

export const searchTool = defineTool({
  name: "search",
  description:
    "Search the text of the workspace's files, line by line, without those that .gitignore names. Shows `path:line: text`.",
  fields: {
    pattern: z
      .string()
      .min(1)
      .max(MAX_PATTERN_CHARS)
      .describe("Regular expression, or plain text with `literal`."),
    path: z
      .string()
      .optional()
      .describe("File or folder to search, relative to the workspace's root; without it all."),
    glob: z
      .string()
      .min(1)
      .optional()
      .describe('Only files that fit, such as "*.ts" or "src/**/*.{ts,tsx}".'),
    literal: z.boolean().optional().describe("Take `pattern` as plain text."),
    ignore_case: z.boolean().optional().describe("Upper and lower case are the same."),
    context: z
      .int()
      .min(0)
      .max(MAX_CONTEXT_LINES)
      .optional()
      .describe("Lines to show before and after each hit; 0 if not given."),
  },
  effect: "pure",
  risk: "low",
  readOnly: true,
  async run(input, context) {
    const start = await placeOf(context.root, input.path || ".");
    if (!start.exists) refuse(`${JSON.stringify(start.path)} does not exist. Use list to see what there is.`);
    const request: SearchRequest = {
      start,
      pattern: patternOf(input.pattern, {
        literal: input.literal === true,
        ignoreCase: input.ignore_case === true,
      }),
      glob: input.glob === undefined ? null : globOf(input.glob),
      context: input.context ?? 0,
      maxHits: MAX_HITS,
    };
    return said(show(await searchWith(context, request)));
  },
});

async function searchWith(context: ToolContext, request: SearchRequest): Promise<SearchResult> {
  const found = (await hasRipgrep(context)) ? await ripgrep(context, request) : null;
  return found ?? scan(context, request);
}

function patternOf(
  pattern: string,
  { literal, ignoreCase }: { readonly literal: boolean; readonly ignoreCase: boolean },
): RegExp {
  const insensitive = pattern.startsWith("(?i)") && !literal;
  const bare = insensitive ? pattern.slice("(?i)".length) : pattern;
  const source = literal ? bare.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&") : bare;
  try {
    return new RegExp(source, ignoreCase || insensitive ? "i" : "");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refuse(
      `\`pattern\` is no regular expression: ${why}. Set \`literal\` to search for plain text.`,
      "tool_invalid_input",
    );
  }
}

function show({ lines, hits, notes }: SearchResult): string {
  if (hits === 0) return ["[no hits]", ...notes.map((note) => `[${note}]`)].join("\n");
  const shown: string[] = [];
  let room = LIMITS.toolOutputChars - NOTES_CHARS;
  let before: SearchLine | null = null;
  let [shownHits, isFull] = [0, false];
  for (const line of lines) {
    const apart = before !== null && (before.path !== line.path || before.line + 1 !== line.line);
    const text = (apart && lines.length > hits ? "--\n" : "") + oneLine(line);
    room -= text.length + 1;
    isFull ||= room < 0;
    if (isFull) break;
    shown.push(text);
    if (line.column !== null) shownHits += 1;
    before = line;
  }
  const cut =
    shownHits < hits
      ? [`${hits - shownHits} more hits not shown; narrow \`pattern\`, \`path\` or \`glob\``]
      : [];
  return [...shown, ...[...cut, ...notes].map((note) => `[${note.slice(0, NOTES_CHARS / 2)}]`)].join("\n");
}

/** "path:12: text" for a hit, "path-12- text" for a line around one. */
function oneLine({ path, line, text, column }: SearchLine): string {
  const from = text.length <= SHOWN_LINE_CHARS ? 0 : Math.max(0, (column ?? 0) - SHOWN_BEFORE_HIT_CHARS);
  const part = text.slice(from, from + SHOWN_LINE_CHARS);
  const clipped = (from > 0 ? "…" : "") + part + (from + part.length < text.length ? "…" : "");
  const mark = column === null ? "-" : ":";
  return `${shownPath(path)}${mark}${line}${mark} ${clipped}`;
}
