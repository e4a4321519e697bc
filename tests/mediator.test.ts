import { afterAll, beforeAll, expect, test } from "vitest";
import { type FakeModels, startFakeModels } from "../src/adapters/models/fake-server/server.ts";
import { parseScript } from "../src/adapters/models/script/parse.ts";
import { createProvider, howToConfigure, providerSettingsFromEnv } from "../src/adapters/models/settings.ts";
import { createModelGateway } from "../src/gateway/gateway.ts";
import { createMediator } from "../src/gateway/mediator.ts";
import { realClock } from "./support/real-clock.ts";

const TEXT = "please fix the login in src/login.ts, it crashes on an empty password. Run npm test";
const READ = {
  title: "Fix the login on an empty password",
  changes: ["Fix the crash of the login"],
  context: [],
  acceptance: ["An empty password does not crash"],
  paths: ["src/login.ts"],
  checks: ["npm test"],
};

const scripts = [
  { name: "reader", turns: [{ times: "always", text: JSON.stringify(READ) }] },
  { name: "talker", turns: [{ times: "always", text: "Gladly! What is it about?" }] },
].map((script) => {
  const parsed = parseScript(JSON.stringify(script), `${script.name}.yaml`);
  if (!parsed.ok) throw new Error(parsed.failure.message);
  return parsed.value;
});

let fake: FakeModels;
beforeAll(async () => {
  fake = await startFakeModels({ scripts, clock: realClock });
});
afterAll(() => fake.close());

function mediatorWith(model: string, of: { readonly host?: string; readonly timeoutMs?: number } = {}) {
  const found = providerSettingsFromEnv({ OLLAMA_HOST: of.host ?? fake.url });
  const gateway = createModelGateway({
    providers: found.configured.map((settings) => ({
      provider: createProvider(settings, { clock: realClock }),
    })),
    howToConfigure: howToConfigure(found),
    clock: realClock,
    random: () => 0,
    policy: { maxAttempts: 2, backoff: { initialMs: 1, factor: 1, maxMs: 1 } },
  });
  const { timeoutMs = 20_000 } = of;
  return createMediator({ gateway, clock: realClock, use: `ollama/${model}`, timeoutMs });
}
const { signal } = new AbortController();

test("a local model reads a task over Ollama's own protocol, in JSON mode", async () => {
  const read = await mediatorWith("reader").readTask(TEXT, { signal });
  expect(read).toMatchObject({
    by: "model",
    model: "ollama/reader",
    value: { title: READ.title, acceptance: READ.acceptance, hints: { paths: ["src/login.ts"] } },
  });
  const sent = fake.journal.at(-1)!;
  expect(sent.path).toBe("/api/chat");
  expect(sent.body.format).toMatchObject({ required: expect.arrayContaining(["title", "changes"]) });
});

test.each([
  ["reader", "http://127.0.0.1:1", "could not be reached"],
  ["fault-hang", undefined, "did not answer within"],
  ["fault-truncated", undefined, "without an end marker"],
  ["fault-html", undefined, "not its protocol"],
  ["talker", undefined, "JSON"],
])("rules read it when %s at %s does not help, and it is said that %s", async (model, host, reason) => {
  const timeoutMs = model === "fault-hang" ? 200 : 20_000;
  const mediator = mediatorWith(model, { timeoutMs, ...(host === undefined ? {} : { host }) });
  const read = await mediator.readTask(TEXT, { signal });
  expect(read).toMatchObject({
    by: "rules",
    reason: expect.stringContaining(reason),
    value: { hints: { paths: ["src/login.ts"], checks: ["npm test"] } },
  });
});
