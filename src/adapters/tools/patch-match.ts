import { refuse } from "./define-tool.ts";
import { nearestPlaces, plainPunctuation } from "./nearest-text.ts";
import type { Hunk } from "./patch-format.ts";
import type { Eol } from "./text-file.ts";

const MAX_LISTED_LINES = 10;
const SHOWN_LINE_CHARS = 120;

/**
 * How exactly a line must fit, tried one after the other. Indentation always counts: a change that was placed by
 * guessing it would add lines with the wrong one.
 */
const FOLDS: readonly ((line: string) => string)[] = [
  (line) => line,
  (line) => line.trimEnd(),
  (line) => plainPunctuation(line).trimEnd(),
];

interface Line {
  readonly text: string;
  readonly end: string;
}

/** The raw text of a file after its hunks. Line ends stay as they are, and so does the end of the file. */
export function applyHunks(
  raw: string,
  hunks: readonly Hunk[],
  file: { readonly path: string; readonly eol: Eol },
): string {
  const lines = splitLines(raw);
  const texts = lines.map((line) => line.text);
  const result: Line[] = [];
  let done = 0;
  for (const hunk of hunks) {
    const place = placeOfHunk(texts, hunk, { path: file.path, from: done });
    result.push(...lines.slice(done, place));
    done = place;
    for (const line of hunk.lines) {
      if (line.kind === "add") result.push({ text: line.text, end: file.eol });
      // Kept lines are taken from the file, which may differ in spaces at the end.
      else if (line.kind === "keep") result.push(lines[done] as Line);
      if (line.kind !== "add") done += 1;
    }
  }
  result.push(...lines.slice(done));
  const lastEnd = lines.at(-1)?.end ?? file.eol;
  const last = result.length - 1;
  return result.map(({ text, end }, i) => text + (i === last ? lastEnd : end || file.eol)).join("");
}

function placeOfHunk(
  texts: readonly string[],
  hunk: Hunk,
  { path, from }: { readonly path: string; readonly from: number },
): number {
  const anchored = anchorOf(texts, hunk, { path, from });
  const wanted = hunk.lines.filter((line) => line.kind !== "add").map((line) => line.text);
  if (wanted.length === 0) return anchored === null ? texts.length : anchored + 1;
  const start = anchored ?? from;
  const places = findRuns(texts, wanted).filter((at) => !hunk.atEnd || at + wanted.length === texts.length);
  const after = places.filter((at) => at >= start);
  const [first] = after;
  if (first !== undefined && (after.length === 1 || anchored !== null)) return first;
  const where = `The change at line ${hunk.patchLine} of the patch, in ${JSON.stringify(path)},`;
  if (after.length > 1) {
    refuse(
      `${where} fits ${after.length} places, at lines ${listed(after)}. Add lines around it, or an \`@@\` line that names the function or class above it. Nothing was changed.`,
    );
  }
  if (places.length > 0) {
    refuse(
      `${where} fits only at line ${listed(places)}, before where its predecessor or its \`@@\` line is. Put changes in the order of the file. Nothing was changed.`,
    );
  }
  return refuse(`${where} fits nowhere. Nothing was changed.\n${nearestOf(texts, wanted)}`);
}

/** Index of the last anchor's line; `null` without anchors. */
function anchorOf(
  texts: readonly string[],
  hunk: Hunk,
  { path, from }: { readonly path: string; readonly from: number },
): number | null {
  let at: number | null = null;
  for (const anchor of hunk.anchors) {
    const start: number = at === null ? from : at + 1;
    const wanted = anchor.trim();
    const exact = texts.findIndex((text, i) => i >= start && text.trim() === wanted);
    const found = exact >= 0 ? exact : texts.findIndex((text, i) => i >= start && text.includes(wanted));
    if (found < 0) {
      refuse(
        `The line \`@@ ${anchor}\` (line ${hunk.patchLine} of the patch) is not in ${JSON.stringify(path)} after line ${start}. Nothing was changed.\n${nearestOf(texts, [anchor])}`,
      );
    }
    at = found;
  }
  return at;
}

function findRuns(texts: readonly string[], wanted: readonly string[]): number[] {
  for (const fold of FOLDS) {
    const [there, run] = [texts.map(fold), wanted.map(fold)];
    const found: number[] = [];
    for (let at = 0; at + run.length <= there.length; at += 1) {
      if (run.every((line, i) => there[at + i] === line)) found.push(at);
    }
    if (found.length > 0) return found;
  }
  return [];
}

function nearestOf(texts: readonly string[], wanted: readonly string[]): string {
  const places = nearestPlaces(texts, wanted);
  if (places.length === 0) return "Nothing like it is there. Read the file, then use its exact lines.";
  const shown = places.map(({ line, length, why }) => {
    const lines = texts.slice(line, line + Math.min(length, MAX_LISTED_LINES));
    const body = lines.map((text, i) => `${line + i + 1}\t${text.slice(0, SHOWN_LINE_CHARS)}`);
    return [`Lines ${line + 1}-${line + length} (${why}):`, ...body].join("\n");
  });
  return ["Nearest:", ...shown].join("\n");
}

function splitLines(raw: string): Line[] {
  const lines: Line[] = [];
  for (const [whole, text = ""] of raw.matchAll(/([^\n]*?)(?:\r?\n|$)/gy)) {
    if (whole !== "") lines.push({ text, end: whole.slice(text.length) });
  }
  return lines;
}

function listed(places: readonly number[]): string {
  const shown = places.slice(0, MAX_LISTED_LINES).map((at) => at + 1);
  return shown.join(", ") + (places.length > shown.length ? ` and ${places.length - shown.length} more` : "");
}
