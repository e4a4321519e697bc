import type { ModelProvider } from "../../../contracts/model-provider.ts";
import { idsOf } from "../ai-sdk/listing.ts";
import { type AiSdkDependencies, aiSdkProvider } from "../ai-sdk/provider.ts";
import { observeGoogle } from "./wire.ts";

export const GOOGLE_URL = "https://generativelanguage.googleapis.com";

export interface GoogleSettings {
  readonly apiKey: string;
  /** Without `/v1beta`, as the vendor's own tools write it; with it is understood, too. */
  readonly baseUrl?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Gemini over `:streamGenerateContent`. */
export function googleProvider(settings: GoogleSettings, dependencies: AiSdkDependencies): ModelProvider {
  const baseURL = versioned(settings.baseUrl ?? GOOGLE_URL);
  const headers = { ...settings.headers };
  return aiSdkProvider(
    {
      name: "google",
      model: async (model, fetch) => {
        const { createGoogleGenerativeAI } = await import("@ai-sdk/google");
        return createGoogleGenerativeAI({ apiKey: settings.apiKey, baseURL, headers, fetch })(model);
      },
      observe: observeGoogle,
      flagsToolErrors: true,
      list: {
        url: `${baseURL}/models?pageSize=1000`,
        headers: { ...headers, "x-goog-api-key": settings.apiKey },
        names: (body) => idsOf(body.models, "name").map((name) => name.replace(/^models\//, "")),
      },
      secrets: [settings.apiKey],
    },
    dependencies,
  );
}

function versioned(url: string): string {
  const bare = url.replace(/\/+$/, "");
  return /\/v\d+[a-z]*\d*$/.test(bare) ? bare : `${bare}/v1beta`;
}
