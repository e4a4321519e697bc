import { createRequire } from "node:module";
import path from "node:path";
import { Language as Grammar, Parser, Query } from "web-tree-sitter";
import { type Language, languageOf } from "./languages.ts";
import { isImport, MAX_SYMBOLS, type OutlineEntry, outlineByLines, signatureOf } from "./outline.ts";

/** Above this the time of a full parse is not worth its better outline. */
const MAX_PARSED_CHARS = 512 * 1024;

interface LoadedLanguage {
  readonly parser: Parser;
  readonly query: Query;
}

/** Finds definitions with tree-sitter where there is a grammar, and by the shape of lines elsewhere. */
export class Outliner {
  readonly #loaded = new Map<string, Promise<LoadedLanguage | null>>();

  /** In line order; several definitions of one line keep the order of the text. */
  async outline(file: string, text: string): Promise<readonly OutlineEntry[]> {
    const language = languageOf(file);
    const loaded = language === null || text.length > MAX_PARSED_CHARS ? null : await this.#load(language);
    if (loaded === null) return outlineByLines(file, text);
    return parsedOutline(loaded, text) ?? outlineByLines(file, text);
  }

  #load(language: Language): Promise<LoadedLanguage | null> {
    const known = this.#loaded.get(language.grammar);
    if (known !== undefined) return known;
    const loading = loadLanguage(language);
    this.#loaded.set(language.grammar, loading);
    return loading;
  }
}

async function loadLanguage(language: Language): Promise<LoadedLanguage | null> {
  const installed = installedGrammars();
  if (installed === null) return null;
  await Parser.init();
  const grammar = await Grammar.load(path.join(installed.folder, `tree-sitter-${language.grammar}.wasm`));
  return { parser: new Parser().setLanguage(grammar), query: new Query(grammar, language.query) };
}

/** Where the grammars are, and which ones; `null` when their package is absent, and then all outlines are by lines. */
export function installedGrammars(): { readonly folder: string; readonly version: string } | null {
  const require = createRequire(import.meta.url);
  try {
    const manifest = require.resolve("@vscode/tree-sitter-wasm/package.json");
    const { version } = require(manifest) as { readonly version: string };
    return { folder: path.join(path.dirname(manifest), "wasm"), version };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND") return null;
    throw error;
  }
}

/** `null` when the parser gives up on the text. */
function parsedOutline(loaded: LoadedLanguage, text: string): readonly OutlineEntry[] | null {
  const tree = loaded.parser.parse(text);
  if (tree === null) return null;
  try {
    const lines = text.split("\n");
    const entries: OutlineEntry[] = [];
    const seen = new Set<number>();
    for (const { name: kind, node } of loaded.query.captures(tree.rootNode)) {
      if (entries.length >= MAX_SYMBOLS) break;
      if (seen.has(node.startIndex)) continue;
      seen.add(node.startIndex);
      const row = node.startPosition.row;
      const signature = signatureOf(lines[row] ?? "");
      if (!isImport(signature)) entries.push({ name: node.text, kind, line: row + 1, signature });
    }
    return entries;
  } finally {
    tree.delete();
  }
}
