import type { LanguageModelV4Prompt } from "@ai-sdk/provider";
import type { ModelProvider } from "../../../contracts/model-provider.ts";
import { idsOf } from "../ai-sdk/listing.ts";
import { type AiSdkDependencies, aiSdkProvider } from "../ai-sdk/provider.ts";
import { observeAnthropic } from "./wire.ts";

export const ANTHROPIC_URL = "https://api.anthropic.com";
const API_VERSION = "2023-06-01";

export interface AnthropicSettings {
  readonly apiKey: string;
  /** Without `/v1`, as the vendor's own tools write it; with it is understood, too. */
  readonly baseUrl?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Claude over `POST /v1/messages`. */
export function anthropicProvider(
  settings: AnthropicSettings,
  dependencies: AiSdkDependencies,
): ModelProvider {
  const baseURL = versioned(settings.baseUrl ?? ANTHROPIC_URL);
  const headers = { ...settings.headers };
  return aiSdkProvider(
    {
      name: "anthropic",
      model: async (model, fetch) => {
        const { createAnthropic } = await import("@ai-sdk/anthropic");
        return createAnthropic({ apiKey: settings.apiKey, baseURL, headers, fetch })(model);
      },
      observe: observeAnthropic,
      annotate: markCacheable,
      flagsToolErrors: true,
      list: {
        url: `${baseURL}/models?limit=1000`,
        headers: { ...headers, "x-api-key": settings.apiKey, "anthropic-version": API_VERSION },
        names: (body) => idsOf(body.data, "id"),
      },
      secrets: [settings.apiKey],
    },
    dependencies,
  );
}

function versioned(url: string): string {
  const bare = url.replace(/\/+$/, "");
  return /\/v\d+$/.test(bare) ? bare : `${bare}/v1`;
}

const CACHE = { anthropic: { cacheControl: { type: "ephemeral" } } };

/** The tools and the system prompt stay the same through a conversation, and all of it up to now does until the next turn. */
function markCacheable(prompt: LanguageModelV4Prompt): LanguageModelV4Prompt {
  return prompt.map((message, index) => {
    if (message.role !== "system" && index !== prompt.length - 1) return message;
    return { ...message, providerOptions: { ...message.providerOptions, ...CACHE } };
  });
}
