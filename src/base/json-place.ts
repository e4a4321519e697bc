/** Where a text stops being JSON. Lines and columns count from 1, the offset from 0, all in UTF-16 units. */
export interface JsonPlace {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

const SPACE = /[ \t\n\r]*/y;
const BARE = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\d.eE])|true|false|null/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

type Expecting = "value" | "value or end" | "key" | "key or end" | "colon" | "comma or end" | "nothing";

/** The first place at which a text cannot go on as JSON; `null` when the whole of it is JSON. Without recursion. */
export function jsonErrorPlace(text: string): JsonPlace | null {
  const open: ("[" | "{")[] = [];
  let expecting: Expecting = "value";
  let at = skip(SPACE, text, 0);
  while (at < text.length) {
    const step = next(text, at, { expecting, open });
    if (step === null) return placeOf(text, brokenAt(text, at));
    expecting = step.expecting;
    at = skip(SPACE, text, step.at);
  }
  return expecting === "nothing" ? null : placeOf(text, text.length);
}

interface State {
  readonly expecting: Expecting;
  readonly open: ("[" | "{")[];
}

/** What follows the token at `at`, or `null` when it may not stand there. */
function next(
  text: string,
  at: number,
  { expecting, open }: State,
): { readonly expecting: Expecting; readonly at: number } | null {
  const char = text.charAt(at);
  const holder = open.at(-1);
  const ends = expecting.endsWith("or end");
  if (ends && ((char === "]" && holder === "[") || (char === "}" && holder === "{"))) {
    open.pop();
    return { expecting: afterValue(open), at: at + 1 };
  }
  if (expecting === "colon") return char === ":" ? { expecting: "value", at: at + 1 } : null;
  if (expecting === "comma or end") {
    return char === "," ? { expecting: holder === "{" ? "key" : "value", at: at + 1 } : null;
  }
  if (expecting === "nothing") return null;
  const isKey = expecting.startsWith("key");
  if (!isKey && (char === "[" || char === "{")) {
    open.push(char);
    return { expecting: char === "[" ? "value or end" : "key or end", at: at + 1 };
  }
  if (isKey && char !== '"') return null;
  const end = char === '"' ? endOfString(text, at) + 1 : skip(BARE, text, at);
  if (end === at || end > text.length || (char === '"' && text.charAt(end - 1) !== '"')) return null;
  return { expecting: isKey ? "colon" : afterValue(open), at: end };
}

function afterValue(open: readonly string[]): Expecting {
  return open.length === 0 ? "nothing" : "comma or end";
}

/** Inside a string the mistake is at the character that it cannot hold; elsewhere at the token's beginning. */
function brokenAt(text: string, at: number): number {
  const end = text.charAt(at) === '"' ? endOfString(text, at) : at;
  return end < text.length && text.charAt(end) === '"' ? at : end;
}

/** Of the string that begins at `at`: its closing quote, or the first character that it cannot hold, or the text's end. */
function endOfString(text: string, at: number): number {
  let index = at + 1;
  while (index < text.length) {
    const char = text.charAt(index);
    if (char === '"' || char < " ") return index;
    const after = char === "\\" ? skip(ESCAPE, text, index) : index + 1;
    if (after === index) return index;
    index = after;
  }
  return index;
}

function skip(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.test(text) ? pattern.lastIndex : from;
}

function placeOf(text: string, offset: number): JsonPlace {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { offset, line: before.split("\n").length, column: offset - lineStart + 1 };
}
