import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../../../tests/support/manual-clock.ts";
import type { ModelRequest, ModelResult } from "../../../contracts/model-provider.ts";
import type { Message } from "../../../domain/message.ts";
import { parseScript } from "../script/parse.ts";
import { FAULT_KINDS } from "../script/schema.ts";
import { scriptedProvider } from "./provider.ts";

function load(yaml: string) {
  const script = parseScript(yaml, "test.yaml");
  if (!script.ok) throw new Error(script.failure.message);
  return script.value;
}

function play(yaml: string, clock = new ManualClock()) {
  const provider = scriptedProvider({ scripts: [load(yaml)], clock });
  const ask = (request: Partial<ModelRequest>, signal = new AbortController().signal) =>
    provider.generate(
      { model: "demo", system: "", messages: [user("go")], tools: [], maxOutputTokens: 100, ...request },
      { signal },
    );
  return { provider, ask, clock };
}

const user = (text: string): Message => ({ role: "user", text });
const said = (text: string): Message => ({ role: "assistant", text, toolCalls: [] });
const toolSaid = (name: string, text: string, isError = false): Message => ({
  role: "tool",
  results: [{ callId: "c", name, text, isError }],
});
const text = (result: ModelResult) => (result.ok ? result.reply.text : result.failure.message);

const AGENT = `
name: demo
turns:
  - when: { tool_is_error: true }
    times: always
    text: I will correct that.
  - text: Let me look.
    tool_calls: [{ name: read_file, input: { path: README.md } }]
  - expect: { tool_result_matches: 'version (?<version>\\d+)' }
    tool_calls:
      - name: write_file
        input: { path: V, lines: ["v\${capture.version}", "\${last_tool_result}", "\${HOME}"] }
  - text: Done.
`;

describe("turns", () => {
  test("are played in order, by what the history says", async () => {
    const { ask } = play(AGENT);
    const first = await ask({});
    expect(first).toMatchObject({
      ok: true,
      reply: {
        text: "Let me look.",
        finish: "tool_calls",
        toolCalls: [{ id: "call_1_1", name: "read_file", input: { path: "README.md" } }],
      },
    });
    const history = [user("go"), said("Let me look."), toolSaid("read_file", "version 7\n")];
    const second = await ask({ messages: history });
    expect(second).toMatchObject({
      reply: {
        toolCalls: [{ id: "call_2_1", input: { lines: ["v7", "version 7\n", "$".concat("{HOME}")] } }],
      },
    });
    const third = await ask({ messages: [...history, said(""), toolSaid("write_file", "ok")] });
    expect(third).toMatchObject({ reply: { text: "Done.", finish: "stop" } });
  });

  test("a guarded turn answers whenever it fits, and takes nothing from the others", async () => {
    const { ask } = play(AGENT);
    const failed = [user("go"), said("Let me look."), toolSaid("read_file", "no such file", true)];
    expect(text(await ask({ messages: failed }))).toBe("I will correct that.");
    const again = [...failed, said("I will correct that."), toolSaid("read_file", "version 1")];
    expect(await ask({ messages: again })).toMatchObject({ reply: { toolCalls: [{ name: "write_file" }] } });
  });

  test("an expectation that is not met says what was expected and what was sent", async () => {
    const { ask } = play(AGENT);
    const messages = [user("go"), said("Let me look."), toolSaid("read_file", "nothing here")];
    const result = await ask({ messages, system: "You are a tester." });
    expect(result).toMatchObject({ ok: false, failure: { code: "script_mismatch", retryable: false } });
    expect(text(result)).toMatch(
      /demo turn 3 expected tool_result_matches: .*it was sent a tool message of read_file/,
    );
  });

  test("the end of the script is an error that names what was sent", async () => {
    const { ask } = play("{ name: demo, turns: [{ text: hi }] }");
    const messages = [user("go"), said("hi"), user("and now\nthis")];
    const result = await ask({ messages, system: "\n  You plan." });
    expect(result).toMatchObject({ ok: false, failure: { code: "script_exhausted" } });
    expect(text(result)).toBe(
      'demo has no turn left that fits answer 2; it was sent a user message "and now\\nthis"; ' +
        'the system prompt starts "  You plan."',
    );
  });

  test("any process gives the same answer: nothing but the request and the script counts", async () => {
    const turns = fc.array(
      fc.record({
        text: fc.string(),
        times: fc.constantFrom(1, 2, "always" as const),
        when: fc.option(
          fc.record({ last_message_contains: fc.constantFrom("a", "b", "c") }, { requiredKeys: [] }),
          { nil: undefined },
        ),
      }),
      { minLength: 1, maxLength: 6 },
    );
    const heard = fc.array(fc.constantFrom("a", "b", "ab", "c", ""), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(turns, heard, async (script, inputs) => {
        const yaml = JSON.stringify({ name: "demo", turns: script });
        const longLived = play(yaml);
        let messages: Message[] = [];
        for (const input of inputs) {
          messages = [...messages, user(input)];
          const here = await longLived.ask({ messages });
          expect(await play(yaml).ask({ messages })).toEqual(here);
          expect(await longLived.ask({ messages })).toEqual(here);
          if (!here.ok) return;
          messages.push(said(here.reply.text));
        }
      }),
    );
  });

  test("no turn is played more often than it says", async () => {
    const { ask } = play("{ name: demo, turns: [{ text: a, times: 2 }, { text: b }] }");
    const messages: Message[] = [user("go")];
    const heard: string[] = [];
    for (let i = 0; i < 3; i += 1) {
      const answer = await ask({ messages });
      heard.push(text(answer));
      messages.push(said(text(answer)), user("next"));
    }
    expect(heard).toEqual(["a", "a", "b"]);
    expect(await ask({ messages })).toMatchObject({ failure: { code: "script_exhausted" } });
  });
});

