import { describe, expect, it } from "vitest";
import { isJsonObject, type Json } from "../../base/json.ts";
import type { Tool } from "../../contracts/tool.ts";
import { authorizeByRisk } from "../authorize.ts";
import { failureOf, lastShown, output, perform, run, textOf, worldOf } from "./agent-runs.suite.ts";
import { Journal, Rests } from "./harness.suite.ts";
import { agent, call, finish, type Script } from "./world.suite.ts";

describe("an agent that gets nowhere", () => {
  it("is warned, then stopped, when the same call gives the same result", async () => {
    const look = call("read", { path: "readme.md" });
    const { ended, world, journal } = await run({ script: [look, look, look, look, look] });
    expect(failureOf(ended)).toMatchObject({
      code: "agent_no_progress",
      details: { cause: { pattern: "repeated_result" } },
    });
    expect(world.gateway.requests).toHaveLength(4);
    expect(textOf(lastShown(world).at(-1))).toContain("running in circles");
    expect(journal.notes("agent_warned")).toMatchObject([{ limit: "progress", turn: 3 }]);
  });

  it("is stopped when the same call fails three times", async () => {
    const look = call("read", { path: "nope" });
    const { ended, world } = await run({ script: [look, look, look, look] });
    expect(failureOf(ended)).toMatchObject({ details: { cause: { pattern: "repeated_error" } } });
    expect(world.gateway.requests).toHaveLength(3);
  });

  it("is stopped when it only talks", async () => {
    const { ended, world } = await run({
      script: [{ text: "Hm." }, { text: "" }, { text: "Hm." }, { text: "Hm." }],
    });
    expect(failureOf(ended)).toMatchObject({ details: { cause: { pattern: "monologue" } } });
    expect(world.gateway.requests).toHaveLength(3);
    expect(textOf(lastShown(world).at(-1))).toContain("without calling a tool");
    expect(lastShown(world).some((message) => message.role === "assistant" && message.text === "")).toBe(
      false,
    );
  });

  it("is stopped when it goes back and forth", async () => {
    const [a, b] = [call("read", { path: "readme.md" }), call("bash", { command: "echo hi" })];
    const { ended, world } = await run({ script: [a, b, a, b, a, b, a] });
    expect(failureOf(ended)).toMatchObject({ details: { cause: { pattern: "alternating" } } });
    expect(world.gateway.requests).toHaveLength(6);
  });

  it("is stopped when its replies keep being cut off", async () => {
    const cut = { text: "so", finish: "length" as const, calls: [{ name: "write", input: '{"pa' }] };
    const { ended, world } = await run({ script: [cut, cut, cut, cut, cut] });
    expect(failureOf(ended)).toMatchObject({
      code: "agent_no_progress",
      message: expect.stringContaining("cut off"),
    });
    expect(world.gateway.requests).toHaveLength(4);
    expect(world.tools.log).toEqual([]);
    expect(lastShown(world).at(-1)).toMatchObject({
      role: "user",
      text: expect.stringContaining("1000 output tokens"),
    });
  });
});

describe("the limits of an agent", () => {
  const busy: Script = Array.from({ length: 30 }, (_, at) => call("bash", { command: `echo ${at}` }));

  it.each([
    ["turns", { turns: 5 }, "agent_step_limit", 5],
    ["tokens", { tokens: 50 }, "agent_token_limit", 3],
    ["cost", { costUsd: 0.0003 }, "agent_cost_limit", 3],
  ])("stop it at its %s, with a warning before", async (_name, limits, code, calls) => {
    const { ended, world, journal } = await run({ script: busy, agents: [agent({ limits })] });
    expect(failureOf(ended).code).toBe(code);
    expect(world.gateway.requests).toHaveLength(calls);
    if (calls === 5) expect(textOf(lastShown(world).at(-3))).toContain("[budget] 4 of 5 turns are used");
    if (calls === 5) expect(journal.notes("agent_warned")).toMatchObject([{ limit: "turns" }]);
  });

  it("stop a tool that outlives the working time", async () => {
    const { ended, journal } = await run({
      script: [call("bash", { command: "sleep 30" }), finish()],
      agents: [agent({ limits: { wallTimeMs: 300 } })],
    });
    expect(failureOf(ended).code).toBe("agent_time_limit");
    expect(journal.contents.get("transcript.jsonl")).toContain("working time of the agent is used up");
  });

  it("count what failed calls cost", async () => {
    const { ended } = await run({ script: [{ fails: "model_refused" }] });
    expect(failureOf(ended)).toMatchObject({
      code: "model_refused",
      details: { cost_micros: 100, turns: 1 },
    });
  });

  it("that cannot be kept are told: an unknown price is not a price of nothing", async () => {
    const { ended, journal } = await run({
      script: [call("bash", { command: "echo 1" }), finish("nothing_to_do")].map((line) => ({
        ...line,
        costMicros: null,
      })),
      agents: [agent({ limits: { costUsd: 1 } })],
    });
    expect(output(ended).cost_micros).toBeNull();
    expect(journal.notes("agent_warned")).toMatchObject([{ limit: "cost" }]);
  });
});

