/** What a commit message needs to know of a changed file. */
export interface FileChange {
  readonly path: string;
  readonly status: "added" | "modified" | "deleted" | "renamed";
  readonly insertions: number;
  readonly deletions: number;
  readonly binary: boolean;
}

export const SUBJECT_CHARS = 72;
const BODY_CHARS = 72;
const BODY_LINES = 60;
const FILES_LISTED = 30;
const AREAS_NAMED = 3;
/** A longer answer is not a commit message, whatever it begins with. */
const INPUT_CHARS = 32_768;

const VERBS = { added: "Add", modified: "Update", deleted: "Delete", renamed: "Rename" } as const;
const MARKS = { added: "A", modified: "M", deleted: "D", renamed: "R" } as const;

/** The body when no model has written a message: every file with its numbers of lines. */
export function fileSummary(files: readonly FileChange[]): string {
  const sorted = byPath(files);
  const listed = sorted.slice(0, FILES_LISTED).map(fileLine);
  const rest = sorted.length - listed.length;
  if (rest > 0) listed.push(`… and ${rest} more`);
  const insertions = sorted.reduce((sum, file) => sum + file.insertions, 0);
  const deletions = sorted.reduce((sum, file) => sum + file.deletions, 0);
  const total = `${count(sorted.length, "file")}, ${count(insertions, "insertion")}, ${count(deletions, "deletion")}`;
  return `${listed.join("\n")}\n\n${total}`;
}

/** What was done to which areas, of one file at least: "Update 5 files in a/b, docs and 1 more". */
export function areaSubject(files: readonly FileChange[]): string {
  const [first, ...rest] = byPath(files) as [FileChange, ...FileChange[]];
  return subjectOf([first, ...rest], first);
}

function byPath(files: readonly FileChange[]): readonly FileChange[] {
  return [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function subjectOf(files: readonly FileChange[], first: FileChange): string {
  const verb = files.every((file) => file.status === first.status) ? VERBS[first.status] : "Change";
  if (files.length === 1) {
    const whole = `${verb} ${printable(first.path)}`;
    return whole.length <= SUBJECT_CHARS ? whole : cutSubject(`${verb} ${printable(nameOf(first.path))}`);
  }
  const counts = new Map<string, number>();
  for (const file of files) counts.set(areaOf(file.path), (counts.get(areaOf(file.path)) ?? 0) + 1);
  const areas = [...counts].sort((a, b) => b[1] - a[1]).map(([area]) => area);
  const named = areas.slice(0, AREAS_NAMED);
  if (areas.length > named.length) named.push(`${areas.length - named.length} more`);
  return cutSubject(`${verb} ${count(files.length, "file")} in ${listOf(named)}`);
}

/** Up to two folders: deep enough to say something, shallow enough to bring files together. */
function areaOf(path: string): string {
  const folders = path.split("/").slice(0, -1);
  return folders.length === 0 ? "the root" : printable(folders.slice(0, 2).join("/"));
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function fileLine(file: FileChange): string {
  const size = file.binary ? "binary" : `+${file.insertions} -${file.deletions}`;
  return `${MARKS[file.status]} ${printable(file.path)} (${size})`;
}

function listOf(items: readonly string[]): string {
  return items.length === 1
    ? items.join("")
    : `${items.slice(0, -1).join(", ")} and ${items.slice(-1).join("")}`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

/** Control and direction characters: they would make a log show something else than it holds. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "");
}

export function cutSubject(text: string): string {
  if (text.length <= SUBJECT_CHARS) return text;
  const cut = text.slice(0, SUBJECT_CHARS - 1);
  const space = cut.lastIndexOf(" ");
  return `${space > SUBJECT_CHARS / 2 ? cut.slice(0, space) : cut}…`;
}

/**
 * A model's text as a commit message: one subject of at most 72 characters, a blank line, a wrapped and
 * bounded body. Fences, quotes, preambles and trailers are taken out: only agent-runner writes trailers.
 * `null` when nothing usable is left; then the fallback is the message.
 */
export function cleanCommitMessage(text: string): string | null {
  if (text.length > INPUT_CHARS) return null;
  const lines = unfence(text.replaceAll(/\r\n?/g, "\n"))
    .split("\n")
    .map((line) => printable(line.replaceAll("\t", "  ")).trimEnd())
    .filter((line) => !isTrailer(line) && !isPreamble(line));
  const start = lines.findIndex((line) => line !== "");
  const first = lines[start];
  if (first === undefined) return null;
  const subject = cleanSubject(first);
  if (!isSubject(subject)) return null;
  const body = lines.slice(start + 1);
  if (subject.length > SUBJECT_CHARS) body.unshift("", subject);
  const wrapped = wrapBody(body);
  return wrapped === "" ? `${cutSubject(subject)}\n` : `${cutSubject(subject)}\n\n${wrapped}\n`;
}

function unfence(text: string): string {
  const fenced = /^[ \t]*```[^\n]*\n(.*?)^[ \t]*```[ \t]*$/ms.exec(text);
  const inner = (fenced?.[1] ?? text).trim();
  const quoted = /^(["'`]|"""|''')([^"'`].*)\1$/s.exec(inner);
  return quoted?.[2] ?? inner;
}

/** A hyphenated `Key-Word: value`, at any place: git takes the last paragraph for trailers, and tools any line. */
function isTrailer(line: string): boolean {
  return /^\s*[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)+\s*:(?:\s|$)/.test(line);
}

function isPreamble(line: string): boolean {
  return /^(?:here(?:'s| is)\b.*:|(?:suggested )?(?:git )?commit message\s*:?|sure[,!.].*|.{0,4}generated (?:with|by)\b.*)$/i.test(
    line,
  );
}

function cleanSubject(line: string): string {
  return line
    .replace(/^\s*(?:#+\s+|(?:subject|title|commit message)\s*:\s*)/i, "")
    .replace(/^(\*\*|["'`])(.*)\1$/, "$2")
    .replaceAll(/\s+/g, " ")
    .replace(/\.$/, "")
    .trim();
}

function isSubject(subject: string): boolean {
  return /\p{L}{2}/u.test(subject) && !/^(?:[{[<]|diff --git|---|\+\+\+)/.test(subject);
}

function wrapBody(lines: readonly string[]): string {
  const wrapped = lines.flatMap(wrapLine);
  const kept = wrapped.slice(0, BODY_LINES);
  if (wrapped.length > kept.length) kept.push(`… ${wrapped.length - kept.length} lines left out`);
  return kept
    .join("\n")
    .replaceAll(/\n{3,}/g, "\n\n")
    .trim();
}

/** A list item's later lines are indented to its text; a word longer than a line (an address) is left whole. */
function wrapLine(line: string): string[] {
  if (line.length <= BODY_CHARS) return [line];
  const lead = /^\s*(?:[-*+]|\d+[.)])?\s*/.exec(line)?.[0] as string;
  const indent = " ".repeat(Math.min(lead.length, BODY_CHARS / 2));
  const out: string[] = [];
  let current = lead;
  for (const word of line.slice(lead.length).split(/ +/)) {
    const isEmpty = current === lead || current === indent;
    if (!isEmpty && current.length + 1 + word.length > BODY_CHARS) {
      out.push(current);
      current = indent + word;
    } else {
      current += isEmpty ? word : ` ${word}`;
    }
  }
  out.push(current);
  return out;
}
