/** Longest identifier that is split; longer ones are data. */
const MAX_IDENTIFIER_CHARS = 80;
const MIN_WORD_CHARS = 2;
const IDENTIFIER = /[A-Za-z_$\u00aa-\uffff][\w$\u00aa-\uffff]*/g;
const PARTS = /[A-Z]+(?![a-z])|[A-Z]?[a-z\u00aa-\uffff]+|\d+/g;
const WIDE_SCRIPT = /[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]/;

/** The identifiers of a text, in order, with repetitions. */
export function* identifiers(text: string): Generator<string, void, undefined> {
  for (const match of text.matchAll(IDENTIFIER)) {
    if (match[0].length <= MAX_IDENTIFIER_CHARS) yield match[0];
  }
}

/**
 * The search words of one identifier: its camelCase and snake_case parts as stems, and, when there are several,
 * the whole of it, so that `parse_duration` finds `parseDuration`.
 */
export function wordsOf(identifier: string): readonly string[] {
  const parts = identifier.normalize("NFC").match(PARTS) ?? [];
  const words: string[] = [];
  for (const part of parts) {
    if (WIDE_SCRIPT.test(part)) words.push(...bigrams(part));
    else if (part.length >= MIN_WORD_CHARS) words.push(stem(part.toLowerCase()));
  }
  if (parts.length > 1) words.push(parts.join("").toLowerCase());
  return words;
}

/** Scripts without spaces between words: every two neighbours are one word. */
function bigrams(run: string): readonly string[] {
  const signs = [...run];
  if (signs.length < 2) return signs;
  return signs.slice(1).map((sign, i) => `${signs[i] ?? ""}${sign}`);
}

/** Cuts what English endings add: caches, cached, caching and cache meet in one stem. */
export function stem(word: string): string {
  if (word.length < 4) return word;
  let cut = word;
  if (cut.endsWith("ies")) cut = `${cut.slice(0, -3)}y`;
  else if (/(?:s|x|z|ch|sh)es$/.test(cut)) cut = cut.slice(0, -2);
  else if (/[^su]s$/.test(cut)) cut = cut.slice(0, -1);
  if (cut.length > 5 && cut.endsWith("ing")) cut = undouble(cut.slice(0, -3));
  else if (cut.length > 4 && cut.endsWith("ed") && !cut.endsWith("eed")) cut = undouble(cut.slice(0, -2));
  if (cut.length > 3 && cut.endsWith("e")) cut = cut.slice(0, -1);
  return cut;
}

function undouble(word: string): string {
  return /([bdgklmnprt])\1$/.test(word) ? word.slice(0, -1) : word;
}

/** 32 bits of FNV-1a over UTF-16 units: what the cache keeps in place of words. */
export function hashWord(word: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < word.length; i += 1) {
    hash = Math.imul(hash ^ word.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}
