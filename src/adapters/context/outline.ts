import { extensionOf } from "./languages.ts";

const MAX_SIGNATURE_CHARS = 110;
/** Definitions kept of one file, first ones first. */
export const MAX_SYMBOLS = 600;

export interface OutlineEntry {
  readonly name: string;
  readonly kind: string;
  /** Counted from 1. */
  readonly line: number;
  /** The line of the definition, trimmed and clipped. */
  readonly signature: string;
}

const MODIFIERS =
  "export|default|declare|public|private|protected|internal|fileprivate|static|final|abstract|sealed|open|override|" +
  "async|const|inline|suspend|data|case|implicit|lateinit|readonly|partial|virtual|unsafe|extern|native|operator|" +
  "pub(?:\\([^)]*\\))?|local|mutating|indirect|external|inner|value|annotation|tailrec|infix";
const KEYWORDS: Readonly<Record<string, string>> = {
  class: "class",
  object: "class",
  struct: "class",
  record: "class",
  actor: "class",
  message: "class",
  contract: "class",
  interface: "interface",
  trait: "interface",
  protocol: "interface",
  service: "interface",
  mixin: "interface",
  enum: "enum",
  extension: "type",
  type: "type",
  typealias: "type",
  typedef: "type",
  newtype: "type",
  module: "module",
  namespace: "module",
  defmodule: "module",
  resource: "module",
  function: "function",
  func: "function",
  fun: "function",
  fn: "function",
  def: "function",
  defp: "function",
  defn: "function",
  sub: "function",
  proc: "function",
  rpc: "function",
  macro: "macro",
  defmacro: "macro",
};
const NAMED = new RegExp(
  `^[ \\t]*(?:@\\w+(?:\\([^)\\n]*\\))?[ \\t]+)*(?:(?:${MODIFIERS})[ \\t]+)*` +
    `(${Object.keys(KEYWORDS).join("|")})[ \\t]+(?:<[^>\\n]*>[ \\t]*)?(?:[A-Z]\\w*(?:<[^>\\n]*>)?\\.)?([A-Za-z_$][\\w$?!]*)`,
  "gm",
);
const SQL_OBJECT =
  /^[ \t]*create[ \t]+(?:or[ \t]+replace[ \t]+)?(?:temp(?:orary)?[ \t]+|unique[ \t]+)?(table|view|index|function|procedure|trigger|type)[ \t]+(?:if[ \t]+not[ \t]+exists[ \t]+)?["`[]?([\w.]+)/gim;
const HEADING = /^(#{1,3})[ \t]+(.+?)[ \t#]*$/gm;
const TARGET = /^([A-Za-z][\w.-]*)[ \t]*:(?!=)/gm;

/**
 * Definitions by the shape of lines: for languages without a grammar (Kotlin, Swift, Scala, Elixir, Lua, …) and as
 * the fallback when a grammar cannot be loaded. It knows "keyword name" and nothing about nesting or strings.
 */
export function outlineByLines(path: string, text: string): readonly OutlineEntry[] {
  const extension = extensionOf(path);
  if (extension === "md" || extension === "mdx" || extension === "markdown") {
    return collect(text, HEADING, (match) => ({ kind: "heading", name: match[2] ?? "" }));
  }
  if (extension === "sql")
    return collect(text, SQL_OBJECT, (match) => ({ kind: "type", name: match[2] ?? "" }));
  if (/(?:^|\/)(?:GNU)?[Mm]akefile$/.test(path) || extension === "mk") {
    return collect(text, TARGET, (match) => ({ kind: "target", name: match[1] ?? "" }));
  }
  if (isProse(extension)) return [];
  return collect(text, NAMED, (match) => ({
    kind: KEYWORDS[match[1] ?? ""] ?? "function",
    name: match[2] ?? "",
  }));
}

/** Kinds of files in which "type x" or "function y" at the start of a line is no definition. */
function isProse(extension: string): boolean {
  return /^(?:|txt|rst|adoc|json|json5|jsonc|yaml|yml|toml|xml|html|htm|css|scss|less|svg|csv|tsv|ini|cfg|conf|lock|snap|log|properties|env|diff|patch|po|pot)$/.test(
    extension,
  );
}

function collect(
  text: string,
  pattern: RegExp,
  read: (match: RegExpMatchArray) => { readonly kind: string; readonly name: string },
): readonly OutlineEntry[] {
  const entries: OutlineEntry[] = [];
  const lines = new LineFinder(text);
  for (const match of text.matchAll(pattern)) {
    if (entries.length >= MAX_SYMBOLS) break;
    const blanks = match[0].length - match[0].trimStart().length;
    entries.push({ ...read(match), ...lines.at(match.index + blanks) });
  }
  return entries;
}

/** Line numbers and lines of rising offsets, in one pass over the text. */
class LineFinder {
  readonly #text: string;
  #offset = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  at(offset: number): { readonly line: number; readonly signature: string } {
    for (let next = this.#text.indexOf("\n", this.#offset); next >= 0 && next < offset; ) {
      this.#line += 1;
      this.#offset = next + 1;
      next = this.#text.indexOf("\n", this.#offset);
    }
    const end = this.#text.indexOf("\n", this.#offset);
    return {
      line: this.#line,
      signature: signatureOf(this.#text.slice(this.#offset, end < 0 ? undefined : end)),
    };
  }
}

/** Whether a definition only gives a name to another file's: `const fs = require("node:fs")`. */
export function isImport(signature: string): boolean {
  return /=\s*(?:await\s+)?(?:require|import)\s*\(/.test(signature);
}

/** A source line as the map shows it. */
export function signatureOf(line: string): string {
  const text = line
    .trim()
    .replaceAll(/\s+/g, " ")
    .replace(/\s*\{$/, "");
  return text.length <= MAX_SIGNATURE_CHARS ? text : `${text.slice(0, MAX_SIGNATURE_CHARS - 1).trimEnd()}…`;
}
