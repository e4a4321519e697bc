import type { ContextSymbol, RankedFile } from "../../contracts/repo-context.ts";
import type { OutlineEntry } from "./outline.ts";

/** Of UTF-8. Code has 3 to 4 bytes a token with the tokenizers in use, so an estimate by 3 errs on the high side. */
const BYTES_PER_TOKEN = 3;
/** Share of the budget for bare paths before definitions get theirs. */
const PATHS_SHARE = 0.4;
const MAX_SYMBOLS_PER_FILE = 40;

export function estimateTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text, "utf8") / BYTES_PER_TOKEN);
}

export interface WeighedSymbol {
  readonly entry: OutlineEntry;
  /** 0 for a definition that is not worth a line. */
  readonly relevance: number;
}

export interface MapFile {
  readonly path: string;
  readonly score: number;
  readonly reasons: Readonly<Record<string, number>>;
  readonly lines: number;
  /** The definitions with how much each matters for the task; asked for only when there is room. */
  readonly symbols: () => readonly WeighedSymbol[];
}

export interface RenderedMap {
  readonly files: readonly RankedFile[];
  readonly text: string;
  readonly tokens: number;
}

interface Part {
  readonly file: MapFile;
  readonly head: string;
  readonly chosen: OutlineEntry[];
}

/**
 * The map of the best files (given best first) that fits the budget: first paths, then the definitions that matter
 * most, each file's share of the room by its score, then more paths if room is left.
 */
export function renderMap(files: readonly MapFile[], budgetTokens: number): RenderedMap {
  const room = new Room(budgetTokens * BYTES_PER_TOKEN);
  const parts: Part[] = [];
  const later: MapFile[] = [];
  const pathsRoom = Math.floor(room.left * PATHS_SHARE);
  for (const file of files) {
    const head = headLine(file);
    const early = parts.length === 0 || room.used + size(head) <= pathsRoom;
    if (early && room.take(head)) parts.push({ file, head, chosen: [] });
    else later.push(file);
  }
  addSymbols(parts, room);
  for (const file of later) {
    const head = headLine(file);
    if (room.take(head)) parts.push({ file, head, chosen: [] });
  }
  parts.sort((a, b) => b.file.score - a.file.score);
  const blocks = parts.map(textOf);
  const text = blocks.join("\n");
  const ranked = parts.map((part, i) => rankedFile(part, blocks[i] ?? ""));
  return { files: ranked, text, tokens: estimateTokens(text) };
}

class Room {
  #left: number;
  #used = 0;

  constructor(bytes: number) {
    // The last line has no line end.
    this.#left = bytes + 1;
  }

  get left(): number {
    return this.#left;
  }

  get used(): number {
    return this.#used;
  }

  take(line: string): boolean {
    const bytes = size(line);
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    this.#used += bytes;
    return true;
  }
}

/** Bytes of a line with its end. */
function size(line: string): number {
  return Buffer.byteLength(line, "utf8") + 1;
}

function addSymbols(parts: readonly Part[], room: Room): void {
  let scores = parts.reduce((sum, { file }) => sum + file.score, 0);
  for (const part of parts) {
    const share = scores > 0 ? (room.left * part.file.score) / scores : 0;
    scores -= part.file.score;
    const until = room.used + share;
    const shown = new Set<number>();
    for (const { entry } of worthShowing(part.file)) {
      if (part.chosen.length >= MAX_SYMBOLS_PER_FILE) break;
      const line = symbolLine(entry);
      if (shown.has(entry.line) || room.used + size(line) > until || !room.take(line)) continue;
      shown.add(entry.line);
      part.chosen.push(entry);
    }
  }
}

/** The definitions that matter, most relevant first. */
function worthShowing(file: MapFile): readonly WeighedSymbol[] {
  const worth = file.symbols().filter(({ relevance }) => relevance > 0);
  return worth.sort((a, b) => b.relevance - a.relevance || a.entry.line - b.entry.line);
}

function headLine({ path, lines }: MapFile): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a path may hold them, and must not break the map's lines
  const shown = /[\u0000-\u001f\u007f\u2028\u2029]/.test(path) ? JSON.stringify(path) : path;
  return lines > 0 ? `${shown} (${lines} lines)` : shown;
}

function symbolLine({ line, signature }: OutlineEntry): string {
  return `  ${line}: ${signature}`;
}

function textOf({ head, chosen }: Part): string {
  return [head, ...chosen.toSorted((a, b) => a.line - b.line).map(symbolLine)].join("\n");
}

function rankedFile({ file, chosen }: Part, block: string): RankedFile {
  const symbols: ContextSymbol[] = chosen
    .toSorted((a, b) => a.line - b.line)
    .map(({ name, kind, line }) => ({ name, kind, line }));
  return {
    path: file.path,
    score: file.score,
    reasons: file.reasons,
    symbols,
    tokens: estimateTokens(block),
  };
}
