import { refuse } from "./define-tool.ts";

/** One place of a file to change. */
export interface Hunk {
  /** Lines that come before the place, outermost first (`@@ class A`, `@@ run()`). */
  readonly anchors: readonly string[];
  readonly lines: readonly HunkLine[];
  /** The place is the end of the file. */
  readonly atEnd: boolean;
  /** Where it begins in the patch, counted from 1. */
  readonly patchLine: number;
}

export interface HunkLine {
  readonly kind: "keep" | "remove" | "add";
  readonly text: string;
}

export type FileChange =
  | { readonly kind: "add"; readonly path: string; readonly lines: readonly string[] }
  | { readonly kind: "delete"; readonly path: string }
  | {
      readonly kind: "update";
      readonly path: string;
      readonly moveTo?: string;
      readonly hunks: readonly Hunk[];
    };

const HEADER = /^\*\*\* (Add|Update|Delete) File: *(.+?) *$/;
const MOVE = /^\*\*\* Move to: *(.+?) *$/;
const RANGE = /^-\d+(,\d+)? \+\d+(,\d+)? @@ ?/;
const KINDS: Readonly<Record<string, HunkLine["kind"]>> = { " ": "keep", "-": "remove", "+": "add" };

/** Reads "*** Begin Patch … *** End Patch". Refuses with the number of the line that is not understood. */
export function parsePatch(patch: string): readonly FileChange[] {
  const reader = new PatchReader(patch);
  const changes: FileChange[] = [];
  while (!reader.atEnd) changes.push(readChange(reader));
  if (changes.length === 0) refuse("The patch is empty: it names no file.", "tool_invalid_input");
  return changes;
}

class PatchReader {
  readonly #lines: readonly string[];
  #at: number;
  readonly #end: number;

  constructor(patch: string) {
    this.#lines = patch.replaceAll("\r\n", "\n").split("\n");
    // What stands around the patch (a fence, a heredoc) belongs to the chat, not to the patch.
    const begin = this.#lines.findIndex((line) => line.trim() === "*** Begin Patch");
    const end = this.#lines.findLastIndex((line) => line.trim() === "*** End Patch");
    if (begin < 0) refuse("The patch must begin with the line `*** Begin Patch`.", "tool_invalid_input");
    if (end < begin) refuse("The patch must end with the line `*** End Patch`.", "tool_invalid_input");
    this.#at = begin + 1;
    this.#end = end;
  }

  get atEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** Counted from 1. */
  get lineNumber(): number {
    return this.#at + 1;
  }

  get line(): string {
    return this.#lines[this.#at] ?? "";
  }

  /** Whether the next line belongs to the file that is being read. */
  get inFile(): boolean {
    return !this.atEnd && !HEADER.test(this.line);
  }

  next(): string {
    const { line } = this;
    this.#at += 1;
    return line;
  }

  wrong(what: string): never {
    const shown = JSON.stringify(this.line.slice(0, 80));
    return refuse(
      `Line ${this.lineNumber} of the patch, ${shown}: ${what}. Nothing was changed.`,
      "tool_invalid_input",
    );
  }
}

function readChange(reader: PatchReader): FileChange {
  const [, verb, path = ""] = HEADER.exec(reader.line) ?? [];
  if (verb === undefined) {
    reader.wrong("expected `*** Add File: path`, `*** Update File: path` or `*** Delete File: path`");
  }
  reader.next();
  if (verb === "Delete") {
    skipBlank(reader);
    if (reader.inFile) reader.wrong("a deleted file has no lines");
    return { kind: "delete", path };
  }
  return verb === "Add" ? { kind: "add", path, lines: readAdded(reader) } : readUpdate(reader, path);
}

function readAdded(reader: PatchReader): readonly string[] {
  const lines: string[] = [];
  while (reader.inFile) {
    if (!reader.line.startsWith("+")) {
      skipBlank(reader);
      if (reader.inFile) reader.wrong("each line of a new file begins with `+`");
      break;
    }
    lines.push(reader.next().slice(1));
  }
  return lines;
}

function readUpdate(reader: PatchReader, path: string): FileChange {
  const [, moveTo] = MOVE.exec(reader.line) ?? [];
  if (moveTo !== undefined) reader.next();
  const hunks: Hunk[] = [];
  while (reader.inFile) {
    const hunk = readHunk(reader);
    if (hunk.lines.length > 0) hunks.push(hunk);
  }
  const changes = hunks.some((hunk) => hunk.lines.some((line) => line.kind !== "keep"));
  if (!changes && moveTo === undefined) {
    refuse(
      `The patch changes nothing in ${JSON.stringify(path)}: it has no line with + or -.`,
      "tool_invalid_input",
    );
  }
  return moveTo === undefined ? { kind: "update", path, hunks } : { kind: "update", path, moveTo, hunks };
}

function readHunk(reader: PatchReader): Hunk {
  const patchLine = reader.lineNumber;
  const anchors: string[] = [];
  while (reader.inFile && reader.line.startsWith("@@")) {
    const anchor = reader.next().slice(2).replace(/^ /, "").replace(RANGE, "").replace(/ @@$/, "");
    if (anchor.trim() !== "") anchors.push(anchor);
  }
  const lines: HunkLine[] = [];
  while (reader.inFile && !reader.line.startsWith("@@")) {
    if (reader.line.trim() === "*** End of File") {
      reader.next();
      return { anchors, lines, atEnd: true, patchLine };
    }
    const kind = reader.line === "" ? "keep" : KINDS[reader.line.charAt(0)];
    if (kind === undefined) reader.wrong("a line of a change begins with a space, `-` or `+`");
    lines.push({ kind, text: reader.next().slice(1) });
  }
  // An empty line before the next section is layout, not context.
  while (lines.at(-1)?.kind === "keep" && lines.at(-1)?.text === "") lines.pop();
  return { anchors, lines, atEnd: false, patchLine };
}

function skipBlank(reader: PatchReader): void {
  while (reader.inFile && reader.line.trim() === "") reader.next();
}
