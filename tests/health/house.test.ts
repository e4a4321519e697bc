import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type FakeModels, startFakeModels } from "../../src/adapters/models/fake-server/server.ts";
import { parseScript } from "../../src/adapters/models/script/parse.ts";
import { compose } from "../../src/app/compose.ts";
import { readConfig } from "../../src/app/config.ts";
import type { House } from "../../src/app/house.ts";
import type { GatewayRequest } from "../../src/contracts/model-gateway.ts";
import { until } from "../support/until.ts";

const script = parseScript("name: first\nturns: [{ text: Here. }]\n", "first.yaml");
let fake: FakeModels;
let folder: string;
const houses: House[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "agent-runner-houses-"));
  fake = await startFakeModels({
    scripts: script.ok ? [script.value] : [],
    clock: { now: () => Date.now(), after: () => () => {} },
    behave: () => ({ fault: { kind: "auth" } }),
  });
});
afterAll(async () => {
  for (const house of houses) await house.close();
  await fake.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(env: Readonly<Record<string, string>>): Promise<House> {
  const config = readConfig({
    AGENT_RUNNER_DATA: folder,
    AGENT_RUNNER_LOG: "silent",
    AGENT_RUNNER_SHARED_HEALTH: "1",
    OPENAI_BASE_URL: `${fake.url}/v1`,
    OPENAI_API_KEY: "sk-one",
    ...env,
  });
  if (!config.ok) throw new Error(config.failure.message);
  const house = await compose(config.value);
  houses.push(house);
  return house;
}

const request: GatewayRequest = {
  use: "openai/first",
  stage: "execute",
  system: "",
  messages: [{ role: "user", text: "hi" }],
  tools: [],
  maxOutputTokens: 50,
};

function stateOf(house: House): readonly [string, boolean] {
  const found = house.gateway
    .models()
    .find(({ provider, model }) => `${provider}/${model}` === "openai/first");
  return [found?.health.state ?? "unused", (found?.health.from ?? null) !== null];
}

it("a house knows what another has found out, at once when it opens, and only of its own key", async () => {
  const [one, other] = [await open({}), await open({})];
  const result = await one.gateway.call(request, { signal: new AbortController().signal });
  expect(result).toMatchObject({ ok: false, failure: { code: "model_auth" } });
  expect(stateOf(one)).toEqual(["quarantined", false]);
  const heard = () => (stateOf(other)[0] === "quarantined" ? true : null);
  await until("the other house hears of it", heard, 30_000);
  const { signal } = new AbortController();
  const providers = await other.gateway.providers(signal);
  expect(providers.find(({ name }) => name === "openai")?.live).toMatchObject([
    { model: "first", state: "quarantined", from: expect.stringMatching(/^wrk_/), samples: 0 },
  ]);
  expect(stateOf(await open({}))).toEqual(["quarantined", true]);
  expect(stateOf(await open({ OPENAI_API_KEY: "sk-two" }))).toEqual(["unused", false]);
  expect(stateOf(await open({ AGENT_RUNNER_SHARED_HEALTH: "0" }))).toEqual(["unused", false]);
});
