import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FakeModels, startFakeModels } from "../src/adapters/models/fake-server/server.ts";
import { parseScript } from "../src/adapters/models/script/parse.ts";
import { readConfig } from "../src/app/config.ts";
import { createModels, modelSettings } from "../src/app/models.ts";
import type { GatewayRequest } from "../src/contracts/model-gateway.ts";
import { createRedactor } from "../src/domain/redact.ts";
import { realClock } from "./support/real-clock.ts";

const script = parseScript("name: demo\nturns: [{ times: always, text: Here I am. }]", "demo.yaml");
if (!script.ok) throw new Error(script.failure.message);

const folder = mkdtempSync(join(tmpdir(), "agent-runner-models-"));
const file = join(folder, "models.yaml");
let fake: FakeModels;
beforeAll(async () => {
  fake = await startFakeModels({ scripts: [script.value], clock: realClock });
});
afterAll(async () => {
  await fake.close();
  rmSync(folder, { recursive: true, force: true });
});

const parts = { clock: realClock, random: () => 0.5, providers: [], redactor: createRedactor([]) };
const request: GatewayRequest = {
  system: "",
  messages: [{ role: "user", text: "hi" }],
  tools: [],
  maxOutputTokens: 100,
  stage: "execute",
};
const { signal } = new AbortController();

function configOf(env: Readonly<Record<string, string>> = {}) {
  const config = readConfig({ AGENT_RUNNER_MODELS: file, ACME_API_KEY: "key-of-acme", ...env });
  if (!config.ok) throw new Error(config.failure.message);
  return config.value;
}
const acme = () => `providers:
  acme: { base_url: "${fake.url}/v1", api_key_env: ACME_API_KEY, default_model: demo, region: eu }
`;

test("a new provider is one entry of a file: it answers, with its own price", async () => {
  writeFileSync(
    file,
    `${acme()}models:\n  acme/demo: { price: { input: 1000, output: 2000 }, context_tokens: 9000 }\n`,
  );
  const gateway = await createModels(configOf(), parts);
  const done = await gateway.call(request, { signal });
  expect(done).toMatchObject({ ok: true, reply: { text: "Here I am." }, record: { provider: "acme" } });
  const { input, output } = done.record.usage;
  expect(done.record.costMicros).toBe(input * 1_000 + output * 2_000);
  expect(gateway.models().find(({ model }) => model === "demo")).toMatchObject({
    provider: "acme",
    contextTokens: 9_000,
    available: true,
  });
});

test("the window of an Ollama model is asked of its server as it stands in the file", async () => {
  writeFileSync(
    file,
    "models:\n  ollama/demo: { context_tokens: 9000 }\n  ollama/*: { context_tokens: 5000 }\n",
  );
  const gateway = await createModels(configOf({ OLLAMA_HOST: fake.url }), parts);
  const sent = async (use: string) => {
    expect(await gateway.call({ ...request, use }, { signal })).toMatchObject({ ok: true });
    return fake.journal.at(-1)?.body;
  };
  expect(await sent("ollama/demo")).toMatchObject({ model: "demo", options: { num_ctx: 9_000 } });
  expect(await sent("ollama/other")).toMatchObject({ model: "other", options: { num_ctx: 5_000 } });
  writeFileSync(file, "models: {}\n");
  await modelSettings(gateway, parts)
    .prepare(configOf({ OLLAMA_HOST: fake.url }))
    .then((prepared) => prepared.ok && prepared.value());
  expect(await sent("ollama/demo")).toMatchObject({ options: { num_ctx: 16_384 } });
});

test("a reload takes new rules, and keeps the old ones where the file is wrong", async () => {
  writeFileSync(file, acme());
  const gateway = await createModels(configOf(), parts);
  const settings = modelSettings(gateway, parts);
  const reload = async (source: string, env?: Record<string, string>) => {
    writeFileSync(file, source);
    const prepared = await settings.prepare(configOf(env));
    if (prepared.ok) prepared.value();
    return prepared.ok ? "taken" : prepared.failure.message;
  };
  const ask = async () => {
    const done = await gateway.call(request, { signal });
    return done.ok ? done.reply.text : done.failure.message;
  };
  expect(await ask()).toBe("Here I am.");
  expect(await reload(`${acme()}routing: { regions: [us] }\n`)).toBe("taken");
  expect(await ask()).toContain("region eu, us needed");
  expect(await reload(`${acme()}routing: { regions: [us }\n`)).toContain("models.yaml:3:");
  expect(await ask()).toContain("region eu, us needed");
  // The environment is nearer than the file.
  expect(await reload(`${acme()}routing: { regions: [us] }\n`, { AGENT_RUNNER_MODEL_REGIONS: "eu" })).toBe(
    "taken",
  );
  expect(await ask()).toBe("Here I am.");
  expect(await reload(`${acme()}routing: { deny: ["acme/*"] }\n`)).toBe("taken");
  expect(await ask()).toContain('denied by "acme/*"');
  expect(settings.settings).toContain("AGENT_RUNNER_MODELS");
  rmSync(file);
  const gone = await settings.prepare(configOf());
  expect(!gone.ok && gone.failure.message).toContain("cannot be read");
});
