import { describe, expect, it } from "vitest";
import type { Mediator } from "../../contracts/mediator.ts";
import type { CallRecord } from "../../contracts/model-gateway.ts";
import { readTaskText } from "../../domain/task-text.ts";
import { output, use, worldOf } from "./actions.suite.ts";
import { run, textOf } from "./agent-runs.suite.ts";
import { Journal } from "./harness.suite.ts";
import { finish } from "./world.suite.ts";

const TEXT = "fix the login, see src/login.ts";
const record = {
  provider: "ollama",
  model: "q",
  usage: { input: 9 },
  costMicros: 0,
} as unknown as CallRecord;

function mediatorOf(by: "model" | "rules"): Mediator & { readonly asked: string[] } {
  const asked: string[] = [];
  const about = { by, model: "ollama/q", record, ...(by === "rules" ? { reason: "too slow" } : {}) };
  return {
    asked,
    hasModel: true,
    readTask: async (text) => {
      asked.push(text);
      const value = { ...readTaskText(text), title: "A better title", acceptance: ["it works"] };
      return { value, ...about };
    },
    summarise: async (text) => {
      asked.push(text);
      return { value: "short", ...about };
    },
  };
}

describe("task", () => {
  it("is read by the mediator once, recorded with its call, and told", async () => {
    const mediator = mediatorOf("model");
    const world = worldOf({ plain: true, parts: { mediator } });
    const journal = new Journal();
    const read = output(await use("task", { task: TEXT }, { world, journal }));
    expect(read).toMatchObject({
      by: "model",
      model: "ollama/q",
      reason: null,
      task: { title: "A better title", description: TEXT, hints: { paths: ["src/login.ts"] } },
    });
    expect(output(await use("task", { task: TEXT }, { world, journal }))).toEqual(read);
    expect(mediator.asked).toEqual([TEXT]);
    const effect = journal.facts.find((fact) => fact.kind === "effect_recorded");
    expect(effect).toMatchObject({ result: { value: { record: { usage: { input: 9 } } } } });
    expect(journal.notes("task_read")).toEqual([
      { attempt: 1, by: "model", model: "ollama/q", reason: null },
    ]);
  });

  it("is read by rules without a mediator, and a TaskSpec is passed on", async () => {
    const read = output(await use("task", { task: TEXT }));
    expect(read).toMatchObject({
      by: "rules",
      model: null,
      reason: "no mediator model is configured",
      task: { title: "Fix the login, see src/login.ts" },
    });
    const given = output(await use("task", { task: { title: "Mine", changes: ["a"] } }));
    expect(given).toMatchObject({ by: "given", task: { title: "Mine", changes: ["a"], context: [] } });
  });
});

describe("summarise", () => {
  const long = `start\n${"working\n".repeat(500)}it failed\nend`;

  it("is written by the mediator once, by rules without one, and says which", async () => {
    const mediator = mediatorOf("rules");
    const world = worldOf({ plain: true, parts: { mediator } });
    const journal = new Journal();
    const done = { text: "short", by: "rules", model: "ollama/q", reason: "too slow" };
    expect(output(await use("summarise", { text: long }, { world, journal }))).toEqual(done);
    expect(output(await use("summarise", { text: long }, { world, journal }))).toEqual(done);
    expect(mediator.asked).toHaveLength(1);
    const alone = output(await use("summarise", { text: long, max_words: 10 }));
    expect(alone).toMatchObject({ by: "rules", reason: "no mediator model is configured" });
    expect(alone.text).toContain("it failed");
  });
});

describe("an agent", () => {
  it("works on the task as the model read it, and on the words themselves when only rules did", async () => {
    for (const by of ["model", "rules"] as const) {
      const mediator = mediatorOf(by);
      const options = { script: [finish("nothing_to_do")], parts: { mediator } };
      const { world, journal, ended } = await run(options, { input: { task: TEXT } });
      expect(ended.ok).toBe(true);
      const opening = textOf(world.gateway.requests[0]?.messages[0]);
      expect(opening.includes("# Task: A better title"), by).toBe(by === "model");
      expect(opening.includes("## Accepted when\n- it works"), by).toBe(by === "model");
      expect(opening).toContain(TEXT);
      expect(journal.notes("task_read")).toMatchObject([{ by }]);
    }
  });
});
