import { type Counted, type FileFacts, STATUSES } from "./facts.ts";

const HEADER_WORDS = 8;
const FLAG_GENERATED = 1;

/**
 * Facts as bytes: eight 32-bit numbers, then all hashes, then all counts, in this machine's byte order
 * (a cache is never moved between machines).
 */
export function encodeFacts(facts: FileFacts): Uint8Array {
  const { words, symbolWords, definitions, references } = facts;
  const hashes =
    words.hashes.length + symbolWords.hashes.length + definitions.length + references.hashes.length;
  const counts = words.counts.length + symbolWords.counts.length + references.counts.length;
  const buffer = new ArrayBuffer((HEADER_WORDS + hashes) * 4 + counts);
  const numbers = new Uint32Array(buffer, 0, HEADER_WORDS + hashes);
  numbers.set([
    STATUSES.indexOf(facts.status),
    facts.generated ? FLAG_GENERATED : 0,
    facts.lines,
    facts.wordTotal,
    words.hashes.length,
    symbolWords.hashes.length,
    definitions.length,
    references.hashes.length,
  ]);
  let at = HEADER_WORDS;
  for (const part of [words.hashes, symbolWords.hashes, definitions, references.hashes]) {
    numbers.set(part, at);
    at += part.length;
  }
  const bytes = new Uint8Array(buffer, at * 4);
  at = 0;
  for (const part of [words.counts, symbolWords.counts, references.counts]) {
    bytes.set(part, at);
    at += part.length;
  }
  return new Uint8Array(buffer);
}

/** `null` when the bytes are not what `encodeFacts` writes. */
export function decodeFacts(stored: Uint8Array): FileFacts | null {
  const bytes = stored.byteOffset % 4 === 0 ? stored : stored.slice();
  if (bytes.byteLength < HEADER_WORDS * 4) return null;
  const header = new Uint32Array(bytes.buffer, bytes.byteOffset, HEADER_WORDS);
  const [
    status = 0,
    flags = 0,
    lines = 0,
    wordTotal = 0,
    words = 0,
    symbols = 0,
    definitions = 0,
    references = 0,
  ] = header;
  const hashes = words + symbols + definitions + references;
  const known = STATUSES[status];
  if (known === undefined || bytes.byteLength !== (HEADER_WORDS + hashes) * 4 + words + symbols + references)
    return null;
  const numbers = new Uint32Array(bytes.buffer, bytes.byteOffset, HEADER_WORDS + hashes);
  const tail = bytes.subarray((HEADER_WORDS + hashes) * 4);
  const part = (from: number, length: number): Uint32Array =>
    numbers.subarray(HEADER_WORDS + from, HEADER_WORDS + from + length);
  const pair = (from: number, length: number, countsFrom: number): Counted => ({
    hashes: part(from, length),
    counts: tail.subarray(countsFrom, countsFrom + length),
  });
  return {
    status: known,
    generated: (flags & FLAG_GENERATED) !== 0,
    lines,
    wordTotal,
    words: pair(0, words, 0),
    symbolWords: pair(words, symbols, words),
    definitions: part(words + symbols, definitions),
    references: pair(words + symbols + definitions, references, words + symbols),
  };
}
