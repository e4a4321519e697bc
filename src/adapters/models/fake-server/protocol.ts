import { isJsonObject, type Json, type JsonObject } from "../../../base/json.ts";
import type { Message, ToolCall } from "../../../domain/message.ts";
import type { Played } from "../script/play.ts";
import type { FaultKind } from "../script/schema.ts";
import type { Sent } from "../script/sent.ts";

export interface Asked {
  readonly model: string;
  readonly stream: boolean;
  readonly sent: Sent;
  /** JSON was asked for by a tool of this name, so the answer must be a call of it. */
  readonly jsonTool?: string;
}

/** An answer as it goes over the wire, in pieces, so that it can break between any two of them. */
export interface Frames {
  readonly head: readonly string[];
  readonly body: readonly string[];
  readonly tail: readonly string[];
}

export interface WireError {
  readonly status: number;
  readonly body: JsonObject;
}

/** The faults that are an answer with an error status. */
export type StatusFault = Extract<
  FaultKind,
  "overloaded" | "rate_limited" | "unavailable" | "auth" | "invalid_request" | "context_overflow"
>;

/** How one vendor's API looks from the outside. */
export interface Protocol {
  readonly name: string;
  /** `null` when the request is not this protocol's. */
  readonly read: (path: string, body: JsonObject) => Asked | null;
  readonly contentType: string;
  readonly frames: (played: Played, asked: Asked, variant: Variant) => Frames;
  /** The answer in one piece, for requests that do not stream. */
  readonly whole: (played: Played, asked: Asked, variant: Variant) => JsonObject;
  readonly error: (kind: StatusFault) => WireError;
  /** Whether a frame of the body carries tokens; when absent, all do. */
  readonly speaks?: (frame: string) => boolean;
  /** An error inside a stream that began with 200. */
  readonly inBand: string;
  /** A frame that is not JSON. */
  readonly broken: string;
  /** A line that clients must ignore; empty where the protocol has none. */
  readonly comment: string;
}

export interface Variant {
  readonly usage: boolean;
  readonly refused: boolean;
}

const PIECE_CHARS = 12;

/** Text in the small pieces in which models speak; at least two, so that there is a middle. */
export function pieces(text: string): string[] {
  const size = Math.max(1, Math.min(PIECE_CHARS, Math.ceil(text.length / 2)));
  return text.match(new RegExp(`[^]{1,${size}}`, "gu")) ?? [];
}

export function sse(data: JsonObject, event?: string): string {
  return `${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`;
}

export function objects(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter((item: Json) => isJsonObject(item)) : [];
}

export function object(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

export function text(value: Json | undefined): string {
  if (typeof value === "string") return value;
  return objects(value)
    .map((part) => (typeof part.text === "string" ? part.text : ""))
    .join("");
}

/** Gathers messages as they are read; results that follow one another belong to one message, as we send them. */
export class Conversation {
  readonly messages: Message[] = [];
  readonly #names = new Map<string, string>();

  user(said: string): void {
    this.messages.push({ role: "user", text: said });
  }

  assistant(said: string, toolCalls: readonly ToolCall[]): void {
    for (const call of toolCalls) this.#names.set(call.id, call.name);
    this.messages.push({ role: "assistant", text: said, toolCalls });
  }

  result(callId: string, said: string, isError: boolean, name?: string): void {
    const result = { callId, name: name ?? this.#names.get(callId) ?? "", text: said, isError };
    const last = this.messages.at(-1);
    if (last?.role !== "tool") this.messages.push({ role: "tool", results: [result] });
    else this.messages[this.messages.length - 1] = { role: "tool", results: [...last.results, result] };
  }
}

/** Where the wire has no flag for it, the text says that a tool failed. */
export function saysError(said: string): boolean {
  return /^error\b/i.test(said);
}

export function parseJson(source: string): Json {
  try {
    return JSON.parse(source) as Json;
  } catch {
    return source;
  }
}
