import type { Json, JsonObject } from "../base/json.ts";

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly input: Json;
}

/** One message of a conversation with a model; the history of an agent is a plain list of these. */
export type Message =
  | { readonly role: "user"; readonly text: string }
  | {
      readonly role: "assistant";
      readonly text: string;
      readonly toolCalls: readonly ToolCall[];
      /** What the provider wants back unchanged (signatures of thinking, cache marks); opaque to us. */
      readonly providerData?: Json;
    }
  | {
      readonly role: "tool";
      readonly results: readonly {
        readonly callId: string;
        readonly name: string;
        readonly text: string;
        readonly isError: boolean;
      }[];
    };

export interface ToolDescription {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of an object, flat where possible, fields in a stable order. */
  readonly input: JsonObject;
}

/** Tokens in exclusive buckets: their sum is what was processed, none is counted twice. */
export interface Usage {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
  readonly reasoning: number;
}

export const NO_USAGE: Usage = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    input: a.input + b.input,
    cacheRead: a.cacheRead + b.cacheRead,
    cacheWrite: a.cacheWrite + b.cacheWrite,
    output: a.output + b.output,
    reasoning: a.reasoning + b.reasoning,
  };
}

export function totalTokens(usage: Usage): number {
  return usage.input + usage.cacheRead + usage.cacheWrite + usage.output + usage.reasoning;
}
