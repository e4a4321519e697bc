import { linesOf } from "./text-file.ts";

const MAX_CANDIDATES = 3;
const MAX_SHOWN_LINES = 12;
const MAX_SHOWN_LINE_CHARS = 200;
/** Bound on the work of comparing every line of a file with every line that is looked for. */
const MAX_COMPARED_LINES = 400;
const MIN_LINE_LIKENESS = 0.5;

interface Candidate {
  /** Counted from 0. */
  readonly line: number;
  readonly length: number;
  readonly why: string;
}

/** Why a text was not found in a file, with the places that are most like it, for the model to try again. */
export function describeMiss(fileText: string, wanted: string, replacement: string): string {
  const hints: string[] = [];
  if (/^ *\d+\t/.test(wanted))
    hints.push("It begins with a line number as `read` shows it; leave those out.");
  if (replacement.trim() !== "" && fileText.includes(replacement)) {
    hints.push("`new_text` is in the file already: the change may have been made.");
  }
  const candidates = nearestPlaces(linesOf(fileText), linesOf(wanted));
  const shown = candidates.map((candidate) => show(linesOf(fileText), candidate));
  if (shown.length === 0) hints.push("Nothing like it is there. Read the file, then use its exact text.");
  else hints.push("Nearest:");
  return ["`old_text` was not found; nothing was changed.", ...hints, ...shown].join("\n");
}

/** Places in the order of their likeness: first those that differ in one known way, then the merely alike. */
export function nearestPlaces(file: readonly string[], wanted: readonly string[]): readonly Candidate[] {
  const lines = wanted.map((line) => line.replace(/^ *\d+\t/, ""));
  const ways: readonly (readonly [why: string, fold: (line: string) => string])[] = [
    ["differs only in line numbers", (line) => line],
    ["differs only in spaces at line ends", (line) => line.trimEnd()],
    ["differs only in indentation", (line) => line.trim()],
    ["differs only in spacing", (line) => line.replaceAll(/\s+/g, "")],
    [
      "differs only in quotes, dashes or special spaces",
      (line) => plainPunctuation(line).replaceAll(/\s+/g, ""),
    ],
    [
      "differs only in upper and lower case",
      (line) => plainPunctuation(line).replaceAll(/\s+/g, "").toLowerCase(),
    ],
  ];
  for (const [why, fold] of ways) {
    const found = findLines(file.map(fold), lines.map(fold)).slice(0, MAX_CANDIDATES);
    if (found.length > 0) return found.map((line) => ({ line, length: lines.length, why }));
  }
  return alike(file, lines);
}

/** Where a run of lines occurs among others; a first and a last line may be parts of theirs. */
function findLines(file: readonly string[], wanted: readonly string[]): number[] {
  const found: number[] = [];
  if (wanted.every((line) => line === "")) return found;
  for (let at = 0; at + wanted.length <= file.length && found.length < MAX_CANDIDATES; at += 1) {
    const fits = wanted.every((line, i) => {
      const there = file[at + i] ?? "";
      if (wanted.length === 1) return there.includes(line);
      if (i === 0) return there.endsWith(line);
      return i === wanted.length - 1 ? there.startsWith(line) : there === line;
    });
    if (fits) found.push(at);
  }
  return found;
}

function alike(file: readonly string[], wanted: readonly string[]): readonly Candidate[] {
  const compared = wanted.slice(0, MAX_COMPARED_LINES).map((line) => line.trim());
  const key = compared.reduce(
    (longest, line, i) => (line.length > (compared[longest]?.length ?? 0) ? i : longest),
    0,
  );
  const grams = bigrams(compared[key] ?? "");
  const scored: { line: number; equal: number; likeness: number }[] = [];
  for (const [at, line] of file.entries()) {
    const likeness = diceOf(grams, bigrams(line.trim()));
    if (likeness < MIN_LINE_LIKENESS) continue;
    const start = Math.max(0, at - key);
    const equal = compared.filter((text, i) => text !== "" && file[start + i]?.trim() === text).length;
    scored.push({ line: start, equal, likeness });
  }
  scored.sort((a, b) => b.equal - a.equal || b.likeness - a.likeness || a.line - b.line);
  return scored.slice(0, MAX_CANDIDATES).map(({ line, equal }) => ({
    line,
    length: wanted.length,
    why: equal > 0 ? `${equal} of ${wanted.length} lines are the same` : "one line is alike",
  }));
}

function show(file: readonly string[], { line, length, why }: Candidate): string {
  const end = Math.min(file.length, line + length);
  const shownEnd = Math.min(end, line + MAX_SHOWN_LINES);
  const lines = file
    .slice(line, shownEnd)
    .map((text, i) => `${line + i + 1}\t${text.slice(0, MAX_SHOWN_LINE_CHARS)}`);
  const rest = end > shownEnd ? [`[${end - shownEnd} more lines]`] : [];
  return [`Lines ${line + 1}-${end} (${why}):`, ...lines, ...rest].join("\n");
}

/** Typographic punctuation as the keyboard has it. */
export function plainPunctuation(line: string): string {
  return line
    .replaceAll(/[‘’‚‛′]/g, "'")
    .replaceAll(/[“”„‟″]/g, '"')
    .replaceAll(/[‐‑‒–—―−]/g, "-")
    .replaceAll(/[\u00a0\u2000-\u200b\u202f\u205f\u3000]/g, " ");
}

function bigrams(text: string): ReadonlySet<string> {
  const grams = new Set<string>();
  const bounded = text.slice(0, MAX_SHOWN_LINE_CHARS);
  for (let at = 0; at + 2 <= bounded.length; at += 1) grams.add(bounded.slice(at, at + 2));
  return grams;
}

function diceOf(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  if (a.size === 0 || b.size === 0) return 0;
  let shared = 0;
  for (const gram of a) if (b.has(gram)) shared += 1;
  return (2 * shared) / (a.size + b.size);
}
