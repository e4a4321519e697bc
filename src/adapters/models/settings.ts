import type { ModelProvider } from "../../contracts/model-provider.ts";
import { type Failure, failure } from "../../domain/errors.ts";
import type { AiSdkDependencies } from "./ai-sdk/provider.ts";
import { type AnthropicSettings, anthropicProvider } from "./anthropic/provider.ts";
import { type GoogleSettings, googleProvider } from "./google/provider.ts";
import { type OllamaSettings, ollamaProvider } from "./ollama/provider.ts";
import {
  OPENAI_URL,
  type OpenAiCompatibleSettings,
  openAiCompatibleProvider,
} from "./openai-compatible/provider.ts";

/** One provider as configured; `defaultModel` answers when a request names the provider alone, or nothing. */
export type ProviderSettings = { readonly defaultModel?: string } & (
  | ({ readonly kind: "anthropic" } & AnthropicSettings)
  | ({ readonly kind: "google" } & GoogleSettings)
  | ({ readonly kind: "ollama" } & OllamaSettings)
  | ({ readonly kind: "openai-compatible" } & OpenAiCompatibleSettings)
);

/** What the environment says about providers. */
export interface ProvidersInEnv {
  /** In order of preference. */
  readonly configured: readonly ProviderSettings[];
  /** Each that is not, and what would configure it. */
  readonly missing: readonly { readonly name: string; readonly set: string }[];
  /** Settings that are there but cannot be used: `invalid_config`. */
  readonly problems: readonly Failure[];
}

const DEFAULT_MODELS = {
  anthropic: "claude-sonnet-5",
  google: "gemini-3.5-flash",
  openai: "gpt-5.5",
} as const;

const OLLAMA_PORT = "11434";

type Env = Readonly<Record<string, string | undefined>>;

/** Which providers the standard environment variables configure. Pure: reads `env` alone and reaches for nothing. */
export function providerSettingsFromEnv(env: Env): ProvidersInEnv {
  const read = new Reader(env);
  const readers = [readAnthropic, readGoogle, readOpenAi, readOllama];
  const found = readers.map((one) => one(read));
  return {
    configured: found.flatMap((one) => ("settings" in one ? [one.settings] : [])),
    missing: found.flatMap((one) => ("set" in one ? [one] : [])),
    problems: read.problems,
  };
}

/** The sentence for people who have configured nothing. */
export function howToConfigure(found: ProvidersInEnv): string {
  const ways = found.missing.map((one) => `${one.set} for ${one.name}`);
  return `set ${ways.join(", or ")}; docs/PROVIDERS.md says more`;
}

export function createProvider(settings: ProviderSettings, dependencies: AiSdkDependencies): ModelProvider {
  switch (settings.kind) {
    case "anthropic":
      return anthropicProvider(settings, dependencies);
    case "google":
      return googleProvider(settings, dependencies);
    case "ollama":
      return ollamaProvider(settings, dependencies);
    case "openai-compatible":
      return openAiCompatibleProvider(settings, dependencies);
  }
}

type Found = { readonly settings: ProviderSettings } | { readonly name: string; readonly set: string };

class Reader {
  readonly problems: Failure[] = [];
  readonly #env: Env;

  constructor(env: Env) {
    this.#env = env;
  }

  /** The first of the variables that is set to something. */
  text(...names: readonly string[]): string | undefined {
    return names.map((name) => this.#env[name]?.trim()).find((value) => value !== undefined && value !== "");
  }

  url(...names: readonly string[]): { readonly baseUrl?: string } {
    const name = names.find((one) => this.text(one) !== undefined);
    const value = name === undefined ? undefined : this.text(name);
    if (name === undefined || value === undefined) return {};
    const url = URL.canParse(value) ? new URL(value) : null;
    if (url !== null && /^https?:$/.test(url.protocol)) return { baseUrl: value };
    this.problems.push(
      failure("invalid_config", `${name} is "${value}", which is not an http(s) URL; it was not used`),
    );
    return {};
  }
}

function readAnthropic(read: Reader): Found {
  const apiKey = read.text("ANTHROPIC_API_KEY");
  const baseUrl = read.url("ANTHROPIC_BASE_URL");
  if (apiKey === undefined) return { name: "anthropic", set: "ANTHROPIC_API_KEY" };
  return { settings: { kind: "anthropic", apiKey, ...baseUrl, defaultModel: DEFAULT_MODELS.anthropic } };
}

function readGoogle(read: Reader): Found {
  const apiKey = read.text("GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY");
  const baseUrl = read.url("GOOGLE_GEMINI_BASE_URL", "GEMINI_BASE_URL", "GOOGLE_GENERATIVE_AI_BASE_URL");
  if (apiKey === undefined) return { name: "google", set: "GEMINI_API_KEY" };
  return { settings: { kind: "google", apiKey, ...baseUrl, defaultModel: DEFAULT_MODELS.google } };
}

/** A base URL without a key is a server that wants none. */
function readOpenAi(read: Reader): Found {
  const apiKey = read.text("OPENAI_API_KEY");
  const { baseUrl } = read.url("OPENAI_BASE_URL");
  if (apiKey === undefined && baseUrl === undefined) {
    return { name: "openai", set: "OPENAI_API_KEY (or OPENAI_BASE_URL alone)" };
  }
  return {
    settings: {
      kind: "openai-compatible",
      name: "openai",
      baseUrl: baseUrl ?? OPENAI_URL,
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(baseUrl === undefined ? { defaultModel: DEFAULT_MODELS.openai } : {}),
    },
  };
}

/** Which models an Ollama server has is its own affair: none is the default. */
function readOllama(read: Reader): Found {
  const host = read.text("OLLAMA_HOST");
  if (host === undefined) return { name: "ollama", set: "OLLAMA_HOST" };
  const baseUrl = ollamaUrl(host);
  if (baseUrl !== null) return { settings: { kind: "ollama", baseUrl } };
  read.problems.push(
    failure("invalid_config", `OLLAMA_HOST is "${host}", which is neither a host nor a URL`),
  );
  return { name: "ollama", set: "OLLAMA_HOST" };
}

/** As Ollama reads it: scheme and port may be left out, and an address to listen on means this machine. */
function ollamaUrl(host: string): string | null {
  const scheme = /^[a-z]+:\/\//i.test(host);
  const whole = scheme ? host : `http://${host.startsWith(":") ? "127.0.0.1" : ""}${host}`;
  const url = URL.canParse(whole) ? new URL(whole) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) return null;
  if (url.hostname === "0.0.0.0" || url.hostname === "[::]") url.hostname = "127.0.0.1";
  if (url.port === "" && !scheme) url.port = OLLAMA_PORT;
  return url.href.replace(/\/$/, "");
}
