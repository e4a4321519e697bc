import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Json } from "../../base/json.ts";
import type { GateSpec, Gates } from "../../contracts/gates.ts";
import type { Tool } from "../../contracts/tool.ts";
import { ok } from "../../domain/errors.ts";
import { agentAction } from "./agent.ts";
import { act, Crash, contextOver, type Ended, Journal } from "./harness.suite.ts";
import { agent, finish, makeWorld, type Script, type World } from "./world.suite.ts";

/** How often the world outside saw a deed that must not happen twice. */
let deeds: string[] = [];

const once: Tool = {
  name: "deploy",
  description: "",
  input: { type: "object" },
  effect: "query",
  risk: "low",
  readOnly: false,
  execute: async () => {
    deeds.push("deployed");
    return { isError: false, text: "deployed" };
  },
  recover: async () => (deeds.length > 0 ? { isError: false, text: "deployed" } : null),
};

/** A gate that looks at the real file, in this process. */
const gates: Gates = {
  specs: async () => ok([gate]),
  run: async (_gate, { root }) => {
    const answer = readFileSync(join(root, "answer.txt"), "utf8").trim();
    const passed = answer === "42";
    const { name, required } = gate;
    const rest = { timedOut: false, ms: 1, findings: [], elidedBytes: 0 };
    return ok({
      ...rest,
      name,
      required,
      passed,
      command: "look",
      exitCode: passed ? 0 : 1,
      output: `got ${answer}`,
    });
  },
};
const gate: GateSpec = {
  name: "test",
  run: { shell: "look" },
  workdir: ".",
  timeoutMs: 1_000,
  required: true,
  origin: "configured",
};

const write = (content: string) => ({ name: "write", input: { path: "answer.txt", content } as Json });
const script: Script = [
  {
    calls: [
      { name: "read", input: { path: "readme.md" } },
      { name: "read", input: { path: "notes.md" } },
    ],
  },
  { text: "Writing.", calls: [write("41\n"), { name: "deploy", input: {} }] },
  finish(),
  { calls: [{ name: "read", input: { path: "answer.txt" } }, write("42\n")] },
  finish("done", { answer: "42" }),
];

const worlds: World[] = [];
afterAll(() => {
  for (const world of worlds) world.close();
});

function newWorld(): World {
  deeds = [];
  const world = makeWorld({
    script,
    tools: [once],
    files: { "notes.md": "notes\n" },
    plain: true,
    agents: [agent({ tools: ["read", "write", "deploy"], validation: { gates: true } })],
    // Told at the opening only: a resumed run must not ask again and hear something else.
    parts: { gates, programs: async () => [`program-${Math.random()}`] },
  });
  worlds.push(world);
  return world;
}

function live(world: World, journal: Journal, crashAt?: number) {
  const input = { agent: "fixer", task: "Make the answer 42.", workspace: world.wire };
  const context = contextOver(journal, crashAt === undefined ? {} : { crashAt });
  return { context, ended: act(agentAction(world.parts), input, context) };
}

/** What the model was shown at the end, without what differs between two repositories. */
function finalHistory(world: World): string {
  return JSON.stringify(world.gateway.requests.at(-1)?.messages.slice(1)).replaceAll(world.root, "ROOT");
}

function essence(ended: Ended) {
  if (!ended.ok) throw new Error(ended.failure.message);
  const { outcome, answer, turns, usage, cost_micros, files_modified } = ended.output;
  return { outcome, answer, turns, usage, cost_micros, files_modified };
}

describe("an agent whose process dies", () => {
  const world = newWorld();
  const journal = new Journal();
  const undisturbed = live(world, journal);

  it("goes on from every boundary to the same end, and repeats nothing that is recorded", async () => {
    const expected = essence(await undisturbed.ended);
    const history = finalHistory(world);
    const boundaries = undisturbed.context.boundaries();
    expect(expected).toMatchObject({ outcome: "done", turns: 5 });
    expect(boundaries).toBeGreaterThan(60);
    expect(deeds).toEqual(["deployed"]);

    for (let crashAt = 1; crashAt <= boundaries; crashAt += 1) {
      const again = newWorld();
      const survives = new Journal();
      await expect(live(again, survives, crashAt).ended, `crash at ${crashAt}`).rejects.toBeInstanceOf(Crash);
      const recorded = [...survives.effects]
        .filter(([, effect]) => effect.result !== null)
        .map(([key]) => key);
      const before = survives.performed.length;
      const resumed = live(again, survives);
      expect(essence(await resumed.ended), `crash at ${crashAt}`).toEqual(expected);
      expect(finalHistory(again), `crash at ${crashAt}`).toBe(history);
      const repeated = survives.performed.slice(before).filter((key) => recorded.includes(`1/${key}`));
      expect(repeated, `crash at ${crashAt}`).toEqual([]);
      expect(deeds, `crash at ${crashAt}`).toEqual(["deployed"]);
      const turns = survives.notes("turn_finished").map((note) => note.turn);
      expect(turns, `crash at ${crashAt}`).toEqual([1, 2, 3, 4, 5]);
      again.close();
    }
  }, 120_000);

  it("is replayed from a whole journal without touching anything", async () => {
    await undisturbed.ended;
    const requests = world.gateway.requests.length;
    const performed = journal.performed.length;
    const facts = journal.facts.filter((fact) => fact.kind === "noted").length;
    expect(essence(await live(world, journal).ended)).toMatchObject({ outcome: "done" });
    expect(world.gateway.requests).toHaveLength(requests);
    expect(journal.performed).toHaveLength(performed);
    expect(journal.facts.filter((fact) => fact.kind === "noted")).toHaveLength(facts);
  });

  it("writes each request down as hashes: the journal does not grow with the square of the turns", async () => {
    await undisturbed.ended;
    const sizes = journal.facts.map((fact) => JSON.stringify(fact).length);
    expect(Math.max(...sizes)).toBeLessThan(6_000);
  });
});
