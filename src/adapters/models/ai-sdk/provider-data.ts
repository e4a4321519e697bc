import type { LanguageModelV4Message, SharedV4ProviderMetadata } from "@ai-sdk/provider";
import { isJsonObject, type Json, type JsonObject } from "../../../base/json.ts";
import type { Message } from "../../../domain/message.ts";

type AssistantMessage = Extract<Message, { role: "assistant" }>;
type AssistantPart = Extract<LanguageModelV4Message, { role: "assistant" }>["content"][number];

/** A piece of an answer in the order in which it came. */
export type Piece =
  | { readonly kind: "text" | "reasoning"; text: string; meta: SharedV4ProviderMetadata | undefined }
  | { readonly kind: "tool"; readonly id: string; readonly meta: SharedV4ProviderMetadata | undefined };

/**
 * What must go back unchanged with an answer: the order of its pieces and the provider's marks on them (signatures of
 * thinking). Kept only where there is something that text and tool calls alone would lose.
 */
export function keepPieces(provider: string, pieces: readonly Piece[]): Json | undefined {
  const marked = pieces.some((piece) => piece.meta !== undefined);
  const thoughtAndActed =
    pieces.some((piece) => piece.kind === "reasoning") && pieces.some((piece) => piece.kind === "tool");
  if (!marked && !thoughtAndActed) return undefined;
  const kept = pieces.map((piece) => {
    const meta = piece.meta === undefined ? {} : { meta: piece.meta as JsonObject };
    return piece.kind === "tool"
      ? { kind: piece.kind, id: piece.id, ...meta }
      : { kind: piece.kind, text: piece.text, ...meta };
  });
  return { provider, pieces: kept };
}

/** The pieces again; `null` when they are another provider's, or no longer fit the message they came with. */
export function readParts(provider: string, message: AssistantMessage): AssistantPart[] | null {
  const data = message.providerData;
  if (!isJsonObject(data) || data.provider !== provider || !Array.isArray(data.pieces)) return null;
  const calls = new Map(message.toolCalls.map((call) => [call.id, call]));
  const parts: AssistantPart[] = [];
  let text = "";
  for (const piece of data.pieces as readonly Json[]) {
    if (!isJsonObject(piece)) return null;
    const meta = isJsonObject(piece.meta) ? { providerOptions: piece.meta as SharedV4ProviderMetadata } : {};
    if (piece.kind === "tool") {
      const call = typeof piece.id === "string" ? calls.get(piece.id) : undefined;
      if (call === undefined) return null;
      calls.delete(call.id);
      parts.push({ type: "tool-call", toolCallId: call.id, toolName: call.name, input: call.input, ...meta });
    } else if (typeof piece.text === "string") {
      const type = piece.kind === "reasoning" ? "reasoning" : "text";
      if (type === "text") text += piece.text;
      parts.push({ type, text: piece.text, ...meta });
    }
  }
  return calls.size === 0 && text === message.text ? parts : null;
}