describe("matchers", () => {
  const tool = [user("go"), said(""), toolSaid("bash", "exit 1\nbad", true)];
  test.each<[string, Partial<ModelRequest>, boolean]>([
    ["agent: reviewer", { system: "Be kind.\nagent: reviewer\n" }, true],
    ["agent: reviewer", { system: "the agent: reviewer is" }, false],
    ["stage: plan", { system: "Stage: plan" }, true],
    ["system_contains: [kind, fast]", { system: "kind and fast" }, true],
    ["system_contains: [kind, fast]", { system: "kind" }, false],
    ["system_matches: '^b'", { system: "a\nb" }, true],
    ["last_message_contains: now", { messages: [user("not"), said(""), user("now")] }, true],
    ["last_message_contains: not", { messages: [user("not"), said(""), user("now")] }, false],
    ["last_message_matches: 'n.w'", { messages: [user("now")] }, true],
    ["any_message_contains: not", { messages: [user("not"), said(""), user("now")] }, true],
    ["tool_result_contains: bad", { messages: tool }, true],
    ["tool_result_contains: go", { messages: [user("go")] }, false],
    ["tool_result_matches: 'exit (?<n>\\d)'", { messages: tool }, true],
    ["tool_is_error: true", { messages: tool }, true],
    ["tool_is_error: false", { messages: tool }, false],
    ["tool_is_error: false", { messages: [user("go")] }, false],
    ["last_tool: bash", { messages: tool }, true],
    ["last_tool: read", { messages: tool }, false],
    ["tools_include: bash", { tools: [{ name: "bash", description: "", input: {} }] }, true],
    ["tools_include: bash", {}, false],
    ["turn: 2", { messages: tool }, true],
    ["turn: 1", { messages: tool }, false],
    ["json: true", { json: { type: "object" } }, true],
    ["json: true", {}, false],
  ])("%s on %j: %s", async (matcher, request, fits) => {
    const { ask } = play(`
name: demo
turns:
  - when: { ${matcher} }
    times: always
    text: "yes"
  - times: always
    text: "no"
`);
    expect(text(await ask(request))).toBe(fits ? "yes" : "no");
  });
});

describe("agents", () => {
  const { ask } = play(`
name: demo
turns: [{ text: somebody }]
agents:
  implement: [{ text: by marker }]
  commit_message:
    match: { system_contains: commit message }
    turns: [{ text: by match }]
`);
  test.each<[string, Partial<ModelRequest>]>([
    ["by marker", { system: "You write code.\nagent: implement" }],
    ["by marker", { model: "demo/implement" }],
    ["by match", { system: "Write a commit message." }],
    ["somebody", { system: "Anything else." }],
  ])("%s", async (answer, request) => {
    expect(text(await ask(request))).toBe(answer);
  });

  test("an unknown agent or script is an unknown model, with the nearest name", async () => {
    expect(text(await ask({ model: "demo/implemnt" }))).toContain('did you mean "implement"?');
    expect(await ask({ model: "demu" })).toMatchObject({ failure: { code: "model_unknown" } });
    expect(text(await ask({ model: "demu" }))).toContain('Did you mean "scripted/demo"?');
  });

  test("without a fitting conversation the failure names the agents", async () => {
    const alone = play("{ name: demo, agents: { plan: [{ text: x }], review: [{ text: y }] } }");
    const result = await alone.ask({ system: "You do things." });
    expect(result).toMatchObject({ ok: false, failure: { code: "script_exhausted" } });
    expect(text(result)).toContain("(plan, review)");
  });
});

