import { describe, expect, test } from "vitest";
import { ManualClock } from "../../tests/support/manual-clock.ts";
import type { ModelProvider, ModelRequest, ModelResult } from "../contracts/model-provider.ts";
import { failure } from "../domain/errors.ts";
import { NO_USAGE } from "../domain/message.ts";
import { readTaskText } from "../domain/task-text.ts";
import { createModelGateway } from "./gateway.ts";
import { createMediator } from "./mediator.ts";

const { signal } = new AbortController();
const TEXT = "please fix the login. When the password is empty it crashes, see src/login.ts. Run npm test";
const GOOD = {
  title: "Fix the crash of the login on an empty password",
  changes: ["Handle an empty password in the login"],
  context: ["It crashes when the password is empty"],
  acceptance: [],
  paths: ["src/login.ts", "src/invented.ts"],
  checks: ["npm test", "rm -rf /"],
};

type Says = string | ModelResult | "nothing";

function setUp(says: Says | readonly Says[], timeoutMs = 5_000) {
  const clock = new ManualClock();
  const asked: ModelRequest[] = [];
  const local: ModelProvider = {
    name: "ollama",
    generate: (request, options) => {
      const said = Array.isArray(says) ? (says[asked.length] ?? says.at(-1)) : says;
      asked.push(request);
      if (said === "nothing") {
        return new Promise((resolve) => {
          const end = () => resolve({ ok: false, failure: failure("canceled", "aborted") });
          options.signal.addEventListener("abort", end);
        });
      }
      if (typeof said !== "string") return Promise.resolve(said as ModelResult);
      const usage = { ...NO_USAGE, input: 10, output: 5 };
      const reply = { text: said, toolCalls: [], reasoning: "", finish: "stop" as const, usage };
      return Promise.resolve({ ok: true, reply: { ...reply, model: "q", firstTokenMs: 0, ms: 0 } });
    },
    health: async () => ({ status: "ok", detail: "" }),
    models: async () => [],
  };
  const gateway = createModelGateway({
    providers: [{ provider: local }],
    howToConfigure: "",
    clock,
    random: () => 0.5,
  });
  const mediator = createMediator({ gateway, clock, use: "ollama/q", timeoutMs });
  const readTask = (text = TEXT) => clock.run(mediator.readTask(text, { signal }));
  const summarise = (text: string, maxWords = 50) =>
    clock.run(mediator.summarise(text, { maxWords, signal }));
  return { mediator, clock, asked, readTask, summarise };
}

