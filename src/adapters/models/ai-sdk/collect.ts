import type { LanguageModelV4StreamPart, SharedV4ProviderMetadata } from "@ai-sdk/provider";
import type { Json } from "../../../base/json.ts";
import type { ModelCallOptions } from "../../../contracts/model-provider.ts";
import type { ToolCall } from "../../../domain/message.ts";
import type { Piece } from "./provider-data.ts";

type FinishReason = Extract<LanguageModelV4StreamPart, { type: "finish" }>["finishReason"];

/** An answer as it is put together from the parts of its stream. */
export class Collector {
  readonly pieces: Piece[] = [];
  readonly toolCalls: ToolCall[] = [];
  /** Tool calls whose input was not JSON. */
  readonly brokenCalls: { readonly name: string; readonly input: string }[] = [];
  finish: FinishReason | null = null;
  firstTokenAt: number | null = null;
  readonly #open = new Map<string, Extract<Piece, { text: string }>>();
  readonly #onDelta: NonNullable<ModelCallOptions["onDelta"]>;
  readonly #now: () => number;

  constructor(onDelta: ModelCallOptions["onDelta"], now: () => number) {
    this.#onDelta = onDelta ?? (() => {});
    this.#now = now;
  }

  get text(): string {
    return this.#join("text");
  }

  get reasoning(): string {
    return this.#join("reasoning");
  }

  take(part: LanguageModelV4StreamPart): void {
    if (part.type === "tool-input-start") this.#speak("tool", `${part.toolName} `);
    else if (part.type === "tool-input-delta") this.#speak("tool", part.delta);
    else if (part.type === "tool-call") this.#call(part);
    else if (part.type === "finish") this.finish = part.finishReason;
    else if (isPieceOf("text", part)) this.#grow("text", part);
    else if (isPieceOf("reasoning", part)) this.#grow("reasoning", part);
  }

  #grow(
    kind: "text" | "reasoning",
    part: {
      readonly id: string;
      readonly delta?: string;
      readonly providerMetadata?: SharedV4ProviderMetadata;
    },
  ): void {
    const key = `${kind}:${part.id}`;
    let piece = this.#open.get(key);
    if (piece === undefined) {
      piece = { kind, text: "", meta: undefined };
      this.#open.set(key, piece);
      this.pieces.push(piece);
    }
    if (part.providerMetadata !== undefined) piece.meta = merge(piece.meta, part.providerMetadata);
    if (part.delta === undefined || part.delta === "") return;
    piece.text += part.delta;
    this.#speak(kind, part.delta);
  }

  #call(part: Extract<LanguageModelV4StreamPart, { type: "tool-call" }>): void {
    this.firstTokenAt ??= this.#now();
    const input = parseInput(part.input);
    if (input === undefined) {
      this.brokenCalls.push({ name: part.toolName, input: part.input });
      return;
    }
    this.toolCalls.push({ id: part.toolCallId, name: part.toolName, input });
    this.pieces.push({ kind: "tool", id: part.toolCallId, meta: part.providerMetadata });
  }

  #speak(kind: "text" | "reasoning" | "tool", text: string): void {
    if (text === "") return;
    this.firstTokenAt ??= this.#now();
    this.#onDelta({ kind, text });
  }

  #join(kind: "text" | "reasoning"): string {
    return this.pieces.map((piece) => (piece.kind === kind ? piece.text : "")).join("");
  }
}

type PieceOf<Kind extends string> = Extract<
  LanguageModelV4StreamPart,
  { type: `${Kind}-start` | `${Kind}-delta` | `${Kind}-end` }
>;

function isPieceOf<Kind extends "text" | "reasoning">(
  kind: Kind,
  part: LanguageModelV4StreamPart,
): part is PieceOf<Kind> {
  return part.type === `${kind}-start` || part.type === `${kind}-delta` || part.type === `${kind}-end`;
}

function merge(
  before: SharedV4ProviderMetadata | undefined,
  more: SharedV4ProviderMetadata,
): SharedV4ProviderMetadata {
  const merged: SharedV4ProviderMetadata = { ...before };
  for (const [key, value] of Object.entries(more)) merged[key] = { ...merged[key], ...value };
  return merged;
}

/** A tool without arguments may be called with nothing at all. */
function parseInput(input: string): Json | undefined {
  if (input.trim() === "") return {};
  try {
    return JSON.parse(input) as Json;
  } catch {
    return undefined;
  }
}
