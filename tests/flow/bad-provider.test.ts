import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FakeModels, startFakeModels } from "../../src/adapters/models/fake-server/server.ts";
import { parseScript } from "../../src/adapters/models/script/parse.ts";
import type { ErrorCode } from "../../src/domain/errors.ts";
import type { Runner } from "../../src/index.ts";
import { realClock } from "../support/real-clock.ts";
import { until } from "../support/until.ts";
import { ended, factsOf, git, Playground, run } from "./playground.ts";

const PROVIDERS = ["anthropic", "google", "openai", "ollama"] as const;

/** What becomes of a call whose provider always answers so: the code, and how often it was tried. */
const FAULTS: Readonly<Record<string, readonly [ErrorCode, number]>> = {
  auth: ["model_auth", 1],
  invalid_request: ["model_invalid_request", 1],
  context_overflow: ["model_context_overflow", 1],
  refused: ["model_refused", 1],
  unavailable: ["model_unavailable", 4],
  overloaded: ["model_overloaded", 4],
  rate_limited: ["model_rate_limited", 4],
  truncated: ["model_truncated", 4],
  reset: ["model_truncated", 4],
  empty: ["model_truncated", 4],
  no_usage: ["model_truncated", 4],
  error_mid: ["model_overloaded", 4],
  bad_reply: ["model_bad_reply", 4],
  html: ["model_bad_reply", 4],
};

const SCRIPT = `
name: demo
turns:
  - { text: Good morning!, times: always }
agents:
  # The provider fails before its first answers, which are nonsense for a while.
  implement:
    - fault: overloaded
      tool_calls:
        - { name: launch_missiles, input: { at: dawn } }
        - { name: read, input: { file: 7 } }
        - { name: write, input: { path: ../../outside.txt, content: x } }
    - fault: { kind: rate_limited, retry_after_ms: 5, times: 2 }
      expect: { tool_is_error: true }
      tool_calls: [{ name: write, input: { path: new.txt, content: "new\\n" } }]
    - tool_calls: [{ name: read, input: { path: new.txt } }]
    - tool_calls: [{ name: finish, input: { outcome: perhaps } }]
    - expect: { last_tool: finish, tool_result_contains: outcome }
      tool_calls: [{ name: finish, input: { outcome: done, summary: It is there. } }]
  analyze:
    - { text: Let me think about this some more., times: always }
  commit_message:
    - { text: "\`\`\`\\nsorry, I cannot\\n", times: always }
`;

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

const environment = (url: string) => ({
  ANTHROPIC_API_KEY: "sk-ant-not-a-real-key",
  ANTHROPIC_BASE_URL: url,
  GEMINI_API_KEY: "not-a-real-key-either",
  GEMINI_BASE_URL: url,
  OPENAI_BASE_URL: `${url}/v1`,
  OLLAMA_HOST: url,
});

