import { afterAll, beforeAll, expect, test } from "vitest";
import { type FakeModels, startFakeModels } from "../src/adapters/models/fake-server/server.ts";
import { parseScript } from "../src/adapters/models/script/parse.ts";
import { scriptedProvider } from "../src/adapters/models/scripted/provider.ts";
import { createProvider, howToConfigure, providerSettingsFromEnv } from "../src/adapters/models/settings.ts";
import type { GatewayRequest } from "../src/contracts/model-gateway.ts";
import { createModelGateway } from "../src/gateway/gateway.ts";
import { realClock } from "./support/real-clock.ts";

const script = parseScript(
  `
name: demo
turns:
  - fault: { kind: overloaded, times: 2 }
    text: Here I am.
  - fault: truncated
    text: And here.
`,
  "demo.yaml",
);
if (!script.ok) throw new Error(script.failure.message);

let fake: FakeModels;
beforeAll(async () => {
  fake = await startFakeModels({ scripts: [script.value], clock: realClock });
});
afterAll(() => fake.close());

/** As `app` puts it together. */
function house(env: Readonly<Record<string, string>>) {
  const found = providerSettingsFromEnv(env);
  const real = found.configured.map((settings) => ({
    provider: createProvider(settings, { clock: realClock }),
    ...(settings.defaultModel === undefined ? {} : { defaultModel: settings.defaultModel }),
  }));
  const scripted = scriptedProvider({ scripts: [script.ok ? script.value : never()], clock: realClock });
  return createModelGateway({
    providers: [...real, { provider: scripted, onlyWhenNamed: true }],
    howToConfigure: howToConfigure(found),
    clock: realClock,
    random: () => 0,
  });
}
function never(): never {
  throw new Error("unreachable");
}

const request: GatewayRequest = {
  system: "",
  messages: [{ role: "user", text: "hi" }],
  tools: [],
  maxOutputTokens: 100,
  stage: "execute",
};
const { signal } = new AbortController();

test.each(["anthropic", "google", "openai/demo", "ollama/demo", "scripted/demo"])(
  "from the environment to an answer of %s, past its faults",
  async (use) => {
    const gateway = house({
      ANTHROPIC_API_KEY: "k",
      ANTHROPIC_BASE_URL: fake.url,
      GEMINI_API_KEY: "k",
      GEMINI_BASE_URL: fake.url,
      OPENAI_BASE_URL: `${fake.url}/v1`,
      OLLAMA_HOST: fake.url,
    });
    // The server counts its faults by what it is sent, whoever sends it.
    const asked: GatewayRequest = { ...request, use, system: use };
    const first = await gateway.call(asked, { signal });
    expect(first).toMatchObject({ ok: true, reply: { text: "Here I am." } });
    expect(first.record.attempts.map((attempt) => attempt.code)).toEqual([
      "model_overloaded",
      "model_overloaded",
      "ok",
    ]);
    const messages: GatewayRequest["messages"] = [
      ...asked.messages,
      { role: "assistant", text: "Here I am.", toolCalls: [] },
      { role: "user", text: "still?" },
    ];
    const second = await gateway.call({ ...asked, messages }, { signal });
    expect(second).toMatchObject({ ok: true, reply: { text: "And here." } });
    expect(second.record.attempts.map((attempt) => attempt.code)).toEqual(["model_truncated", "ok"]);
  },
);

test("with nothing configured nothing is asked, and the failure says what to set", async () => {
  const result = await house({}).call(request, { signal });
  expect(result).toMatchObject({ ok: false, failure: { code: "model_unknown", retryable: false } });
  expect(!result.ok && result.failure.message).toContain(
    "set ANTHROPIC_API_KEY for anthropic, or GEMINI_API_KEY",
  );
});
