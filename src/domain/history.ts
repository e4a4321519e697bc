import { clip } from "../base/text.ts";
import type { Message } from "./message.ts";

/** Code has three to four characters a token, so this errs high. */
const CHARS_PER_TOKEN = 3;
/** Four characters a token instead of three: the most that plain text is worth. */
const BELIEVABLE_SHARE = 0.75;
/** What a message costs beside its text. */
const TOKENS_PER_MESSAGE = 8;
/** No tool result is cut below this, however large the turn is. */
const MIN_RESULT_CHARS = 400;

export function estimateTokens(messages: readonly Message[]): number {
  let tokens = 0;
  for (const message of messages) {
    tokens += TOKENS_PER_MESSAGE + Math.ceil(messageChars(message) / CHARS_PER_TOKEN);
  }
  return tokens;
}

function messageChars(message: Message): number {
  switch (message.role) {
    case "user":
      return message.text.length;
    case "assistant": {
      const provider = message.providerData === undefined ? 0 : JSON.stringify(message.providerData).length;
      const calls = message.toolCalls.map((call) => call.name.length + JSON.stringify(call.input).length);
      return calls.reduce((sum, chars) => sum + chars, message.text.length + provider);
    }
    case "tool":
      return message.results.reduce((sum, result) => sum + result.text.length, 0);
  }
}

/** What a model reported of an earlier call: the first `messages` messages took `tokens`. */
export interface Measured {
  readonly messages: number;
  readonly tokens: number;
}

/**
 * The size of the history: as measured by the model where it was, estimated for what came since. Some servers leave
 * out what they had cached, so a measure far below the estimate is not believed.
 */
export function historyTokens(messages: readonly Message[], measured: Measured | null): number {
  const estimated = estimateTokens(messages);
  if (measured === null) return estimated;
  const told = measured.tokens + estimateTokens(messages.slice(measured.messages));
  return Math.max(told, Math.floor(estimated * BELIEVABLE_SHARE));
}

/**
 * The history with one more word from us. Joined to a word of ours that the model has not answered yet,
 * so that user messages never follow one another.
 */
export function appendUser(messages: readonly Message[], text: string): readonly Message[] {
  const last = messages.at(-1);
  if (last?.role !== "user") return [...messages, { role: "user", text }];
  return [...messages.slice(0, -1), { role: "user", text: `${last.text}\n\n${text}` }];
}

/** An assistant message with everything that came before the next one: never to be torn apart. */
export function turnsOf(messages: readonly Message[]): readonly (readonly Message[])[] {
  const turns: Message[][] = [];
  for (const message of messages) {
    if (message.role === "assistant") turns.push([message]);
    else turns.at(-1)?.push(message);
  }
  return turns;
}

export interface Split {
  /** Turns to be summarised, oldest first. */
  readonly dropped: readonly Message[];
  /** Whole turns to be kept word for word, the last one at least. */
  readonly kept: readonly Message[];
}

/** Which turns a compaction keeps: the latest, at most `keepTurns`, as far as they fit into `targetTokens`. */
export function splitForCompaction(
  messages: readonly Message[],
  options: { readonly keepTurns: number; readonly targetTokens: number },
): Split {
  const turns = turnsOf(messages);
  let first = turns.length;
  let tokens = 0;
  while (first > 0 && turns.length - first < Math.max(1, options.keepTurns)) {
    const size = estimateTokens(turns[first - 1] as readonly Message[]);
    if (first < turns.length && tokens + size > options.targetTokens) break;
    tokens += size;
    first -= 1;
  }
  const kept = turns.slice(first).flat();
  return {
    dropped: turns.slice(0, first).flat(),
    kept: tokens > options.targetTokens ? clipResults(kept, options.targetTokens) : kept,
  };
}

function clipResults(messages: readonly Message[], targetTokens: number): readonly Message[] {
  const results = messages.reduce(
    (count, message) => count + (message.role === "tool" ? message.results.length : 0),
    0,
  );
  const share = Math.floor((targetTokens * CHARS_PER_TOKEN) / Math.max(1, results));
  const maxChars = Math.max(MIN_RESULT_CHARS, share);
  return messages.map((message) => {
    if (message.role !== "tool") return message;
    return {
      role: "tool",
      results: message.results.map((result) => ({ ...result, text: clip(result.text, maxChars).text })),
    };
  });
}

/** What must survive a compaction: all but the summary is put back word for word. */
export interface Essentials {
  /** The first message as the model read it: task, facts, rules of the repository. */
  readonly opening: string;
  readonly summary: string;
  /** What is left of time, turns and money. */
  readonly budget: string;
}

/** The history after a compaction: one opening message, then the kept turns. */
export function compacted(essentials: Essentials, kept: readonly Message[]): readonly Message[] {
  const text = [
    essentials.opening,
    `## The work so far\nThe beginning of this conversation was replaced by this summary of it:\n\n${essentials.summary}`,
    `## Budget\n${essentials.budget}`,
  ].join("\n\n");
  return [{ role: "user", text }, ...kept];
}

/** The dropped turns as plain text for whoever summarises them, each part cut visibly. */
export function renderForSummary(messages: readonly Message[], maxPartChars: number): string {
  const parts: string[] = [];
  for (const message of messages) {
    if (message.role === "user") parts.push(`[runner] ${clip(message.text, maxPartChars).text}`);
    if (message.role === "assistant") {
      if (message.text !== "") parts.push(`[agent] ${clip(message.text, maxPartChars).text}`);
      for (const call of message.toolCalls) {
        parts.push(`[call] ${call.name} ${clip(JSON.stringify(call.input), maxPartChars).text}`);
      }
    }
    if (message.role === "tool") {
      for (const result of message.results) {
        const mark = result.isError ? "error" : "result";
        parts.push(`[${mark} of ${result.name}] ${clip(result.text, maxPartChars).text}`);
      }
    }
  }
  return parts.join("\n");
}
