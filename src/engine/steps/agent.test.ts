import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../base/json.ts";
import type { Tool } from "../../contracts/tool.ts";
import { failureOf, lastShown, output, perform, run, textOf, worldOf } from "./agent-runs.suite.ts";
import { Journal } from "./harness.suite.ts";
import { agent, call, finish, type Script } from "./world.suite.ts";

const write = (content: string) => call("write", { path: "answer.txt", content });
const test = { test: "node test.js" };
const TEST_JS =
  'const a = require("fs").readFileSync("answer.txt", "utf8").trim();\nif (a !== "42") { console.log(`expected 42, got ${a}`); process.exit(1); }\n';
const gated = agent({ validation: { gates: true } });

describe("an agent that does its work", () => {
  it("writes, finishes, and is believed only by green gates", async () => {
    const script = [write("42\n"), finish("done", { answer: "The answer is 42." })];
    const { ended, world, journal } = await run({
      script,
      agents: [gated],
      files: { "test.js": TEST_JS },
      gates: () => test,
    });
    const out = output(ended);
    expect(out).toMatchObject({
      outcome: "done",
      summary: "It is done.",
      answer: "The answer is 42.",
      turns: 2,
      usage: { input: 20, cache_read: 10, cache_write: 0, output: 6, reasoning: 0 },
      cost_micros: 200,
      files_modified: ["answer.txt"],
      verdict: { passed: true, gates: [{ name: "test", passed: true, exit_code: 0 }] },
    });
    const changes = await world.parts.workspaces.changes(world.workspace, new AbortController().signal);
    expect(changes.ok && changes.value.treeHash).toBe((out.verdict as JsonObject).tree_hash);
    expect(world.gates.runs).toEqual(["test"]);
    expect(journal.notes("turn_finished")).toMatchObject([
      { turn: 1, calls: ["write"], cost_micros: 100 },
      { turn: 2, calls: ["finish"] },
    ]);
    expect(journal.notes("gate_finished")).toMatchObject([{ gate: "test", passed: true }]);
  });

  it("leaves a transcript of every turn, redacted", async () => {
    const { journal } = await run({
      script: [write("sesame\n"), finish()],
      agents: [agent({ validation: { gates: true } })],
      gates: () => ({ ok: "node -e 0" }),
      parts: { redact: (text) => text.replaceAll("sesame", "[redacted]") },
    });
    const text = journal.contents.get("transcript.jsonl") ?? "";
    const lines = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as JsonObject);
    expect(lines.map((line) => line.type)).toEqual([
      "opening",
      "reply",
      "results",
      "reply",
      "verdict",
      "results",
      "end",
    ]);
    expect(text).not.toContain("sesame");
    expect(text).toContain("[redacted]");
  });

  it("is told the task, where it is, what rules hold and what failed before", async () => {
    const { world } = await run(
      {
        script: [finish("nothing_to_do")],
        files: {
          "AGENTS.md": "Never use tabs.\n",
          "src/api/AGENTS.md": "Answer in JSON.\n",
          "src/api/a.ts": "",
        },
        agents: [agent({ limits: { contextTokens: 500 } })],
        parts: {
          contextMap: async ({ budgetTokens }) => `src/api/a.ts (${budgetTokens})`,
          pastFailures: async () => [{ run: "run_old", code: "gates_failed", message: "the linter was red" }],
        },
      },
      {
        input: {
          task: {
            id: "7",
            title: "Answer",
            description: "Make it 42.",
            changes: ["the answer"],
            context: ["a book"],
            acceptance: ["it is 42"],
            hints: { paths: ["src/api/*.ts"], checks: ["node test.js"] },
          },
        },
      },
    );
    const [request] = world.gateway.requests;
    const first = textOf(request?.messages[0]);
    for (const part of [
      "# Task: Answer",
      "Make it 42.",
      "- the answer",
      "- a book",
      "- it is 42",
      "- src/api/*.ts",
      "- node test.js",
      `working directory: ${world.root}`,
      "git branch: main",
      "programs: git, node",
      "(AGENTS.md), nearest wins\nNever use tabs.\n",
      "(src/api/AGENTS.md), nearest wins\nAnswer in JSON.\n",
      "src/api/a.ts (500)",
      "run_old (gates_failed): the linter was red",
      "0 of 20 turns",
    ]) {
      expect(first).toContain(part);
    }
    expect(request?.system).toMatch(
      /^agent: fixer\nstage: execute\n\nYou fix things\.\n\n# How you work here/,
    );
    expect(request?.tools.map((tool) => tool.name)).toEqual(["read", "write", "bash", "finish"]);
  });

  it("says nothing to do when there is nothing to do", async () => {
    const { ended } = await run({ script: [finish("nothing_to_do")] });
    expect(output(ended)).toMatchObject({ outcome: "nothing_to_do", files_modified: [], verdict: null });
  });

  it("may be an agent without tools and without a workspace: its text is its answer", async () => {
    const plain = agent({ tools: [], validation: { mayChangeNothing: true } });
    const { ended, world } = await run(
      { script: [{ text: "All is well.\nReally." }], agents: [plain] },
      { input: { workspace: null } },
    );
    expect(output(ended)).toMatchObject({
      outcome: "done",
      summary: "All is well.",
      answer: "All is well.\nReally.",
    });
    expect(world.gateway.requests).toHaveLength(1);
  });

  it("publishes what it says and what its commands print, live", async () => {
    const seen: string[] = [];
    await run(
      {
        script: [
          { text: "Looking.", calls: [{ name: "bash", input: { command: "echo live" } }] },
          finish("nothing_to_do"),
        ],
      },
      {
        life: { onPublish: (name, data) => seen.push(`${name}: ${String(data.text ?? data.phase).trim()}`) },
      },
    );
    expect(seen).toEqual(["progress: model", "delta: Looking.", "output: live", "progress: model"]);
  });
});

