import { expect, it } from "vitest";
import type { Tool } from "../../contracts/tool.ts";
import { lastShown, output, perform, textOf, worldOf } from "./agent-runs.suite.ts";
import { Crash, Journal } from "./harness.suite.ts";
import { agent, finish, type Script } from "./world.suite.ts";

const WORDS = "Use tabs, please.";

function reply(journal: Journal, id: string, text: string): void {
  if (journal.facts.some((fact) => fact.kind === "signal_received" && fact.id === id)) return;
  journal.add({ kind: "signal_received", id, name: "reply", body: { text }, from: "ada" });
}

/** A tool during which somebody says something. */
function disturbed(journal: Journal, say: () => void): Tool {
  return {
    name: "listen",
    description: "",
    input: { type: "object" },
    effect: "pure",
    risk: "low",
    readOnly: true,
    execute: async () => {
      if (journal.facts.length > 0) say();
      return { isError: false, text: "silence" };
    },
  };
}

const listen = { calls: [{ name: "listen", input: {} }] };

function listening(journal: Journal, script: Script) {
  const tools = [disturbed(journal, () => reply(journal, "r1", WORDS))];
  const fixer = agent({ tools: ["read", "write", "listen"], validation: { mayChangeNothing: true } });
  return worldOf({ script, tools, agents: [fixer], plain: true });
}

it("an agent at work hears what a person says before its next turn", async () => {
  const journal = new Journal();
  const world = listening(journal, [listen, finish("nothing_to_do", { answer: "fine" })]);
  output(await perform(world, journal));
  expect(textOf(lastShown(world).at(-1))).toContain(WORDS);
  expect(textOf(lastShown(world).at(-1))).toContain("ada");
  expect(journal.notes("reply_heard")).toMatchObject([{ turn: 2, id: "r1", from: "ada" }]);
});

it("an agent does not finish over words that it has not heard", async () => {
  const journal = new Journal();
  const both = { calls: [...listen.calls, ...(finish("nothing_to_do", { answer: "one" }).calls ?? [])] };
  const world = listening(journal, [both, finish("nothing_to_do", { answer: "two" })]);
  expect(output(await perform(world, journal))).toMatchObject({ answer: "two", turns: 2 });
  const [results, words] = lastShown(world).slice(-2);
  expect(textOf(results)).toContain("silence\nNot accepted yet: a person has said something");
  expect(textOf(words)).toContain(WORDS);
});

it("a resumed agent hears the same words at the same points", async () => {
  const script = [listen, listen, finish("nothing_to_do", { answer: "fine" })];
  const history = (world: ReturnType<typeof listening>) =>
    JSON.stringify(lastShown(world)).replaceAll(world.root, "ROOT");
  const calm = new Journal();
  const undisturbed = listening(calm, script);
  output(await perform(undisturbed, calm));
  let crashes = 0;
  for (let crashAt = 1; ; crashAt += 1) {
    const journal = new Journal();
    const world = listening(journal, script);
    const first = await perform(world, journal, { life: { crashAt } }).catch((error: unknown) => error);
    if (!(first instanceof Crash)) break;
    crashes += 1;
    output(await perform(world, journal));
    expect(history(world), `crash at ${crashAt}`).toBe(history(undisturbed));
    expect(journal.notes("reply_heard"), `crash at ${crashAt}`).toHaveLength(1);
  }
  expect(crashes).toBeGreaterThan(20);
});

it("words that come after a turn was recorded do not change that turn on resume", async () => {
  const done = finish("nothing_to_do", { answer: "fine" });
  const script = [listen, listen, done, done];
  let crashes = 0;
  for (let crashAt = 1; ; crashAt += 1) {
    const journal = new Journal();
    const world = listening(journal, script);
    const first = await perform(world, journal, { life: { crashAt } }).catch((error: unknown) => error);
    if (!(first instanceof Crash)) break;
    crashes += 1;
    const asked = world.gateway.requests.map((request) => JSON.stringify(request.messages));
    const recorded = journal.facts.filter(
      (fact) => fact.kind === "effect_recorded" && fact.key.endsWith("/model"),
    ).length;
    reply(journal, "r2", "Later words.");
    output(await perform(world, journal));
    const shown = lastShown(world).map(textOf);
    expect(
      shown.filter((text) => text.includes("Later words.")),
      `crash at ${crashAt}`,
    ).toHaveLength(1);
    const kept = JSON.stringify(lastShown(world)).slice(0, -1);
    const lastKept = asked[recorded - 1]?.slice(0, -1) ?? "";
    expect(kept.startsWith(lastKept), `crash at ${crashAt}`).toBe(true);
  }
  expect(crashes).toBeGreaterThan(20);
});