describe("tool calls", () => {
  it("that only read run side by side, others in order", async () => {
    let together = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    const slow: Tool = {
      name: "slow",
      description: "",
      input: { type: "object" },
      effect: "pure",
      risk: "low",
      readOnly: true,
      execute: async (input) => {
        together += 1;
        most = Math.max(most, together);
        if (together === 3) for (const go of waiting.splice(0)) go();
        else if (most < 3) await new Promise<void>((resolve) => waiting.push(resolve));
        together -= 1;
        return { isError: false, text: `slow ${isJsonObject(input) ? input.n : ""}` };
      },
    };
    const calls = [1, 2, 3].map((n) => ({ name: "slow", input: { n } as Json }));
    const { ended, world } = await run({
      agents: [agent({ tools: ["slow", "write"] })],
      tools: [slow],
      script: [
        { calls: [...calls, { name: "write", input: { path: "a", content: "1" } }] },
        finish(),
        finish(),
      ],
    });
    expect(output(ended).outcome).toBe("done");
    expect(most).toBe(3);
    const shown = world.gateway.requests[1]?.messages.at(-1);
    expect(shown?.role === "tool" && shown.results.map((result) => result.text)).toEqual([
      "slow 1",
      "slow 2",
      "slow 3",
      "wrote a",
    ]);
  });

  it("of unknown tools, or with arguments that are no object, are told how to do better", async () => {
    const { world } = await run({
      script: [
        {
          calls: [
            { name: "raed", input: {} },
            { name: "read", input: "{bad json" },
          ],
        },
        finish("nothing_to_do"),
      ],
    });
    const shown = world.gateway.requests[1]?.messages.at(-1);
    expect(shown).toMatchObject({ results: [{ isError: true }, { isError: true }] });
    expect(textOf(shown)).toContain('no tool "raed". Did you mean "read"?');
    expect(textOf(shown)).toContain('must be one JSON object, but were: "{bad json"');
  });

  it("that policy denies are not carried out, and the model is told why", async () => {
    const { world, journal } = await run({
      script: [call("bash", { command: "echo x > made" }), finish("nothing_to_do")],
      parts: { authorize: authorizeByRisk({ allowUpTo: "low", above: "deny", askTimeoutMs: 1 }) },
    });
    expect(textOf(world.gateway.requests[1]?.messages.at(-1))).toContain("only low risk is allowed");
    expect(world.tools.log).toEqual([]);
    expect(journal.notes("call_refused")).toMatchObject([{ tool: "bash", turn: 1 }]);
  });

  it("that need a person wait for the answer, and do what it says", async () => {
    const ask = authorizeByRisk({ allowUpTo: "low", above: "ask", askTimeoutMs: 1_000 });
    const world = worldOf({
      script: [call("bash", { command: "echo done" }), finish("nothing_to_do")],
      parts: { authorize: ask },
    });
    const journal = new Journal();
    await expect(perform(world, journal)).rejects.toBeInstanceOf(Rests);
    expect(journal.asked).toEqual(["turn:1/tool/0/approval"]);
    expect(world.tools.log).toEqual([]);
    journal.answers.set("turn:1/tool/0/approval", { answer: "approved", by: "ann", comment: "" });
    expect(output(await perform(world, journal)).turns).toBe(2);
    expect(world.tools.log).toEqual(["bash echo done"]);
    expect(world.gateway.requests).toHaveLength(2);
    expect(journal.notes("turn_started")).toHaveLength(2);

    for (const [answer, told] of [
      ["denied", "ann denied it: not today"],
      ["expired", "nobody answered in time"],
    ] as const) {
      const other = worldOf({
        script: [call("bash", { command: "echo x" }), finish("nothing_to_do")],
        parts: { authorize: ask },
      });
      const fresh = new Journal();
      fresh.answers.set("turn:1/tool/0/approval", { answer, by: "ann", comment: "not today" });
      await perform(other, fresh);
      expect(textOf(other.gateway.requests[1]?.messages.at(-1))).toContain(told);
      expect(other.tools.log).toEqual([]);
    }
  });

  it("with too much output are cut in the middle, and say so; a tool that throws is an error", async () => {
    const loud: Tool = {
      name: "loud",
      description: "",
      input: { type: "object" },
      effect: "pure",
      risk: "low",
      readOnly: true,
      execute: async (input) => {
        if (isJsonObject(input) && input.crash === true) throw new Error("a bug");
        return { isError: false, text: "x".repeat(40_000) };
      },
    };
    const { world } = await run({
      agents: [agent({ tools: ["loud"] })],
      tools: [loud],
      script: [
        {
          calls: [
            { name: "loud", input: {} },
            { name: "loud", input: { crash: true } },
          ],
        },
        finish("nothing_to_do"),
      ],
    });
    const text = textOf(world.gateway.requests[1]?.messages.at(-1));
    expect(text).toContain("[24000 characters left out]");
    expect(text).toContain("ask for less");
    expect(text).toContain("the tool crashed: a bug");
  });

  it("under way are killed when the run is canceled, and nothing is recorded of them", async () => {
    const controller = new AbortController();
    const world = worldOf({
      script: [call("bash", { command: "echo begun; sleep 30; echo ended" }), finish()],
    });
    const journal = new Journal();
    const began = Date.now();
    const life = {
      signal: controller.signal,
      onPublish: (name: string) => {
        if (name === "output") controller.abort();
      },
    };
    const ended = perform(world, journal, { life });
    await expect(ended).resolves.toMatchObject({ ok: false, failure: { code: "canceled" } });
    expect(Date.now() - began).toBeLessThan(10_000);
    expect(journal.effects.get("1/turn:1/tool/0")?.result ?? null).toBeNull();
    expect(journal.contents.size).toBe(0);
  });
});