describe("a claim of success", () => {
  const base = { agents: [gated], files: { "test.js": TEST_JS }, gates: () => test };

  it("comes back with the exact output of a red gate, until it is repaired", async () => {
    const script = [write("41\n"), finish(), write("42\n"), finish()];
    const { ended, world } = await run({ ...base, script });
    expect(output(ended)).toMatchObject({ outcome: "done", turns: 4, verdict: { passed: true } });
    const told = world.gateway.requests[2]?.messages.at(-1);
    expect(told).toMatchObject({ role: "tool", results: [{ name: "finish", isError: true }] });
    expect(textOf(told)).toContain("## test: exit code 1\n$ node test.js\nexpected 42, got 41\n");
    expect(textOf(told)).toContain("2 more tries");
  });

  it("fails when the gates stay red after the last repair round, with the evidence", async () => {
    const script = [write("1"), finish(), write("2"), finish(), write("3"), finish()];
    const { ended, journal, world } = await run({ ...base, script });
    const failed = failureOf(ended);
    expect(failed).toMatchObject({
      code: "gates_failed",
      message: "still red after 2 repair rounds: test",
      details: {
        turns: 6,
        cost_micros: 600,
        verdict: { passed: false, gates: [{ name: "test", passed: false }] },
      },
    });
    expect(world.gates.runs).toEqual(["test", "test", "test"]);
    expect(JSON.parse(journal.contents.get("gates.json") ?? "")).toMatchObject({ passed: false });
    expect(journal.contents.get("transcript.jsonl")).toContain('"code":"gates_failed"');
  });

  it("is judged again when files changed after the gates were green", async () => {
    const short = agent({ validation: { gates: true, minChars: 5, mustMention: ["forty-two"] } });
    const script = [
      write("42\n"),
      finish("done", { answer: "It is 42." }),
      write("42\n\n"),
      finish("done", { answer: "It is forty-two." }),
    ];
    const { ended, world } = await run({ ...base, agents: [short], script });
    expect(output(ended)).toMatchObject({ outcome: "done", verdict: { passed: true } });
    expect(world.gates.runs).toEqual(["test"]);
    const twice: Script = [write("42\n"), { calls: [...(finish().calls ?? []), ...(finish().calls ?? [])] }];
    const again = await run({ ...base, script: twice });
    expect(output(again.ended).outcome).toBe("done");
    expect(again.world.gates.runs).toEqual(["test"]);
  });

  it("does not let a red gate that is not required stand in the way", async () => {
    const script = [write("42\n"), finish()];
    const { ended } = await run({
      ...base,
      script,
      gates: () => ({ ...test, "style?": "node -e process.exit(1)" }),
    });
    expect(output(ended).verdict).toMatchObject({
      passed: true,
      gates: [{ passed: true }, { passed: false }],
    });
  });

  it("is measured by the gates of the beginning, not by those the agent left over", async () => {
    let lines: Record<string, string> = test;
    const loosen: Tool = {
      name: "loosen",
      description: "",
      input: { type: "object" },
      effect: "pure",
      risk: "low",
      readOnly: false,
      execute: async () => {
        lines = {};
        return { isError: false, text: "no gates any more", changed: ["gates.yaml"] };
      },
    };
    const { ended, world } = await run({
      ...base,
      agents: [
        agent({ tools: ["write", "loosen"], limits: { repairRounds: 0 }, validation: { gates: true } }),
      ],
      tools: [loosen],
      script: [write("41"), call("loosen"), finish()],
      gates: () => lines,
    });
    expect(failureOf(ended).code).toBe("gates_failed");
    expect(world.gates.runs).toEqual(["test"]);
  });

  it("is measured from the first attempt of the step, also in the second", async () => {
    let lines: Record<string, string> = test;
    const world = worldOf({
      agents: [gated],
      files: { "test.js": TEST_JS },
      gates: () => lines,
      script: [
        write("41"),
        finish("cannot"),
        finish("nothing_to_do"),
        finish("nothing_to_do"),
        call("read", { path: "answer.txt" }),
        write("42"),
        finish(),
      ],
      scriptBy: "count",
    });
    const journal = new Journal();
    const first = await perform(world, journal);
    expect(failureOf(first).code).toBe("agent_gave_up");
    lines = {};
    const failure = { code: "agent_gave_up", message: "It is cannot.", retryable: true };
    journal.add({ kind: "step_retrying", step: "work", attempt: 1, failure, nextAt: 1 });
    const second = await perform(world, journal, { life: { attempt: 2 } });
    expect(output(second)).toMatchObject({
      outcome: "done",
      verdict: { passed: true, gates: [{ name: "test" }] },
    });
    expect(world.gates.runs).toEqual(["test", "test"]);
    const told = world.gateway.requests[2]?.messages[0];
    expect(textOf(told)).toContain("The one before failed (agent_gave_up: It is cannot.)");
  });

  it("judges again what a gate wrote, and claims only the settled tree", async () => {
    const format =
      "node -e \"const f=require('fs');f.writeFileSync('answer.txt',f.readFileSync('answer.txt','utf8').trim()+'\\n')\"";
    const { ended, world, journal } = await run({
      ...base,
      gates: () => ({ format, ...test }),
      script: [write("  42"), finish()],
    });
    const verdict = output(ended).verdict as JsonObject;
    expect(world.gates.runs).toEqual(["format", "test", "format", "test"]);
    expect(journal.notes("gates_wrote")).toHaveLength(1);
    const changes = await world.parts.workspaces.changes(world.workspace, new AbortController().signal);
    expect(changes.ok && changes.value.treeHash).toBe(verdict.tree_hash);
  });

  it("without gates must be checked by the agent itself, and is asked for that once", async () => {
    const { ended, world } = await run({ script: [write("42"), finish(), finish()] });
    expect(output(ended).outcome).toBe("done");
    expect(textOf(world.gateway.requests[2]?.messages.at(-1))).toContain("Read the task again");
    const checked = await run({ script: [write("42"), call("read", { path: "answer.txt" }), finish()] });
    expect(output(checked.ended).turns).toBe(3);
  });

  it("without any change is given back once, and is then what it is: nothing to do", async () => {
    const { ended, world } = await run({ script: [finish(), finish()] });
    expect(output(ended)).toMatchObject({ outcome: "nothing_to_do", turns: 2 });
    expect(textOf(lastShown(world).at(-1))).toContain("no file was changed");
    const reviewer = agent({ validation: { mayChangeNothing: true } });
    const review = await run({ script: [finish()], agents: [reviewer] });
    expect(output(review.ended)).toMatchObject({ outcome: "done", turns: 1 });
  });

  it("of nothing to do does not hide a change", async () => {
    const script = [
      write("42"),
      call("read", { path: "answer.txt" }),
      finish("nothing_to_do"),
      finish("nothing_to_do"),
    ];
    const { ended, world } = await run({ script });
    expect(textOf(lastShown(world).at(-1))).toContain("answer.txt");
    expect(output(ended)).toMatchObject({ outcome: "done", files_modified: ["answer.txt"] });
  });

  it("is not taken beside a call that failed", async () => {
    const both: Script = [
      { calls: [{ name: "read", input: { path: "nope" } }, ...(finish("nothing_to_do").calls ?? [])] },
      finish("nothing_to_do"),
    ];
    const { ended, world } = await run({ script: both });
    expect(output(ended).turns).toBe(2);
    expect(textOf(lastShown(world).at(-1))).toContain("another call of the same turn failed");
  });

  it("must say something, of a known kind", async () => {
    const script = [
      call("finish", "done"),
      call("finish", { outcome: "maybe" }),
      call("finish", { outcome: "done" }),
      finish("nothing_to_do"),
    ];
    const { ended, world } = await run({ script });
    expect(output(ended).turns).toBe(4);
    const told = lastShown(world)
      .filter((message) => message.role === "tool")
      .map(textOf);
    expect(told).toEqual([
      expect.stringContaining("one JSON object"),
      expect.stringContaining("one of done, nothing_to_do, cannot"),
      expect.stringContaining("`summary` must say"),
    ]);
  });

  it("with an answer that stays short fails in the end", async () => {
    const short = agent({ validation: { mayChangeNothing: true, minChars: 100 } });
    const { ended, world } = await run({ script: [finish(), finish(), finish()], agents: [short] });
    expect(failureOf(ended).code).toBe("agent_bad_answer");
    expect(textOf(lastShown(world).at(-1))).toContain("at least 100");
  });

  it("is none when the agent gives up: its reason is the failure", async () => {
    const { ended } = await run({ script: [finish("cannot", { summary: "There is no answer." })] });
    expect(failureOf(ended)).toMatchObject({ code: "agent_gave_up", message: "There is no answer." });
  });
});
