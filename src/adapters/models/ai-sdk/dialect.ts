import type { LanguageModelV4, LanguageModelV4Prompt, SharedV4ProviderOptions } from "@ai-sdk/provider";
import type { JsonObject } from "../../../base/json.ts";
import type { ModelRequest } from "../../../contracts/model-provider.ts";
import type { Failure } from "../../../domain/errors.ts";
import type { Usage } from "../../../domain/message.ts";

/** An error that came inside a stream that began with 200. */
export interface InBandError {
  readonly kind: string;
  readonly message: string;
  readonly status?: number;
}

/** What the events of one answer, as they were on the wire, have said so far. */
export interface WireView {
  /** The provider's own end marker was seen. */
  readonly complete: boolean;
  /** In exclusive buckets; `null` until the provider has said it. */
  readonly usage: Usage | null;
  readonly model: string | null;
  readonly error: InBandError | null;
  /** Why it ended, where the SDK would make something else of it. */
  readonly reason?: "length" | "content-filter";
  /** The provider's usage so far, where it comes in pieces. */
  readonly raw?: JsonObject;
}

export const NOTHING_SEEN: WireView = { complete: false, usage: null, model: null, error: null };

/** Everything that one provider does its own way; all the rest is shared. */
export interface Dialect {
  /** Our name of the provider: the part before the `/` of a model. */
  readonly name: string;
  /** The AI SDK's model; its `fetch` must be the given one, which watches the wire. */
  readonly model: (model: string, fetch: typeof globalThis.fetch) => Promise<LanguageModelV4>;
  /** Folds one event of the stream into what is known. Pure. */
  readonly observe: (view: WireView, event: JsonObject) => WireView;
  readonly options?: (request: ModelRequest) => SharedV4ProviderOptions;
  /** Marks on messages, such as what to cache. */
  readonly annotate?: (prompt: LanguageModelV4Prompt) => LanguageModelV4Prompt;
  /** Changes the body before it is sent, where the SDK's is not enough. */
  readonly body?: (body: JsonObject) => JsonObject;
  /** Why a request cannot be sent at all. */
  readonly refuse?: (request: ModelRequest) => Failure | null;
  /** One JSON value a line instead of server-sent events: each line is checked before the SDK sees it. */
  readonly lines?: boolean;
  /** The wire can say that a tool's result is an error. Otherwise its text must say so. */
  readonly flagsToolErrors: boolean;
  /** Where models are listed; asked for health, too. */
  readonly list: {
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly names: (body: JsonObject) => readonly string[];
  };
  /** Never to be shown, whoever sends them back. */
  readonly secrets: readonly string[];
}

/** A text as a provider sent it; anything else than a text is empty. */
export function word(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A count of tokens as a provider sent it; anything else than a count is 0. */
export function count(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? Math.round(value) : 0;
}