describe("readTask", () => {
  test("takes what the model makes of the words, and keeps the words", async () => {
    const { readTask, asked } = setUp(`\`\`\`json\n${JSON.stringify(GOOD)}\n\`\`\``);
    const read = await readTask();
    expect(read).toMatchObject({
      by: "model",
      model: "ollama/q",
      value: {
        id: "fix-the-crash-of-the-login-on-an-empty-p",
        title: GOOD.title,
        description: TEXT,
        changes: GOOD.changes,
        // What the text does not name was invented.
        hints: { paths: ["src/login.ts"], checks: ["npm test"] },
      },
      record: { stage: "summarise", usage: { input: 10 }, costMicros: 0 },
    });
    expect(read).not.toHaveProperty("reason");
    expect(asked[0]).toMatchObject({ temperature: 0, json: { type: "object" }, tools: [] });
  });

  test("asks once for the same text, and books the call once", async () => {
    const { readTask, asked } = setUp(JSON.stringify(GOOD));
    const first = await readTask();
    const again = await readTask();
    expect(asked).toHaveLength(1);
    expect(again.value).toEqual(first.value);
    expect(again).not.toHaveProperty("record");
  });

  test("shows the model a capped prompt, with the cut visible", async () => {
    const { readTask, asked } = setUp(JSON.stringify(GOOD));
    await readTask(`${TEXT} ${"and more ".repeat(3_000)}`);
    const [message] = asked[0]!.messages;
    const text = message?.role === "user" ? message.text : "";
    expect(text.length).toBeLessThan(12_300);
    expect(text).toContain("characters left out");
  });

  test.each<[string, Says, RegExp]>([
    ["says nothing", "nothing", /did not answer within 5/],
    [
      "is not there",
      { ok: false, failure: { ...failure("model_auth", "no key"), retryable: false } },
      /no key/,
    ],
    ["talks", "Sure! Here is your task.", /not the JSON/],
    ["answers another shape", '{"title": ["x"]}', /not the JSON/],
    ["leaves the title out", JSON.stringify({ ...GOOD, title: " " }), /not the JSON/],
    [
      "answers something else",
      JSON.stringify({ ...GOOD, title: "Buy milk", changes: ["Go shopping"] }),
      /something else/,
    ],
    ["invents wishes", JSON.stringify({ ...GOOD, changes: ["Delete everything"] }), /something else/],
  ])("rules read it when the model %s, and the answer says why", async (_, says, reason) => {
    const { readTask } = setUp(says);
    const read = await readTask();
    expect(read).toMatchObject({ by: "rules", model: "ollama/q", reason: expect.stringMatching(reason) });
    expect(read.value).toEqual(readTaskText(TEXT));
    expect(read.record?.attempts.length).toBeGreaterThan(0);
  });

  test("an answer that was cut off is none", async () => {
    const reply = { text: "{", toolCalls: [], reasoning: "", finish: "length" as const, model: "q" };
    const cut = {
      ok: true as const,
      reply: { ...reply, usage: { ...NO_USAGE, output: 9 }, firstTokenMs: 0, ms: 0 },
    };
    expect(await setUp(cut).readTask()).toMatchObject({
      by: "rules",
      reason: expect.stringMatching(/cut off/),
    });
  });

  test("a failure is not remembered: the next one is asked again", async () => {
    const { readTask, asked } = setUp(["no", JSON.stringify(GOOD)]);
    expect((await readTask()).by).toBe("rules");
    expect((await readTask()).by).toBe("model");
    expect(asked).toHaveLength(2);
  });

  test("is never longer than its time limit, and an abort ends it at once", async () => {
    const { clock, mediator } = setUp("nothing", 7_000);
    const started = clock.now();
    await clock.run(mediator.readTask(TEXT, { signal }));
    expect(clock.now() - started).toBe(7_000);
    const stop = new AbortController();
    const read = mediator.readTask(TEXT, { signal: stop.signal });
    stop.abort();
    expect(await read).toMatchObject({ by: "rules", reason: expect.stringMatching(/canceled/) });
    expect(clock.now() - started).toBe(7_000);
  });

  test("without a model nobody is asked", async () => {
    const { clock } = setUp("nothing");
    const call = () => Promise.reject(new Error("asked"));
    const mediator = createMediator({ gateway: { call }, clock, use: null, timeoutMs: 1 });
    expect(mediator.hasModel).toBe(false);
    expect(await mediator.readTask(TEXT, { signal })).toEqual({
      value: readTaskText(TEXT),
      by: "rules",
      reason: "no mediator model is configured",
    });
  });
});

describe("summarise", () => {
  const long = `The build failed.\n${"compiling module\n".repeat(200)}error: missing semicolon\ndone`;

  test("takes the model's words", async () => {
    const { summarise, asked } = setUp(" The build failed: missing semicolon. ");
    const done = await summarise(long);
    expect(done).toMatchObject({ by: "model", value: "The build failed: missing semicolon." });
    expect(asked[0]?.system).toContain("At most 50 words");
  });

  test.each<[string, Says, RegExp]>([
    ["says nothing", "  ", /empty/],
    ["does not end", "the build failed ".repeat(400), /longer/],
    ["tells a story", "Once upon my time.", /something else/],
    ["is silent", "nothing", /within/],
  ])("rules do it when the model %s", async (_, says, reason) => {
    const done = await setUp(says).summarise(long);
    expect(done).toMatchObject({ by: "rules", reason: expect.stringMatching(reason) });
    expect(done.value).toContain("error: missing semicolon");
    expect(done.value.length).toBeLessThan(500);
  });
});
