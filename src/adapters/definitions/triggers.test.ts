import { describe, expect, it } from "vitest";
import { createExpressions } from "../expressions/cel.ts";
import { builtInActions, TOOL_NAMES } from "./built-in.suite.ts";
import { createDefinitions } from "./definitions.ts";

const definitions = createDefinitions({
  actions: builtInActions(),
  expressions: createExpressions(),
  toolNames: TOOL_NAMES,
});
const HEAD = 'name: demo\nversion: "1"\ndescription: d\n';
const INPUTS = "inputs:\n  who: { type: string, required: true }\n  times: { type: integer, default: 1 }\n";
const STEPS = "steps:\n  - id: a\n    uses: noop\n";
const read = (on: string, inputs = "") =>
  definitions.parseWorkflow(`${HEAD}${inputs}${on}${STEPS}`, "w.yaml");

/** The first problem, with the text at its place. */
function wrong(on: string, inputs = "") {
  const parsed = read(on, inputs);
  if (parsed.ok) throw new Error("the workflow is accepted");
  const [first] = parsed.diagnostics;
  const line = `${HEAD}${inputs}${on}${STEPS}`.split("\n")[(first?.line ?? 1) - 1] ?? "";
  return { ...first, at: line.slice((first?.column ?? 1) - 1) };
}

describe("schedules of a workflow", () => {
  it("are read with their defaults", () => {
    const parsed = read('on:\n  schedule:\n    - cron: "0  3 * * *"\n');
    expect(parsed.ok && parsed.value.triggers).toEqual([
      { cron: "0 3 * * *", timezone: "UTC", catchUp: "last", jitterMs: 0, overlap: "skip", inputs: {} },
    ]);
  });

  it("are read in full", () => {
    const parsed = read(
      `on:
  schedule:
    - cron: "0 3 * * MON-FRI"
      timezone: Europe/Berlin
      catch_up: all
      jitter: 5m
      overlap: cancel_older
      inputs: { who: night }
    - cron: "0 3 * * *"
      inputs: { who: night, times: 2 }
`,
      INPUTS,
    );
    expect(parsed.ok && parsed.value.triggers).toEqual([
      {
        cron: "0 3 * * MON-FRI",
        timezone: "Europe/Berlin",
        catchUp: "all",
        jitterMs: 300_000,
        overlap: "cancel_older",
        inputs: { who: "night" },
      },
      expect.objectContaining({ inputs: { who: "night", times: 2 } }),
    ]);
  });

  it("belong to the hash, and a workflow without them has the hash that it had", () => {
    const hash = (on: string) => {
      const parsed = read(on);
      return parsed.ok ? parsed.value.hash : null;
    };
    expect(hash("on: {}\n")).toBe(hash(""));
    expect(hash("on: { schedule: [] }\n")).toBe(hash(""));
    expect(hash('on: { schedule: [{ cron: "0 3 * * *" }] }\n')).not.toBe(hash(""));
  });

  it.each([
    ["a bad minute", 'on:\n  schedule:\n    - cron: "61 3 * * *"\n', "on.schedule[0].cron", /minute/, '"61'],
    ["four fields", "on:\n  schedule:\n    - cron: 0 3 * *\n", "on.schedule[0].cron", /five fields/, "0 3"],
    [
      "no such day",
      "on:\n  schedule:\n    - cron: 0 3 31 2 *\n",
      "on.schedule[0].cron",
      /never comes/,
      "0 3",
    ],
    [
      "no zone",
      'on:\n  schedule:\n    - cron: "0 3 * * *"\n      timezone: Europe/Berln\n',
      "on.schedule[0].timezone",
      /no time zone/,
      "Europe/Berln",
    ],
    [
      "a jitter of days",
      'on:\n  schedule:\n    - cron: "0 3 * * *"\n      jitter: 2d\n',
      "on.schedule[0].jitter",
      /too long/,
      "2d",
    ],
    [
      "another word",
      'on:\n  schedule:\n    - cron: "0 3 * * *"\n      overlap: queue\n',
      "on.schedule[0].overlap",
      /./,
      "queue",
    ],
    ["another trigger", "on:\n  webhook: []\n", "on.webhook", /webhook/, "webhook"],
  ])("tell the place of %s", (_, on, path, message, at) => {
    const found = wrong(on);
    expect(found.path).toBe(path);
    expect(found.message).toMatch(message);
    expect(found.at.startsWith(at)).toBe(true);
  });

  it("suggest the zone that was meant", () => {
    const found = wrong('on:\n  schedule:\n    - cron: "0 3 * * *"\n      timezone: Europe/Berln\n');
    expect(found.suggestion).toBe("Europe/Berlin");
  });

  it("must give what the workflow needs, as nobody is there to be asked", () => {
    const missing = wrong('on:\n  schedule:\n    - cron: "0 3 * * *"\n', INPUTS);
    expect(missing).toMatchObject({ path: expect.stringMatching(/^on\.schedule\[0\]\.inputs/) });
    expect(missing.message).toMatch(/who/);
    const other = wrong(
      'on:\n  schedule:\n    - cron: "0 3 * * *"\n      inputs: { who: a, times: often }\n',
      INPUTS,
    );
    expect(other).toMatchObject({ path: "on.schedule[0].inputs.times" });
    expect(other.at.startsWith("often")).toBe(true);
  });

  it("are not given twice", () => {
    const found = wrong('on:\n  schedule:\n    - cron: "0 3 * * *"\n    - cron: 0 3  * * *\n');
    expect(found).toMatchObject({ path: "on.schedule[1]", message: expect.stringMatching(/above already/) });
  });
});
