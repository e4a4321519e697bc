import { isUtf8 } from "node:buffer";
import type { Content } from "./blobs.ts";
import type { Outliner } from "./grammars.ts";
import type { OutlineEntry } from "./outline.ts";
import { hashWord, identifiers, wordsOf } from "./words.ts";

/** Raise it with every change of what is extracted: older facts in a cache are then not used. */
export const FACTS_VERSION = 1;

/** Distinct words and identifiers kept of one file, most frequent first. */
const MAX_DISTINCT = 6_000;
const MAX_COUNT = 255;
const MIN_REFERENCE_CHARS = 3;
const MINIFIED_LINE_CHARS = 400;
const GENERATED_HEAD_CHARS = 1_500;
const BINARY_HEAD_BYTES = 8_000;
const LFS_POINTER = "version https://git-lfs.github.com/spec/";

export const STATUSES = ["text", "binary", "too-large", "lfs-pointer"] as const;
export type Status = (typeof STATUSES)[number];

/** Hashes in rising order, each with how often it occurs (255 means "or more"). */
export interface Counted {
  readonly hashes: Uint32Array;
  readonly counts: Uint8Array;
}

/** What ranking needs to know of one blob, small enough to keep for every file of a large repository. */
export interface FileFacts {
  readonly status: Status;
  /** Written by a program, or minified: rarely what a task is about. */
  readonly generated: boolean;
  readonly lines: number;
  /** Words of the whole text, by `hashWord`. */
  readonly words: Counted;
  /** All words of the text, with repetitions. */
  readonly wordTotal: number;
  /** Words of the names of definitions. */
  readonly symbolWords: Counted;
  /** Names of definitions, by `hashWord`, rising and distinct. */
  readonly definitions: Uint32Array;
  /** Identifiers of the text, by `hashWord`. */
  readonly references: Counted;
}

export interface Extracted {
  readonly facts: FileFacts;
  readonly outline: readonly OutlineEntry[];
}

const NOTHING: Counted = { hashes: new Uint32Array(0), counts: new Uint8Array(0) };

export async function extract(path: string, content: Content, outliner: Outliner): Promise<Extracted> {
  if (content.kind !== "bytes") return { facts: withoutText("too-large"), outline: [] };
  const text = decode(content.bytes);
  if (text === null) return { facts: withoutText("binary"), outline: [] };
  if (text.startsWith(LFS_POINTER)) return { facts: withoutText("lfs-pointer"), outline: [] };
  const lines = countLines(text);
  const minified = text.length / lines > MINIFIED_LINE_CHARS;
  const outline = minified ? [] : await outliner.outline(path, text);

  const identifierCounts = new Map<string, number>();
  for (const name of identifiers(text)) identifierCounts.set(name, (identifierCounts.get(name) ?? 0) + 1);
  const { words, wordTotal } = countWords(identifierCounts);
  const references = new Map<number, number>();
  for (const [name, count] of identifierCounts) {
    if (name.length >= MIN_REFERENCE_CHARS) references.set(hashWord(name), count);
  }
  const symbols = new Map<string, number>();
  for (const { name } of outline) {
    for (const part of identifiers(name)) symbols.set(part, (symbols.get(part) ?? 0) + 1);
  }
  const facts: FileFacts = {
    status: "text",
    generated: minified || isGenerated(text),
    lines,
    words: counted(words),
    wordTotal,
    symbolWords: counted(countWords(symbols).words),
    definitions: Uint32Array.from(
      new Set(outline.filter(isLinkable).map(({ name }) => hashWord(name))),
    ).sort(),
    references: counted(references),
  };
  return { facts, outline };
}

function withoutText(status: Status): FileFacts {
  return {
    status,
    generated: false,
    lines: 0,
    words: NOTHING,
    wordTotal: 0,
    symbolWords: NOTHING,
    definitions: NOTHING.hashes,
    references: NOTHING,
  };
}

function isLinkable(entry: OutlineEntry): boolean {
  return entry.name.length >= MIN_REFERENCE_CHARS && entry.kind !== "heading" && entry.kind !== "target";
}

/** UTF-8, UTF-16 with a mark, else Latin-1, where every byte is a character; `null` for what is no text. */
function decode(bytes: Buffer): string | null {
  const mark = bytes.length >= 2 ? bytes.readUInt16BE(0) : 0;
  if (mark === 0xfffe) return bytes.subarray(2).toString("utf16le");
  if (mark === 0xfeff) return new TextDecoder("utf-16be").decode(bytes);
  if (bytes.subarray(0, BINARY_HEAD_BYTES).includes(0)) return null;
  return bytes.toString(isUtf8(bytes) ? "utf8" : "latin1");
}

function countLines(text: string): number {
  let lines = text.endsWith("\n") ? 0 : 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
  return Math.max(1, lines);
}

function isGenerated(text: string): boolean {
  const head = text.slice(0, GENERATED_HEAD_CHARS);
  return /@generated\b|\bDO NOT EDIT\b|\bautomatically generated\b|\bauto-?generated (?:by|from|file)\b/i.test(
    head,
  );
}

function countWords(identifierCounts: ReadonlyMap<string, number>): {
  readonly words: Map<number, number>;
  readonly wordTotal: number;
} {
  const words = new Map<number, number>();
  let wordTotal = 0;
  for (const [name, count] of identifierCounts) {
    for (const word of wordsOf(name)) {
      const hash = hashWord(word);
      words.set(hash, (words.get(hash) ?? 0) + count);
      wordTotal += count;
    }
  }
  return { words, wordTotal };
}

export function counted(counts: ReadonlyMap<number, number>): Counted {
  let entries = [...counts];
  if (entries.length > MAX_DISTINCT) {
    entries = entries.sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, MAX_DISTINCT);
  }
  entries.sort((a, b) => a[0] - b[0]);
  return {
    hashes: Uint32Array.from(entries, ([hash]) => hash),
    counts: Uint8Array.from(entries, ([, count]) => Math.min(count, MAX_COUNT)),
  };
}

/** How often a hash is counted; 0 when it is not. */
export function countOf(counts: Counted, hash: number): number {
  let low = 0;
  let high = counts.hashes.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = counts.hashes[middle] as number;
    if (found === hash) return counts.counts[middle] as number;
    if (found < hash) low = middle + 1;
    else high = middle - 1;
  }
  return 0;
}
