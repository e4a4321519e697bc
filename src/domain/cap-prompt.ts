import { clip } from "../base/text.ts";
import type { Message } from "./message.ts";

/** What was cut out of the middle of texts so that a prompt fits. Each cut says in its place how much is missing. */
export interface Cuts {
  /** Results of tools, and other messages, that were cut. */
  readonly results: number;
  readonly texts: number;
  /** Whether the first or the last word of the user is among them: the last resort. */
  readonly task: boolean;
  readonly chars: number;
}

export interface CappedPrompt {
  readonly messages: readonly Message[];
  /** `null` when nothing had to be cut; then `messages` is what was given. */
  readonly cuts: Cuts | null;
}

/** The mark of a cut, generously. */
const MARK_CHARS = 48;

/** In this order, each down to its least before the next is touched: what can be read again goes first. */
const STAGES = [
  { of: "old-result", leastChars: 400 },
  { of: "new-result", leastChars: 2_000 },
  { of: "old-text", leastChars: 400 },
  { of: "task", leastChars: 2_000 },
] as const;

type Rank = (typeof STAGES)[number]["of"];

/** One text that may be cut, and where it is. */
interface Piece {
  readonly message: number;
  /** Of a message of results, which one. */
  readonly result: number;
  readonly rank: Rank;
  readonly text: string;
}

/**
 * The messages with at most `maxChars` of text, as far as cutting can do it: the longest texts of a stage are cut to
 * one common length, head and tail, and the same messages are always cut the same. Tool calls are never touched.
 */
export function capPrompt(messages: readonly Message[], maxChars: number): CappedPrompt {
  const pieces = piecesOf(messages);
  let excess = pieces.reduce((sum, { text }) => sum + text.length, 0) - maxChars;
  if (excess <= 0) return { messages, cuts: null };
  const cut = new Map<Piece, string>();
  for (const { of, leastChars } of STAGES) {
    const own = pieces.filter(({ rank }) => rank === of);
    const level = Math.max(leastChars, levelFor(own, excess));
    for (const piece of own) {
      const { text } = clip(piece.text, level - MARK_CHARS);
      if (piece.text.length <= level || text.length >= piece.text.length) continue;
      cut.set(piece, text);
      excess -= piece.text.length - text.length;
    }
    if (excess <= 0) break;
  }
  if (cut.size === 0) return { messages, cuts: null };
  return { messages: rebuilt(messages, cut), cuts: count(cut) };
}

function piecesOf(messages: readonly Message[]): readonly Piece[] {
  const lastReply = messages.findLastIndex(({ role }) => role === "assistant");
  const firstWord = messages.findIndex(({ role }) => role === "user");
  const lastWord = messages.findLastIndex(({ role }) => role === "user");
  return messages.flatMap((message, index): readonly Piece[] => {
    if (message.role === "tool") {
      const rank = index > lastReply ? "new-result" : "old-result";
      return message.results.map(({ text }, result) => ({ message: index, result, rank, text }));
    }
    const rank = index === firstWord || index === lastWord ? "task" : "old-text";
    return [{ message: index, result: 0, rank, text: message.text }];
  });
}

/** The greatest length to which all longer pieces can be cut so that `excess` characters go; 0 when that is impossible. */
function levelFor(pieces: readonly Piece[], excess: number): number {
  const lengths = pieces.map(({ text }) => text.length).sort((a, b) => b - a);
  let sum = 0;
  for (const [index, length] of lengths.entries()) {
    sum += length;
    const cutPieces = index + 1;
    const level = Math.floor((sum - excess) / cutPieces);
    if (level >= (lengths[cutPieces] ?? 0)) return level;
  }
  return 0;
}

function rebuilt(messages: readonly Message[], cut: ReadonlyMap<Piece, string>): readonly Message[] {
  const texts = new Map([...cut].map(([{ message, result }, text]) => [`${message}/${result}`, text]));
  return messages.map((message, index): Message => {
    if (message.role !== "tool") {
      const text = texts.get(`${index}/0`);
      return text === undefined ? message : { ...message, text };
    }
    if (!message.results.some((_, result) => texts.has(`${index}/${result}`))) return message;
    const results = message.results.map((result, at) => {
      const text = texts.get(`${index}/${at}`);
      return text === undefined ? result : { ...result, text };
    });
    return { ...message, results };
  });
}

function count(cut: ReadonlyMap<Piece, string>): Cuts {
  const pieces = [...cut.keys()];
  const results = pieces.filter(({ rank }) => rank.endsWith("result")).length;
  return {
    results,
    texts: pieces.length - results,
    task: pieces.some(({ rank }) => rank === "task"),
    chars: [...cut].reduce((sum, [piece, text]) => sum + piece.text.length - text.length, 0),
  };
}
