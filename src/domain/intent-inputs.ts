import { isJsonObject, type Json, type JsonObject } from "../base/json.ts";

/** What a free text says beside its prose. Built once a text; each candidate takes the inputs it knows. */
export interface ReadText {
  readonly text: string;
  /** Without paths, URLs and fenced code: what the intent is read from. */
  readonly prose: string;
  /** `key: value` lines and `key=value` words, the first of each key. */
  readonly fields: ReadonlyMap<string, Field>;
  /** The absolute path that is most likely the repository, and the words that name it. */
  readonly repo: Found | null;
  readonly url: string | null;
  /** A quotation that is what is wanted, not a part of it. */
  readonly quoted: string | null;
}

interface Found {
  readonly value: string;
  /** As it stands in the text. */
  readonly written: string;
}

type Field = Found;

/** Inputs that take what is wanted in words, the best first. */
const TEXT_INPUTS = ["task", "question", "prompt", "request", "text", "message", "description"] as const;
const REPO_INPUTS: ReadonlySet<string> = new Set(["repo", "repository"]);
const URL_INPUTS = /^url$|_url$/;
/** Inputs that take a name of git, with the words that introduce one. */
const REF_WORDS: Readonly<Record<string, readonly string[]>> = {
  against: ["against"],
  base: ["base"],
  branch: ["branch"],
  ref: ["ref", "branch", "tag", "commit"],
  remote: ["remote"],
};
const USUAL_REFS: ReadonlySet<string> = new Set(["main", "master", "develop", "trunk", "head", "origin"]);