describe("faults", () => {
  test("happen once in front of an answer, then the answer comes", async () => {
    const { ask } = play(`
name: demo
turns:
  - fault: { kind: rate_limited, retry_after_ms: 1500 }
    text: at last
  - fault: { kind: overloaded, times: 2 }
    text: and again
`);
    expect(await ask({})).toEqual({
      ok: false,
      failure: {
        code: "model_rate_limited",
        message: 'demo turn 1 plays the fault "rate_limited"',
        retryable: true,
      },
      retryAfterMs: 1500,
    });
    expect(text(await ask({}))).toBe("at last");
    const messages = [user("go"), said("at last"), user("more")];
    const codes: string[] = [];
    for (let i = 0; i < 3; i += 1) {
      const result = await ask({ messages });
      codes.push(result.ok ? result.reply.text : result.failure.code);
    }
    expect(codes).toEqual(["model_overloaded", "model_overloaded", "and again"]);
  });

  test("stay where there is no answer behind them", async () => {
    const { ask } = play("{ name: demo, turns: [{ fault: auth }] }");
    for (let i = 0; i < 3; i += 1) expect(await ask({})).toMatchObject({ failure: { code: "model_auth" } });
  });

  test.each(FAULT_KINDS.filter((kind) => kind !== "hang"))("%s has its code", async (kind) => {
    const result = await play(`{ name: demo, turns: [{ fault: ${kind} }] }`).ask({});
    expect(!result.ok && result.failure.code).toMatch(/^model_/);
  });

  test("hang lasts until the call is aborted, and so does a delay", async () => {
    for (const turn of ["{ fault: hang }", "{ delay_ms: 60000, text: late }"]) {
      const { ask, clock } = play(`{ name: demo, turns: [${turn}] }`);
      const abort = new AbortController();
      const answer = ask({}, abort.signal);
      await clock.advance(1_000);
      abort.abort();
      expect(await answer).toMatchObject({ ok: false, failure: { code: "canceled" } });
      expect(clock.pending).toBe(0);
    }
  });
});

test("a delay is waited for on the clock, and the answer is spoken in pieces", async () => {
  const clock = new ManualClock();
  const script = load(
    `{ name: demo, turns: [{ delay_ms: 2500, reasoning: hm, text: "${"word ".repeat(20)}" }] }`,
  );
  const heard: string[] = [];
  const answer = scriptedProvider({ scripts: [script], clock }).generate(
    { model: "demo", system: "", messages: [user("go")], tools: [], maxOutputTokens: 9 },
    { signal: new AbortController().signal, onDelta: (delta) => heard.push(`${delta.kind}:${delta.text}`) },
  );
  const result = await clock.run(answer);
  expect(result).toMatchObject({ ok: true, reply: { firstTokenMs: 2500, ms: 2500, reasoning: "hm" } });
  expect(heard[0]).toBe("reasoning:hm");
  expect(heard.length).toBeGreaterThan(3);
  expect(
    heard
      .slice(1)
      .map((part) => part.slice("text:".length))
      .join(""),
  ).toBe("word ".repeat(20));
});

test("usage is estimated from the sizes unless the script says it", async () => {
  const { ask } = play(`
name: demo
turns:
  - text: "12345678"
  - text: x
    usage: { input: 1000, cache_read: 900, output: 3 }
`);
  expect(await ask({ system: "1234", messages: [user("12345")] })).toMatchObject({
    reply: { usage: { input: 3, cacheRead: 0, cacheWrite: 0, output: 2, reasoning: 0 } },
  });
  expect(await ask({ messages: [user("a"), said("b"), user("c")] })).toMatchObject({
    reply: { usage: { input: 1000, cacheRead: 900, cacheWrite: 0, output: 3, reasoning: 0 } },
  });
});

test("says whether it has a script to play", async () => {
  const { provider } = play("{ name: demo, turns: [{ text: hi }] }");
  const { signal } = new AbortController();
  expect(await provider.health(signal)).toEqual({ status: "ok", detail: "plays demo" });
  expect(await provider.models(signal)).toEqual(["demo"]);
  const none = scriptedProvider({ scripts: [], clock: new ManualClock() });
  expect(await none.health(signal)).toMatchObject({ status: "unconfigured" });
});
