import { describe, expect, it } from "vitest";
import type { Json } from "../../base/json.ts";
import type { Workflow } from "../../domain/workflow.ts";
import { createExpressions } from "../expressions/cel.ts";
import { builtInActions, TOOL_NAMES } from "./built-in.suite.ts";
import { createDefinitions } from "./definitions.ts";
import { checkInputs } from "./inputs.ts";

const definitions = createDefinitions({
  actions: builtInActions(),
  expressions: createExpressions(),
  toolNames: TOOL_NAMES,
});

function workflow(inputs: string): Workflow {
  const source = `name: w\nversion: "1"\ndescription: d\ninputs: ${inputs}\nsteps: [{ id: a, uses: noop }]\n`;
  const parsed = definitions.parseWorkflow(source, "w.yaml");
  if (!parsed.ok) throw new Error(parsed.failure.message);
  return parsed.value;
}

const demo = workflow(`
  task: { type: string, minLength: 1, required: true }
  count: { type: integer, default: 3, maximum: 10 }
  mode: { enum: [fast, careful] }
  tags: { type: array, items: { type: string } }
  code: { type: string, pattern: "^[a-z]+$" }
  task_or_spec: { anyOf: [{ type: string }, { type: object }] }
  deep: { type: object, properties: { flag: { type: boolean, default: true } }, additionalProperties: false }`);

function message(inputs: Json, of: Workflow = demo): string {
  const result = checkInputs(of, inputs);
  if (result.ok) throw new Error("the inputs are accepted");
  return result.failure.message;
}

describe("checkInputs", () => {
  it("fills defaults in and leaves what it was given alone", () => {
    const given = { task: "t", deep: {} };
    expect(checkInputs(demo, given)).toEqual({
      ok: true,
      value: { task: "t", count: 3, deep: { flag: true } },
    });
    expect(given).toEqual({ task: "t", deep: {} });
  });

  it.each<[Json, string]>([
    [{}, "`task`: `task` is missing, expected a text"],
    [{ task: "" }, '`task`: `""` must NOT have fewer than 1 characters'],
    [{ task: 3 }, "`task`: `3` is not allowed, expected a text"],
    [{ task: "t", cuont: 1 }, "`cuont`: there is no field `cuont` here, expected one of task, count"],
    [{ task: "t", cuont: 1 }, "(did you mean `count`?)"],
    [{ task: "t", count: 11 }, "`count`: `11` must be <= 10"],
    [{ task: "t", count: 1.5 }, "expected a whole number"],
    [
      { task: "t", mode: "fats" },
      '`mode`: `"fats"` is not allowed, expected one of fast, careful (did you mean `fast`?)',
    ],
    [{ task: "t", tags: ["a", 1] }, "`tags[1]`: `1` is not allowed, expected a text"],
    [{ task: "t", task_or_spec: 4 }, "`task_or_spec`: `4` is not allowed, expected a text, or a mapping"],
    [
      { task: "t", deep: { flga: true } },
      "`deep.flga`: there is no field `flga` here, expected one of flag (did you mean `flag`?)",
    ],
    [{ task: "t", code: "x".repeat(2_000) }, "2000 characters is compared with a pattern"],
    ["task", '`"task"` is not allowed, expected a mapping with task'],
    [null, "is not allowed"],
    [JSON.parse('{"task": "t", "__proto__": {"count": 1}}') as Json, "there is no field `__proto__`"],
  ])("%j: %s", (inputs, expected) => {
    expect(message(inputs)).toContain(expected);
    expect(message(inputs)).toMatch(/^inputs of `w`: /);
  });

  it("tells all problems, up to a number of them, also as data", () => {
    const result = checkInputs(demo, { count: "x", mode: "y" });
    expect(result).toMatchObject({
      ok: false,
      failure: {
        code: "invalid_input",
        details: {
          problems: [
            { path: "task", expected: "a text" },
            { path: "count", expected: "a whole number" },
            { path: "mode", expected: "one of fast, careful" },
          ],
        },
      },
    });
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`x${i}`, 1]));
    expect(message({ task: "t", ...many })).toContain("and 20 more");
  });

  it("refuses what is too deep or too large", () => {
    let deep: Json = 1;
    for (let level = 0; level < 100; level += 1) deep = [deep];
    expect(message({ task: "t", tags: deep })).toContain("deeper than 64 levels");
    const result = checkInputs(demo, { task: "x".repeat(2_000_000) });
    expect(result).toMatchObject({ ok: false, failure: { code: "payload_too_large" } });
  });

  it("checks each workflow by its own schema, however many there are", () => {
    const many = Array.from({ length: 210 }, (_, i) =>
      workflow(`{ only_${i}: { type: integer, required: true } }`),
    );
    for (const [i, one] of many.entries()) expect(checkInputs(one, { [`only_${i}`]: i }).ok).toBe(true);
    expect(message({}, many[0])).toContain("`only_0` is missing");
    expect(message({ only_1: 1 }, many[0])).toContain("`only_1`");
  });

  it("does not hang on texts that are made for it", () => {
    const slow = workflow(`{ v: { type: string, pattern: "^[a-z]*[a-z0-9]*[a-z_]*$" } }`);
    const start = performance.now();
    expect(checkInputs(slow, { v: `${"a".repeat(999)}!` }).ok).toBe(false);
    expect(checkInputs(slow, { v: "a".repeat(500_000) }).ok).toBe(false);
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});