describe("a history that grows too large", () => {
  const RULES = "Rule 1: never   touch dist/.\n\tRule 2: tabs stay tabs.\n";
  const loudly = (at: number) =>
    call("bash", { command: `node -e "console.log('line ${at} '.repeat(300))"` });

  it("is compacted: a summary, the rules and the task word for word, and the latest turns", async () => {
    const many: Script = [...Array.from({ length: 12 }, (_, at) => loudly(at))];
    let turns = 0;
    const byKind: Script = Array.from({ length: 60 }, () => (request) => {
      if (request.stage === "summarise") return { text: "SUMMARY OF THE WORK" };
      const line = many[turns];
      turns += 1;
      return typeof line === "object" ? line : finish("nothing_to_do");
    });
    const { ended, world, journal } = await run({
      agents: [agent({ limits: { compactAtTokens: 6_000 } })],
      files: { "AGENTS.md": RULES },
      script: byKind,
      scriptBy: "count",
    });
    expect(output(ended)).toMatchObject({ outcome: "nothing_to_do", turns: 13 });
    expect(journal.notes("context_compacted").length).toBeGreaterThanOrEqual(1);
    const after = world.gateway.requests.filter((request) =>
      textOf(request.messages[0]).includes("SUMMARY OF THE WORK"),
    );
    expect(after.length).toBeGreaterThan(1);
    for (const request of after) {
      const first = textOf(request.messages[0]);
      if (request.stage === "summarise") continue;
      expect(first).toContain(RULES);
      expect(first).toContain("# Task: Make the answer 42.");
      expect(first).toMatch(/## Budget\nUsed so far: \d+ of 20 turns/);
      expect(request.messages[1]?.role).toBe("assistant");
    }
    const sizes = world.gateway.requests.map((request) => JSON.stringify(request.messages).length);
    expect(Math.max(...sizes)).toBeLessThan(40_000);
  });

  it("is compacted and asked once more when the model says that it is too large", async () => {
    const script: Script = [
      loudly(1),
      loudly(2),
      { fails: "model_context_overflow" },
      { text: "SHORT SUMMARY" },
      finish("nothing_to_do"),
    ];
    const { ended, world, journal } = await run({ script, scriptBy: "count" });
    expect(output(ended)).toMatchObject({ outcome: "nothing_to_do", turns: 3, cost_micros: 500 });
    expect(journal.notes("context_compacted")).toMatchObject([{ reason: "overflow" }]);
    expect(textOf(lastShown(world)[0])).toContain("SHORT SUMMARY");
    const always: Script = [
      loudly(1),
      ...Array.from({ length: 5 }, () => ({ fails: "model_context_overflow" as const })),
    ];
    const second = await run({ script: always, scriptBy: "count" });
    expect(failureOf(second.ended).code).toBe("model_context_overflow");
  });

  it("goes on with a plain list of what was done when no model sums it up", async () => {
    const script: Script = [
      loudly(1),
      loudly(2),
      { fails: "model_context_overflow" },
      { fails: "model_unavailable" },
      finish("nothing_to_do"),
    ];
    const { ended, world, journal } = await run({ script, scriptBy: "count" });
    expect(output(ended).outcome).toBe("nothing_to_do");
    expect(textOf(lastShown(world)[0])).toContain("[call] bash");
    expect(journal.notes("agent_warned")).toMatchObject([{ limit: "summary" }]);
  });
});

describe("an agent that cannot begin", () => {
  it.each([
    ["an unknown agent", { input: { agent: "fixr" } }, {}, "invalid_agent", 'did you mean "fixer"'],
    ["an unknown tool", {}, { agents: [agent({ tools: ["raed"] })] }, "invalid_agent", 'did you mean "read"'],
    ["an unknown model", { input: { use: "no/such" } }, {}, "model_unknown", "no such model"],
    ["a bad input", { input: { task: 7 } }, {}, "invalid_input", "task"],
    ["an unknown input", { input: { tsk: "x" } }, {}, "invalid_input", "tsk"],
  ])("fails for %s before any call", async (_name, more, options, code, text) => {
    const { ended, world } = await run({ script: [], ...options }, more);
    expect(failureOf(ended)).toMatchObject({ code, message: expect.stringContaining(text) });
    expect(world.gateway.requests).toHaveLength(0);
  });
});
