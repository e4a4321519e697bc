import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { realClock } from "../../../tests/support/real-clock.ts";
import { createProvider, howToConfigure, providerSettingsFromEnv } from "./settings.ts";

describe("providerSettingsFromEnv", () => {
  test("nothing set configures nothing, and says what would", () => {
    const found = providerSettingsFromEnv({ ANTHROPIC_API_KEY: " ", PATH: "/bin" });
    expect(found.configured).toEqual([]);
    expect(found.problems).toEqual([]);
    expect(howToConfigure(found)).toBe(
      "set ANTHROPIC_API_KEY for anthropic, or GEMINI_API_KEY for google, " +
        "or OPENAI_API_KEY (or OPENAI_BASE_URL alone) for openai, or OLLAMA_HOST for ollama; docs/PROVIDERS.md says more",
    );
  });

  test("everything set configures everything", () => {
    const found = providerSettingsFromEnv({
      ANTHROPIC_API_KEY: "a",
      ANTHROPIC_BASE_URL: "http://127.0.0.1:1",
      GOOGLE_GENERATIVE_AI_API_KEY: "g",
      GOOGLE_GEMINI_BASE_URL: "http://127.0.0.1:2",
      OPENAI_API_KEY: "o",
      OLLAMA_HOST: "127.0.0.1:3",
    });
    expect(found.configured).toEqual([
      { kind: "anthropic", apiKey: "a", baseUrl: "http://127.0.0.1:1", defaultModel: "claude-sonnet-5" },
      { kind: "google", apiKey: "g", baseUrl: "http://127.0.0.1:2", defaultModel: "gemini-3.5-flash" },
      {
        kind: "openai-compatible",
        name: "openai",
        apiKey: "o",
        baseUrl: "https://api.openai.com/v1",
        defaultModel: "gpt-5.5",
      },
      { kind: "ollama", baseUrl: "http://127.0.0.1:3" },
    ]);
    const made = found.configured.map((settings) => createProvider(settings, { clock: realClock }).name);
    expect(made).toEqual(["anthropic", "google", "openai", "ollama"]);
  });

  test("GEMINI_API_KEY comes before the other name", () => {
    const both = { GEMINI_API_KEY: "one", GOOGLE_GENERATIVE_AI_API_KEY: "two" };
    expect(providerSettingsFromEnv(both).configured).toMatchObject([{ apiKey: "one" }]);
  });

  test("a compatible server may want no key, and its models are its own", () => {
    expect(providerSettingsFromEnv({ OPENAI_BASE_URL: "http://localhost:8000/v1" }).configured).toEqual([
      { kind: "openai-compatible", name: "openai", baseUrl: "http://localhost:8000/v1" },
    ]);
  });

  test.each([
    ["localhost", "http://localhost:11434"],
    ["127.0.0.1:9999", "http://127.0.0.1:9999"],
    [":9999", "http://127.0.0.1:9999"],
    ["0.0.0.0", "http://127.0.0.1:11434"],
    ["[::]:5", "http://127.0.0.1:5"],
    ["http://gpu.local:11434/", "http://gpu.local:11434"],
    ["https://ollama.example/proxy", "https://ollama.example/proxy"],
  ])("OLLAMA_HOST=%s is %s", (host, baseUrl) => {
    expect(providerSettingsFromEnv({ OLLAMA_HOST: host }).configured).toEqual([{ kind: "ollama", baseUrl }]);
  });

  test.each([
    ["OLLAMA_HOST", "http://"],
    ["OLLAMA_HOST", "ftp://x"],
    ["ANTHROPIC_BASE_URL", "not a url"],
    ["OPENAI_BASE_URL", "localhost:8000"],
  ])("%s=%s is a problem that is named", (name, value) => {
    const found = providerSettingsFromEnv({ [name]: value });
    expect(found.configured).toEqual([]);
    expect(found.problems).toMatchObject([{ code: "invalid_config" }]);
    expect(found.problems[0]!.message).toContain(`${name} is "${value}"`);
  });

  test("never throws", () => {
    const names = [
      "OLLAMA_HOST",
      "OPENAI_BASE_URL",
      "ANTHROPIC_BASE_URL",
      "GEMINI_API_KEY",
      "GEMINI_BASE_URL",
    ];
    const env = fc.dictionary(fc.constantFrom(...names), fc.oneof(fc.string(), fc.webUrl()));
    fc.assert(
      fc.property(env, (some) => {
        const found = providerSettingsFromEnv(some);
        for (const settings of found.configured) createProvider(settings, { clock: realClock });
        return found.configured.length + found.missing.length === 4;
      }),
    );
  });
});