describe("models that are down or talk nonsense, over the wire", () => {
  const play = new Playground();
  let fake: FakeModels;
  let runner: Runner;
  beforeAll(async () => {
    const script = parseScript(SCRIPT, "script.yaml");
    if (!script.ok) throw new Error(script.failure.message);
    fake = await startFakeModels({ scripts: [script.value], clock: realClock });
    runner = await play.runner({ env: environment(fake.url) });
    await runner.addWorkflow(`name: short
version: "1"
description: One call with little patience.
inputs: { use: { type: string, required: true } }
steps:
  - { id: call, uses: model, timeout: 500ms, with: { prompt: "Are you there?", use: "\${{ inputs.use }}" } }
`);
  });
  afterAll(async () => {
    await play.close();
    await fake.close();
  });

  it.concurrent.each(PROVIDERS)(
    "%s: every way of failing has its code, and is tried as often as it may help",
    async (name) => {
      const cases = Object.entries(FAULTS);
      const results = await Promise.all(
        cases.map(([fault]) => run(runner, "hello", { use: `${name}/fault-${fault}` })),
      );
      const told = results.map(({ summary }, index) => {
        const failure = summary.failure ?? { code: "none", details: null };
        const { record } = failure.details as { record: { attempts: readonly { code: string }[] } };
        const codes = new Set(record.attempts.map(({ code }) => code));
        expect([...codes]).toEqual([failure.code]);
        return [cases[index]?.[0], summary.status, failure.code, record.attempts.length];
      });
      expect(told).toEqual(cases.map(([fault, [code, tries]]) => [fault, "failed", code, tries]));
    },
  );

  it.concurrent.each(PROVIDERS)(
    "%s: where nobody listens the run fails by name, and a good one still works",
    async (name) => {
      const nobody = await play.runner({
        dataDir: play.path(`nobody-${name}`),
        env: environment(`http://127.0.0.1:${await closedPort()}`),
      });
      const done = await run(nobody, "hello", { use: `${name}/demo` });
      expect(done.summary).toMatchObject({ status: "failed", failure: { code: "model_unavailable" } });
      expect(done.summary.failure?.message).toContain("gave up after 4 attempts");
      expect(JSON.stringify(done.facts)).not.toContain("not-a-real-key");
      const good = await run(runner, "hello", { use: `${name}/demo` });
      expect(good.summary.output).toEqual({ greeting: "Good morning!" });
    },
  );

  it.concurrent.each(PROVIDERS)(
    "%s: silence ends with the step's timeout, and the call is hung up",
    async (name) => {
      const done = await run(runner, "short", { use: `${name}/fault-hang` });
      expect(done.summary).toMatchObject({ status: "failed", failure: { code: "step_timeout" } });
      await until("the call is hung up", () => {
        const calls = fake.journal.filter(({ fault, protocol }) => fault === "hang" && protocol === name);
        return calls.length > 0 && calls.every((call) => call.ended === "client_left") ? true : null;
      });
    },
  );

  it.concurrent("cancel hangs up on a model that says nothing", async () => {
    const { id } = await runner.start("hello", { use: "anthropic/fault-stall" });
    const call = await until("the call", () => fake.journal.find(({ fault }) => fault === "stall") ?? null);
    await runner.cancel(id);
    expect((await ended(runner, id)).summary.status).toBe("canceled");
    await until("it is hung up", () => (call.ended === "client_left" ? true : null));
  });

  it.concurrent("a model that fails, invents tools and leaves out arguments still gets the work done", async () => {
    const repo = await play.repository("repo", { "a.txt": "1\n" });
    const done = await run(runner, "code-change", { repo, task: "Add a file", use: "anthropic/demo" });
    expect(done.summary).toMatchObject({ status: "completed", output: { files: ["new.txt"] } });
    const results = factsOf(done.facts, "effect_recorded", "change").filter(({ key }) =>
      /turn:1\/tool/.test(key),
    );
    expect(results.length).toBeGreaterThan(0);
    const { commit } = done.summary.output as { commit: string };
    // The message that was none is replaced by one made by rule.
    expect(factsOf(done.facts, "noted", "commit").map(({ name }) => name)).toContain("message_fallback");
    expect(await git(repo, "log", "-1", "--format=%s", commit)).toMatch(/^feat: add a file$/);
    expect(JSON.stringify(done.facts)).not.toContain("not-a-real-key");
  });

  it.concurrent("a model that only talks is stopped", async () => {
    const repo = await play.repository("talk", { "a.txt": "1\n" });
    const done = await run(runner, "analyze", { repo, question: "What is this?", use: "openai/demo" });
    expect(done.summary).toMatchObject({ status: "failed", failure: { code: "agent_no_progress" } });
  });

  it.concurrent("a model that nobody configured is refused with what to set", async () => {
    const done = await run(runner, "hello", { use: "mistral/large" });
    expect(done.summary).toMatchObject({ status: "failed", failure: { code: "model_unknown" } });
    const bare = await play.runner({ dataDir: play.path("bare") });
    const none = await run(bare, "hello", {});
    expect(none.summary.failure?.code).toBe("model_unknown");
    expect(none.summary.failure?.message).toContain("ANTHROPIC_API_KEY");
  });
});
