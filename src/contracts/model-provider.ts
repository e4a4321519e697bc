import type { Json, JsonObject } from "../base/json.ts";
import type { Failure } from "../domain/errors.ts";
import type { Message, ToolCall, ToolDescription, Usage } from "../domain/message.ts";

export interface ModelRequest {
  /** The provider's own name of the model. */
  readonly model: string;
  readonly system: string;
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDescription[];
  readonly maxOutputTokens: number;
  readonly temperature?: number;
  /** Ask for JSON of this schema instead of text, where the provider can. */
  readonly json?: JsonObject;
  /** Tokens the context window must hold (Ollama's `num_ctx`). */
  readonly contextTokens?: number;
}

export interface ModelReply {
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  readonly reasoning: string;
  readonly finish: "stop" | "tool_calls" | "length";
  readonly usage: Usage;
  /** As reported by the provider; may be more exact than what was asked for. */
  readonly model: string;
  readonly firstTokenMs: number;
  readonly ms: number;
  /** To be sent back unchanged with this message. */
  readonly providerData?: Json;
}

export type ModelResult =
  | { readonly ok: true; readonly reply: ModelReply }
  /** `retryAfterMs` when the provider said so; `usage` when tokens were spent all the same. */
  | { readonly ok: false; readonly failure: Failure; readonly retryAfterMs?: number; readonly usage?: Usage };

export interface ModelCallOptions {
  readonly signal: AbortSignal;
  /** Text as it comes; for screens only, never for the journal. */
  readonly onDelta?: (delta: { readonly kind: "text" | "reasoning" | "tool"; readonly text: string }) => void;
}

export interface ProviderHealth {
  readonly status: "ok" | "unconfigured" | "failing";
  readonly detail: string;
}

/**
 * One way to reach models. `generate` must not throw and must not retry: every end is a `ModelResult`.
 * A stream without its end marker or without usage is `model_truncated`, never an answer.
 */
export interface ModelProvider {
  readonly name: string;
  generate(request: ModelRequest, options: ModelCallOptions): Promise<ModelResult>;
  /** A cheap question to the provider: is it configured, does it answer. */
  health(signal: AbortSignal): Promise<ProviderHealth>;
  /** Models known to be there; empty when the provider cannot tell. */
  models(signal: AbortSignal): Promise<readonly string[]>;
}
