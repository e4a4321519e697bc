import type { JsonObject } from "../../../base/json.ts";
import type { ModelProvider } from "../../../contracts/model-provider.ts";
import { idsOf } from "../ai-sdk/listing.ts";
import { type AiSdkDependencies, aiSdkProvider } from "../ai-sdk/provider.ts";
import { observeOpenAi } from "./wire.ts";

export const OPENAI_URL = "https://api.openai.com/v1";

export interface OpenAiCompatibleSettings {
  /** What the provider is called in `provider/model`. */
  readonly name: string;
  /** With its version: `https://api.openai.com/v1`. */
  readonly baseUrl: string;
  /** Absent for servers that want none. */
  readonly apiKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** `false` for servers that know JSON mode but no schema for it. */
  readonly jsonSchema?: boolean;
}

/** Any server that speaks `POST /chat/completions`: OpenAI, OpenRouter, vLLM, llama.cpp, LM Studio, … */
export function openAiCompatibleProvider(
  settings: OpenAiCompatibleSettings,
  dependencies: AiSdkDependencies,
): ModelProvider {
  const baseURL = settings.baseUrl.replace(/\/+$/, "");
  const headers = { ...settings.headers };
  const key = settings.apiKey;
  return aiSdkProvider(
    {
      name: settings.name,
      model: async (model, fetch) => {
        const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
        return createOpenAICompatible({
          name: settings.name,
          baseURL,
          headers,
          fetch,
          includeUsage: true,
          supportsStructuredOutputs: settings.jsonSchema ?? true,
          ...(key === undefined ? {} : { apiKey: key }),
        })(model);
      },
      observe: observeOpenAi,
      ...(new URL(baseURL).hostname.endsWith("openai.com") ? { body: renameMaxTokens } : {}),
      // Strict schemas would forbid optional fields; whoever asked for JSON checks it anyway.
      options: () => ({ openaiCompatible: { strictJsonSchema: false } }),
      flagsToolErrors: false,
      list: {
        url: `${baseURL}/models`,
        headers: { ...headers, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
        names: (body) => idsOf(body.data, "id"),
      },
      secrets: key === undefined ? [] : [key],
    },
    dependencies,
  );
}

/** OpenAI itself has given up the name that every compatible server knows. */
function renameMaxTokens(body: JsonObject): JsonObject {
  const { max_tokens: limit, ...rest } = body;
  return limit === undefined ? rest : { ...rest, max_completion_tokens: limit };
}
