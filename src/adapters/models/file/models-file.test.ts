import { describe, expect, test } from "vitest";
import { parseModelsFile } from "./models-file.ts";

const read = (source: string, env: Record<string, string> = {}) =>
  parseModelsFile(source, { file: "models.yaml", env });
const said = (source: string, env?: Record<string, string>) => {
  const parsed = read(source, env);
  return parsed.ok ? "it is right" : `${parsed.failure.code} ${parsed.failure.message}`;
};

const WHOLE = `
default: openrouter/qwen3-coder, anthropic/claude-sonnet-5
stages: { summarise: ollama/qwen3:8b }
routing:
  policy: { quality: 1, latency: 2, cost: 0.5 }
  explore: 0.05
  allow: [openrouter/*, anthropic/*]
  deny: [anthropic/claude-opus-5]
  min_quality: 2
  unknown_price: deny
  hedge: true
  regions: [eu, us]
  after_content: continue
tenants:
  acme: { policy: cost-first, regions: [eu], min_quality: 3, allow: [openrouter/*], deny: [openrouter/x] }
providers:
  openrouter:
    kind: openai-compatible
    base_url: https://openrouter.ai/api/v1
    api_key_env: OPENROUTER_API_KEY
    default_model: qwen3-coder
    headers: { X-Title: mine }
    json_schema: false
    region: us
models:
  openrouter/qwen3-coder:
    tools: true
    json: false
    context_tokens: 262144
    quality: 3
    quality_by_stage: { summarise: 4 }
    slow_start: 30s
    price:
      input: 0.3
      output: 1.2
      cache_read: 0.03
      tiers:
        - { above_tokens: 200000, input: 0.6, output: 2.4 }
        - { above_tokens: 100000, input: 0.5, output: 2 }
  ollama/*: { price: free, region: local }
`;

describe("a models file", () => {
  test("is read whole", () => {
    const parsed = read(WHOLE, { OPENROUTER_API_KEY: " k " });
    expect(parsed.ok ? parsed.value : parsed.failure.message).toEqual({
      default: "openrouter/qwen3-coder, anthropic/claude-sonnet-5",
      stages: { summarise: "ollama/qwen3:8b" },
      routing: {
        policy: { quality: 1, latency: 2, cost: 0.5 },
        explore: 0.05,
        allow: ["openrouter/*", "anthropic/*"],
        deny: ["anthropic/claude-opus-5"],
        minQuality: 2,
        unknownPrice: "deny",
        hedge: true,
        regions: ["eu", "us"],
        afterContent: "continue",
      },
      tenants: {
        acme: {
          policy: "cost-first",
          regions: ["eu"],
          minQuality: 3,
          allow: ["openrouter/*"],
          deny: ["openrouter/x"],
        },
      },
      providers: [
        {
          kind: "openai-compatible",
          name: "openrouter",
          baseUrl: "https://openrouter.ai/api/v1",
          apiKey: "k",
          defaultModel: "qwen3-coder",
          headers: { "X-Title": "mine" },
          jsonSchema: false,
        },
      ],
      catalogue: {
        "openrouter/*": { region: "us" },
        "openrouter/qwen3-coder": {
          tools: true,
          json: false,
          contextTokens: 262_144,
          quality: 3,
          qualityByStage: { summarise: 4 },
          slowStartMs: 30_000,
          region: "us",
        },
        "ollama/*": { region: "local" },
      },
      prices: {
        "openrouter/qwen3-coder": {
          input: 300_000,
          cacheRead: 30_000,
          cacheWrite: 300_000,
          output: 1_200_000,
          tiers: [
            {
              aboveTokens: 100_000,
              input: 500_000,
              cacheRead: 500_000,
              cacheWrite: 500_000,
              output: 2_000_000,
            },
            {
              aboveTokens: 200_000,
              input: 600_000,
              cacheRead: 600_000,
              cacheWrite: 600_000,
              output: 2_400_000,
            },
          ],
        },
        "ollama/*": { input: 0, cacheRead: 0, cacheWrite: 0, output: 0 },
      },
    });
  });

  test("may be empty, or comments", () => {
    expect(said("")).toBe("it is right");
    expect(said("# nothing yet\n")).toBe("it is right");
  });

  test.each<[string, string]>([
    ["routing:\n  polcy: cost-first", '2:3: routing.polcy: unknown key "polcy"; did you mean "policy"?'],
    [
      "routing:\n  policy: fastest",
      "2:11: routing.policy: expected latency-first, quality-first, cost-first or weights",
    ],
    ["routing: { min_quality: 7 }", "1:25: routing.min_quality: expected a tier from 1"],
    ["routing: { allow: [anthropic] }", "1:20: routing.allow.0: expected a pattern"],
    ["default: claude", "1:10: default: expected provider/model"],
    ["stages:\n  plann: a/b", '2:3: stages.plann: unknown key "plann"; did you mean "plan"?'],
    ["providers:\n  x:\n    base_url: ftp://x", "3:15: providers.x.base_url: expected an http(s) URL"],
    ["providers:\n  x: {}", "2:6: providers.x.base_url:"],
    ["providers:\n  openai: { base_url: http://x/v1 }", '2:3: providers.openai: "openai" is built in'],
    ["providers:\n  My Own: { base_url: http://x/v1 }", "is no name of a provider"],
    [
      "providers:\n  x: { base_url: http://x/v1, api_key_env: X_KEY }",
      "2:44: providers.x.api_key_env: X_KEY is not set",
    ],
    ["providers:\n  x: { base_url: http://x/v1, api_key_env: sk-123 }", "expected the name of a variable"],
    ["models:\n  qwen: { quality: 1 }", '2:3: models.qwen: "qwen" names no model'],
    ["models:\n  a/b: { price: 3 }", "2:17: models.a/b.price: expected free, or {input, output}"],
    ["models:\n  a/b: { context_tokens: -1 }", "models.a/b.context_tokens"],
    ["models:\n  a/b: { slow_start: soon }", "expected a duration"],
    ["routing: [", "models.yaml:1:"],
    ["a: &a [*a, *a]", "models.yaml:1:"],
    ["- 1", "a models file is a map"],
    ["providers: { x: 1 }", "a provider is a map"],
  ])("%j is refused with its line and column", (source, expected) => {
    const message = said(source);
    expect(message).toContain("invalid_config models.yaml:");
    expect(message).toContain(expected);
  });

  test("is bounded", () => {
    expect(said(`# ${"x".repeat(300_000)}`)).toContain("more than 262144 bytes");
    const many = Array.from({ length: 60 }, (_, n) => `  p${n}: { base_url: http://x/v1 }`).join("\n");
    expect(said(`providers:\n${many}`)).toContain("there are more than 50");
  });
});