const FENCE = /```[\s\S]*?(?:```|$)/g;
const URL = /\bhttps?:\/\/[^\s<>"'`)\]]+/gi;
const LINE = /^[ \t]*([A-Za-z_]\w{0,63})[ \t]*:[ \t]+(\S[^\n]*)$/gm;
const PAIR = /(?<![\w/?&])([A-Za-z_]\w{0,63})=("[^"\n]*"|'[^'\n]*'|[^\s"',;]+)/g;
/** A path of POSIX, of a Windows drive or share, bare or in quotes, with what leads to it. */
const PATH =
  /(?:\b(in|at|inside|under|from|for|of|on|repo|repository|folder|project)[ \t]{0,4}:?[ \t]{1,4})?(?:(["'`])((?:\/|[A-Za-z]:[\\/]|\\\\)[^"'`\n]+)\2|(?<![\w.~/\\:])((?:\/|[A-Za-z]:[\\/]|\\\\)[^\s"'`<>|,;]+))/gi;
const QUOTED = /"([^"\n]{3,})"|“([^”\n]{3,})”/;
const PUNCTUATION = ".,;:!?)]";
/** A quotation of at least this share of the text is what is wanted. */
const QUOTED_SHARE = 0.5;

export function readText(text: string): ReadText {
  const fields = fieldsOf(text);
  const bare = text.replaceAll(FENCE, " ");
  const [url = null] = bare.match(URL) ?? [];
  const withoutUrls = bare.replaceAll(URL, " ");
  return {
    text,
    prose: withoutUrls.replaceAll(PATH, " "),
    fields,
    repo: repoIn(withoutUrls),
    url: url === null ? null : withoutTail(url, PUNCTUATION),
    quoted: quotedIn(text),
  };
}

/** By hand: a pattern that ends in `$` looks at a long row of the same again and again. */
function withoutTail(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}

function fieldsOf(text: string): ReadonlyMap<string, Field> {
  const fields = new Map<string, Field>();
  for (const pattern of [LINE, PAIR]) {
    for (const match of text.matchAll(pattern)) {
      const name = (match[1] as string).toLowerCase();
      const value = unquoted((match[2] as string).trim());
      if (!fields.has(name)) fields.set(name, { value, written: match[0] });
    }
  }
  return fields;
}

function unquoted(value: string): string {
  return /^(["'`])(.*)\1$/.exec(value)?.[2] ?? value;
}

/** A path that words like "in" lead to goes before others, one of several parts before one that may be a route. */
function repoIn(text: string): Found | null {
  let best: (Found & { readonly likely: number }) | null = null;
  for (const match of text.matchAll(PATH)) {
    const [whole, lead, , quoted, plain] = match;
    const value = quoted ?? withoutTail(plain as string, PUNCTUATION);
    const written = quoted === undefined ? withoutTail(whole, PUNCTUATION) : whole;
    const parts = value.split(/[\\/]/).filter(Boolean).length;
    const likely = (lead === undefined ? 0 : 2) + (parts > 1 ? 1 : 0);
    if (parts > 0 && likely > (best?.likely ?? 0)) best = { value, written, likely };
  }
  return best && { value: best.value, written: best.written };
}

function quotedIn(text: string): string | null {
  const match = QUOTED.exec(text);
  if (match === null) return null;
  const inner = ((match[1] ?? match[2]) as string).trim();
  const introduced = /:\s*$/.test(text.slice(0, match.index));
  const large = inner.length >= text.trim().length * QUOTED_SHARE;
  return inner.includes(" ") && (introduced || large) ? inner : null;
}

/** Inputs for a schema: what was given explicitly, else what the text says. Members that have no source are left out. */
export function inputsFrom(schema: JsonObject, read: ReadText | null, given: JsonObject): JsonObject {
  const properties = isJsonObject(schema.properties) ? schema.properties : {};
  const found = new Map<string, Json>(Object.entries(given));
  if (read === null) return Object.fromEntries(found);
  for (const [name, property] of Object.entries(properties)) {
    if (found.has(name)) continue;
    const value = valueIn(name, property, { read, properties });
    if (value !== null) found.set(name, value);
  }
  const slot = TEXT_INPUTS.find((name) => Object.hasOwn(properties, name));
  if (slot !== undefined && !found.has(slot)) {
    const words = wantedWords(read, properties, found);
    if (words !== "") found.set(slot, words);
  }
  return Object.fromEntries(found);
}

/** Names of inputs that the schema requires and `inputs` does not have. */
export function missingInputs(schema: JsonObject, inputs: JsonObject): readonly string[] {
  const required = Array.isArray(schema.required) ? (schema.required as readonly Json[]) : [];
  return required.filter((name): name is string => typeof name === "string" && !Object.hasOwn(inputs, name));
}

/** Names of given inputs that the schema does not know. */
export function foreignInputs(schema: JsonObject, given: JsonObject): readonly string[] {
  const properties = isJsonObject(schema.properties) ? schema.properties : {};
  return Object.keys(given).filter((name) => !Object.hasOwn(properties, name));
}

function valueIn(
  name: string,
  property: Json | undefined,
  { read, properties }: { readonly read: ReadText; readonly properties: JsonObject },
): Json | null {
  const field = read.fields.get(name.toLowerCase());
  if (field !== undefined) return typed(field.value, property);
  if (REPO_INPUTS.has(name)) return read.repo?.value ?? null;
  if (URL_INPUTS.test(name)) return read.url;
  for (const word of REF_WORDS[name] ?? []) {
    // "branch x" is the input `branch` where there is one.
    if (word !== name && Object.hasOwn(properties, word)) continue;
    const ref = refAfter(word, read.prose);
    if (ref !== null) return ref;
  }
  return null;
}

function refAfter(word: string, text: string): string | null {
  const pattern = new RegExp(`\\b${word}[ \\t]+(?:branch[ \\t]+)?([\`'"]?)([A-Za-z0-9][\\w./-]*)\\1`, "gi");
  for (const match of text.matchAll(pattern)) {
    const [, quote, name] = match;
    const ref = withoutTail(name as string, "./-");
    if (quote !== "" || USUAL_REFS.has(ref.toLowerCase()) || /[/\d-]/.test(ref)) return ref;
  }
  return null;
}

/** A word as the type that the schema wants, where it can be one; what does not fit is refused later, by name. */
function typed(value: string, property: Json | undefined): Json {
  const type = isJsonObject(property) ? property.type : undefined;
  if (type === "boolean" && /^(true|yes|on)$/i.test(value)) return true;
  if (type === "boolean" && /^(false|no|off)$/i.test(value)) return false;
  if ((type === "integer" || type === "number") && /^-?\d{1,15}(\.\d{1,15})?$/.test(value))
    return Number(value);
  return value;
}

/** The text without what went into other inputs: the path of the repository above all, which is not the worktree's. */
function wantedWords(read: ReadText, properties: JsonObject, found: ReadonlyMap<string, Json>): string {
  if (read.quoted !== null) return read.quoted;
  let words = read.text;
  for (const [name, { written }] of read.fields) {
    const known = Object.keys(properties).some((property) => property.toLowerCase() === name);
    if (known) words = words.replace(written, () => "");
  }
  const { repo } = read;
  const taken = repo !== null && [...REPO_INPUTS].some((name) => found.get(name) === repo.value);
  if (taken) words = words.replace(repo.written, () => "");
  return words
    .split("\n")
    .map((line) => line.trimEnd().replace(/ (?=[.,;:!?]$)/, ""))
    .join("\n")
    .replaceAll(/\n{3,}/g, "\n\n")
    .replaceAll(/(?<=\S) {2,}/g, " ")
    .trim();
}
