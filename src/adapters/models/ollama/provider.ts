import type { JsonObject } from "../../../base/json.ts";
import type { ModelProvider, ModelRequest } from "../../../contracts/model-provider.ts";
import { type Failure, failure } from "../../../domain/errors.ts";
import { idsOf } from "../ai-sdk/listing.ts";
import { type AiSdkDependencies, aiSdkProvider } from "../ai-sdk/provider.ts";
import { observeOllama } from "./wire.ts";

export const OLLAMA_URL = "http://127.0.0.1:11434";

/** The window asked for when a request names none: Ollama's own default is too small for an agent, and cuts in silence. */
const DEFAULT_CONTEXT_TOKENS = 16_384;

/** No text has fewer tokens than this many characters each would give; a prompt that is too large even so cannot fit. */
const MAX_CHARS_PER_TOKEN = 8;

export interface OllamaSettings {
  /** Without `/api`. */
  readonly baseUrl?: string;
  /** The context window for requests that name none, in tokens. */
  readonly contextTokens?: number;
  /** The same by model, before it; `*` for all others. */
  readonly windows?: Readonly<Record<string, number>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Models on an Ollama server over its native `/api/chat`: the other one it speaks cannot set the context window. */
export function ollamaProvider(settings: OllamaSettings, dependencies: AiSdkDependencies): ModelProvider {
  const root = (settings.baseUrl ?? OLLAMA_URL).replace(/\/+$/, "").replace(/\/api$/, "");
  const headers = { ...settings.headers };
  const { windows = {} } = settings;
  const window = ({ model, contextTokens }: ModelRequest) =>
    contextTokens ?? windows[model] ?? windows["*"] ?? settings.contextTokens ?? DEFAULT_CONTEXT_TOKENS;
  return aiSdkProvider(
    {
      name: "ollama",
      model: async (model, fetch) => {
        const { createOllama } = await import("ollama-ai-provider-v2");
        return createOllama({ baseURL: `${root}/api`, headers, fetch })(model);
      },
      observe: observeOllama,
      options: (request) => ({
        ollama: {
          options: {
            num_ctx: window(request),
            num_predict: request.maxOutputTokens,
            ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
          },
        },
      }),
      body: neverCut,
      refuse: (request) => tooLarge(request, window(request)),
      lines: true,
      flagsToolErrors: false,
      list: { url: `${root}/api/tags`, headers, names: (body) => idsOf(body.models, "name") },
      secrets: Object.values(headers),
    },
    dependencies,
  );
}

/** Asks for an error where Ollama would drop the beginning of the conversation without a word. */
function neverCut(body: JsonObject): JsonObject {
  const { temperature: _, max_output_tokens: __, ...rest } = body;
  return { ...rest, truncate: false, shift: false };
}

/** For servers too old to know `truncate`. */
function tooLarge(request: ModelRequest, contextTokens: number): Failure | null {
  const chars = request.system.length + JSON.stringify(request.messages).length;
  if (chars <= contextTokens * MAX_CHARS_PER_TOKEN) return null;
  return failure(
    "model_context_overflow",
    `the prompt of ${chars} characters cannot fit ollama's context window of ${contextTokens} tokens`,
  );
}
