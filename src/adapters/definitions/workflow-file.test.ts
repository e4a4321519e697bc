// Long because it is one table: every malformed file with the exact place and words of its error.

import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson, type Json } from "../../base/json.ts";
import type { Diagnostic } from "../../contracts/definitions.ts";
import type { Workflow } from "../../domain/workflow.ts";
import { createExpressions } from "../expressions/cel.ts";
import { builtInActions, TOOL_NAMES } from "./built-in.suite.ts";
import { createDefinitions } from "./definitions.ts";
import { formatDiagnostics } from "./source.ts";

const definitions = createDefinitions({
  actions: builtInActions(),
  expressions: createExpressions(),
  toolNames: TOOL_NAMES,
});
const HEAD = 'name: demo\nversion: "1"\ndescription: d\n';
const STEP = "steps:\n  - id: a\n    uses: noop\n";

function read(source: string): Workflow {
  const parsed = definitions.parseWorkflow(source, "w.yaml");
  if (!parsed.ok) throw new Error(formatDiagnostics(parsed.diagnostics, source));
  return parsed.value;
}

function problems(source: string): readonly Diagnostic[] {
  const parsed = definitions.parseWorkflow(source, "w.yaml");
  if (parsed.ok) throw new Error("the workflow is accepted");
  expect(parsed.failure.code).toBe("invalid_workflow");
  expect(parsed.failure.message).toContain("w.yaml:");
  return parsed.diagnostics;
}

/** `⟦` stands in front of the character that the first diagnostic points at. */
function marked(text: string): { readonly source: string; readonly line: number; readonly column: number } {
  const at = text.indexOf("⟦");
  if (at === -1) throw new Error("no mark");
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  return { source: text.replace("⟦", ""), line, column: at - before.lastIndexOf("\n") };
}

interface Row {
  readonly text: string;
  readonly path: string;
  readonly message: string;
  readonly expected?: string;
  readonly suggestion?: string;
}

const rows: Readonly<Record<string, Row>> = {
  "an empty file": { text: "⟦", path: "", message: "an empty value", expected: "a mapping with `name`" },
  "a list": { text: "⟦- a\n", path: "", message: "not valid here", expected: "a mapping with `name`" },
  "broken YAML": { text: `${HEAD}steps: [a, b\n⟦`, path: "", message: "flow sequence" },
  "a tab as indentation": {
    text: `${HEAD}steps:\n⟦\t- id: a\n`,
    path: "",
    message: "a tab is used as indentation",
  },
  "a key twice": { text: `${HEAD}⟦name: other\n${STEP}`, path: "", message: "the key `name` is there twice" },
  "two documents": { text: `${HEAD}${STEP}⟦---\na: 1\n`, path: "", message: "several documents" },
  "a tag": { text: `name: ⟦!secret demo\n`, path: "", message: "tags (`!…`) are not used" },
  "an unknown anchor": { text: `name: ⟦*nowhere\n`, path: "", message: "nowhere" },
  "a complex key": { text: `? ⟦[a]\n: b\n`, path: "", message: "cannot be a key" },
  "a key that would be a prototype": { text: `⟦__proto__: 1\n`, path: "", message: "cannot be a key" },
  "a label that is none": {
    text: `${HEAD}runs_on: [gpu, ⟦"no space"]\n${STEP}`,
    path: "runs_on[1]",
    message: "no space",
    expected: "a label such as gpu or os=linux",
  },
  "no label at all": {
    text: `${HEAD}runs_on: ⟦[]\n${STEP}`,
    path: "runs_on",
    message: "",
    expected: "one label",
  },
  "room for nobody": {
    text: `${HEAD}concurrency: { limit: ⟦0 }\n${STEP}`,
    path: "concurrency.limit",
    message: "0",
    expected: "how many runs at a time, from 1",
  },
  "a conflict that is not known": {
    text: `${HEAD}concurrency: { key: a, on_conflict: ⟦wait }\n${STEP}`,
    path: "concurrency.on_conflict",
    message: "wait",
    expected: "queue, cancel_older, reject",
  },
  "a key that mentions a step": {
    text: `${HEAD}concurrency:\n  key: "x/\${{ steps.⟦a.outputs.b }}"\n${STEP}`,
    path: "concurrency.key",
    message: "there is no step `a`",
  },
  "a key that is no template": {
    text: `${HEAD}concurrency:\n  key: "x/⟦\${{ inputs"\n${STEP}`,
    path: "concurrency.key",
    message: "",
    expected: "`${{ … }}`",
  },
  "a number without JSON": {
    text: `${HEAD}timeout: ⟦.inf\n${STEP}`,
    path: "",
    message: "not a number that JSON has",
  },
  "a number that loses digits": {
    text: `${HEAD}steps:\n  - id: a\n    uses: noop\n    with:\n      n: ⟦12345678901234567890\n`,
    path: "",
    message: "too large to stay exact",
  },
  "a missing name": {
    text: `⟦version: "1"\ndescription: d\n${STEP}`,
    path: "name",
    message: "`name` is missing",
  },
  "missing steps": {
    text: `⟦${HEAD}`,
    path: "steps",
    message: "`steps` is missing",
    expected: "a list of steps",
  },
  "no steps": {
    text: `${HEAD}steps: ⟦[]\n`,
    path: "steps",
    message: "`[]` is not valid here",
    expected: "at least one step",
  },
  "empty steps": {
    text: `${HEAD}⟦steps:\n`,
    path: "steps",
    message: "an empty value",
    expected: "a list of steps",
  },
  "a bad name": {
    text: `name: ⟦Big Name\nversion: "1"\ndescription: d\n${STEP}`,
    path: "name",
    message: '`"Big Name"`',
    expected: "a-z",
  },
  "an unknown top field": {
    text: `${HEAD}⟦stepz: []\n${STEP}`,
    path: "stepz",
    message: "there is no field `stepz` here",
    expected: "one of name, version",
    suggestion: "steps",
  },
  "an unknown step field": {
    text: `${HEAD}${STEP}    ⟦tiemout: 5m\n`,
    path: "steps[0].tiemout",
    message: "there is no field `tiemout` here",
    suggestion: "timeout",
  },
  "a step that is a text": {
    text: `${HEAD}steps:\n  - ⟦hello\n`,
    path: "steps[0]",
    message: '`"hello"` is not valid',
    expected: "a step",
  },
  "a missing id": {
    text: `${HEAD}steps:\n  - ⟦uses: noop\n`,
    path: "steps[0].id",
    message: "`id` is missing",
  },
  "a bad id": {
    text: `${HEAD}steps:\n  - id: ⟦my-step\n    uses: noop\n`,
    path: "steps[0].id",
    message: "my-step",
    expected: "a-z first",
  },
  "an unknown action": {
    text: `${HEAD}steps:\n  - id: a\n    uses: ⟦agnet\n`,
    path: "steps[0].uses",
    message: "there is no action `agnet`",
    expected: "one of agent, approval",
    suggestion: "agent",
  },
  "a bad duration": {
    text: `${HEAD}${STEP}    timeout: ⟦5 minutes\n`,
    path: "steps[0].timeout",
    message: "5 minutes",
    expected: "30s",
  },
  "a duration without a unit": {
    text: `${HEAD}timeout: ⟦90\n${STEP}`,
    path: "timeout",
    message: "`90`",
    expected: "a duration",
  },
  "too many attempts": {
    text: `${HEAD}${STEP}    retry: ⟦99\n`,
    path: "steps[0].retry",
    message: "`99`",
    expected: "at most 50",
  },
  "an unknown retry field": {
    text: `${HEAD}${STEP}    retry:\n      attempts: 3\n      ⟦inital: 1s\n`,
    path: "steps[0].retry.inital",
    message: "there is no field `inital`",
    suggestion: "initial",
  },
  "a retry without attempts": {
    text: `${HEAD}${STEP}    retry:\n      ⟦max: 1s\n`,
    path: "steps[0].retry.attempts",
    message: "`attempts` is missing",
  },
  "a bad factor": {
    text: `${HEAD}${STEP}    retry:\n      attempts: 2\n      factor: ⟦0\n`,
    path: "steps[0].retry.factor",
    message: "`0`",
    expected: "from 1 to 10",
  },
  "an unknown on_failure": {
    text: `${HEAD}${STEP}    on_failure: ⟦contniue\n`,
    path: "steps[0].on_failure",
    message: "contniue",
    expected: "`fail`, `continue`",
  },
  "an unknown handler": {
    text: `${HEAD}${STEP}    on_failure:\n      run: ⟦clenup\n  - id: cleanup\n    uses: noop\n`,
    path: "steps[0].on_failure.run",
    message: "there is no step `clenup`",
    suggestion: "cleanup",
  },
  "an unknown need": {
    text: `${HEAD}${STEP}  - id: b\n    uses: noop\n    needs: [a, ⟦buld]\n  - id: build\n    uses: noop\n`,
    path: "steps[1].needs[1]",
    message: "there is no step `buld`",
    suggestion: "build",
  },
  "needs as a number": {
    text: `${HEAD}${STEP}    needs: ⟦3\n`,
    path: "steps[0].needs",
    message: "`3`",
    expected: "a step id or a list",
  },
  "an id twice": {
    text: `${HEAD}${STEP}  - id: ⟦a\n    uses: noop\n`,
    path: "steps[1].id",
    message: "already taken by step 1",
  },
  "a circle": {
    text: `${HEAD}steps:\n  - id: a\n    uses: noop\n    needs: [⟦b]\n  - id: b\n    uses: noop\n    needs: [a]\n`,
    path: "steps[0].needs[0]",
    message: "a → b → a",
  },
  "a step that never runs": {
    text: `${HEAD}${STEP}    if: ⟦false\n`,
    path: "steps[0].if",
    message: "always false",
  },
  "a missing argument": {
    text: `${HEAD}steps:\n  - id: a\n    uses: model\n    with:\n      ⟦system: s\n`,
    path: "steps[0].with.prompt",
    message: "`prompt` is missing",
    expected: "a text",
  },
  "no arguments at all": {
    text: `${HEAD}steps:\n  - ⟦id: a\n    uses: model\n`,
    path: "steps[0].with.prompt",
    message: "`prompt` is missing",
  },
  "an unknown argument": {
    text: `${HEAD}steps:\n  - id: a\n    uses: model\n    with:\n      prompt: \${{ inputs }}\n      ⟦sytem: s\n`,
    path: "steps[0].with.sytem",
    message: "there is no field `sytem`",
    suggestion: "system",
  },
  "an argument of the wrong kind": {
    text: `${HEAD}steps:\n  - id: a\n    uses: model\n    with:\n      prompt: ⟦[a]\n`,
    path: "steps[0].with.prompt",
    message: '`["a"]` is not allowed',
    expected: "a text",
  },
  "a wrong word in an argument": {
    text: `${HEAD}steps:\n  - id: a\n    uses: approval\n    with:\n      title: t\n      risk: ⟦hihg\n`,
    path: "steps[0].with.risk",
    message: "hihg",
    expected: "one of low, medium, high",
    suggestion: "high",
  },
  "a nested argument": {
    text: `${HEAD}steps:\n  - id: a\n    uses: files\n    with:\n      workspace: \${{ inputs }}\n      write:\n        - path: p\n          content: c\n          ⟦conten: c\n`,
    path: "steps[0].with.write[0].conten",
    message: "there is no field `conten`",
    suggestion: "content",
  },
  "an expression that is not closed": {
    text: `${HEAD}steps:\n  - id: a\n    uses: noop\n    with:\n      v: "x ⟦\${{ inputs"\n`,
    path: "steps[0].with.v",
    message: "not closed",
  },
  "a malformed expression": {
    text: `${HEAD}${STEP}    if: \${{ 1 + ⟦* 2 }}\n`,
    path: "steps[0].if",
    message: "unexpected token",
  },
  "a bare malformed expression": {
    text: `${HEAD}${STEP}    if: "inputs ==⟦"\n`,
    path: "steps[0].if",
    message: "ends too early",
  },
  "an unknown variable": {
    text: `${HEAD}${STEP}    if: true && ⟦stepz.a.status == 'x'\n`,
    path: "steps[0].if",
    message: "there is no variable `stepz`",
    suggestion: "steps",
  },
  "an unknown function": {
    text: `${HEAD}${STEP}    if: \${{ ⟦sucess() }}\n`,
    path: "steps[0].if",
    message: "there is no function `sucess`; did you mean `success`?",
  },
  "an unknown step in an expression": {
    text: `${HEAD}steps:\n  - id: build\n    uses: noop\n  - id: b\n    uses: noop\n    needs: build\n    if: steps.⟦biuld.status == "succeeded"\n`,
    path: "steps[1].if",
    message: "there is no step `biuld`",
    suggestion: "build",
  },
  "a step that is not needed": {
    text: `${HEAD}${STEP}  - id: b\n    uses: noop\n    with:\n      v: \${{ steps.⟦a.outputs }}\n`,
    path: "steps[1].with.v",
    message: "`b` does not need it",
  },
  "a step that looks at itself": {
    text: `${HEAD}${STEP}    if: steps.⟦a.status == "x"\n`,
    path: "steps[0].if",
    message: "has not ended here",
  },
  "an unknown part of a step": {
    text: `${HEAD}${STEP}  - id: b\n    uses: noop\n    needs: a\n    if: steps.a.⟦output == 1\n`,
    path: "steps[1].if",
    message: "`steps.a` has no `output`",
    suggestion: "outputs",
  },
  "an unknown output of an action": {
    text: `${HEAD}steps:\n  - id: m\n    uses: model\n    with: { prompt: p }\noutputs:\n  t: \${{ steps.m.outputs.⟦txt }}\n`,
    path: "outputs.t",
    message: "`steps.m.outputs` has no `txt`",
    suggestion: "text",
  },
  "an unknown named output": {
    text: `${HEAD}${STEP}    outputs:\n      number: result.n\n  - id: b\n    uses: noop\n    needs: a\n    if: steps.a.outputs.⟦numbr > 1\n`,
    path: "steps[1].if",
    message: "has no `numbr`",
    suggestion: "number",
  },
  "an unknown input": {
    text: `${HEAD}inputs:\n  task: { type: string }\nsteps:\n  - id: a\n    uses: noop\n    with:\n      v: "do \${{ inputs.⟦tsk }}"\n`,
    path: "steps[0].with.v",
    message: "`inputs` has no `tsk`",
    suggestion: "task",
  },
  "an unknown member of an input": {
    text: `${HEAD}inputs:\n  o: { type: object, properties: { deep: {} }, additionalProperties: false }\nsteps:\n  - id: a\n    uses: noop\n    if: inputs.o.⟦dep == 1\n`,
    path: "steps[0].if",
    message: "`inputs.o` has no `dep`",
    suggestion: "deep",
  },
  "an unknown part of run": {
    text: `${HEAD}${STEP}    if: run.⟦name == "x"\n`,
    path: "steps[0].if",
    message: "`run` has no `name`",
  },
  "item outside of foreach": {
    text: `${HEAD}${STEP}    with:\n      v: \${{ ⟦item.name }}\n`,
    path: "steps[0].with.v",
    message: "`foreach`",
  },
  "result outside of outputs": {
    text: `${HEAD}${STEP}    with:\n      v: \${{ ⟦result }}\n`,
    path: "steps[0].with.v",
    message: "`outputs`",
  },
  "a text where one expression is wanted": {
    text: `${HEAD}${STEP}    outputs:\n      o: ⟦"a \${{ result }}"\n`,
    path: "steps[0].outputs.o",
    message: "one expression is expected",
  },
  "an empty expression": {
    text: `${HEAD}${STEP}    if: ⟦" "\n`,
    path: "steps[0].if",
    message: "the expression is empty",
  },
  "matches in an expression": {
    text: `${HEAD}${STEP}    if: ⟦inputs.matches("a")\n`,
    path: "steps[0].if",
    message: "`matches` is not available",
  },
  "an expression in a literal block": {
    text: `${HEAD}steps:\n  - id: a\n    uses: noop\n    with:\n      v: |\n        first line\n\n          more \${{ run.id }} and \${{ inputs.⟦nope }}\n`,
    path: "steps[0].with.v",
    message: "has no `nope`",
  },
  "an expression in a folded block": {
    text: `${HEAD}steps:\n  - id: a\n    uses: noop\n    with:\n      v: >-\n        some words that\n        go on \${{\n        run.⟦nope }}\n`,
    path: "steps[0].with.v",
    message: "has no `nope`",
  },
  "an expression behind escapes": {
    text: `${HEAD}steps:\n  - id: a\n    uses: noop\n    with:\n      v: "\\u00e9 \\"\\t\\U0001F600 \${{ run.⟦nope }}"\n`,
    path: "steps[0].with.v",
    message: "has no `nope`",
  },
  "an expression in single quotes": {
    text: `${HEAD}steps:\n  - id: a\n    uses: noop\n    with:\n      v: 'it''s \${{ run.⟦nope }}'\n`,
    path: "steps[0].with.v",
    message: "has no `nope`",
  },
  "an expression in a plain text over lines": {
    text: `${HEAD}steps:\n  - id: a\n    uses: noop\n    with:\n      v: some words\n        and \${{ run.⟦nope }}\n`,
    path: "steps[0].with.v",
    message: "has no `nope`",
  },
  "an input that is no schema": {
    text: `${HEAD}inputs:\n  a: ⟦string\n${STEP}`,
    path: "inputs.a",
    message: "has no schema",
    expected: "a JSON Schema",
  },
  "an input name that is no variable": {
    text: `${HEAD}inputs:\n  ⟦my-input: { type: string }\n${STEP}`,
    path: "inputs.my-input",
    message: "cannot be the name of an input",
  },
  "a schema with an unknown type": {
    text: `${HEAD}inputs:\n  a:\n    type: ⟦text\n${STEP}`,
    path: "inputs.a.type",
    message: "text",
  },
  "a full schema with a wrong keyword": {
    text: `${HEAD}inputs:\n  type: object\n  properties:\n    a: { minLength: ⟦-1 }\n${STEP}`,
    path: "inputs.properties.a.minLength",
    message: "`-1`",
  },
  "a reference in a schema": {
    text: `${HEAD}inputs:\n  a: { ⟦$ref: "#" }\n${STEP}`,
    path: "inputs.a.$ref".replace(".$ref", '["$ref"]'),
    message: "`$ref` is not used",
  },
  "a pattern that can explode": {
    text: `${HEAD}inputs:\n  a: { pattern: ⟦"^(a+)+$" }\n${STEP}`,
    path: "inputs.a.pattern",
    message: "for ever",
  },
  "a pattern that is none": {
    text: `${HEAD}inputs:\n  a: { pattern: ⟦"(" }\n${STEP}`,
    path: "inputs.a.pattern",
    message: "nterminated",
  },
  "uniqueItems without an end": {
    text: `${HEAD}inputs:\n  a: { type: array, ⟦uniqueItems: true }\n${STEP}`,
    path: "inputs.a.uniqueItems",
    message: "compares each member",
  },
  "a default of the wrong kind": {
    text: `${HEAD}inputs:\n  a: { type: integer, default: ⟦three }\n${STEP}`,
    path: "inputs.a.default",
    message: "three",
    expected: "a whole number",
  },
  "a full schema whose properties are a list": {
    text: `${HEAD}inputs:\n  type: object\n  properties: ⟦[a]\n${STEP}`,
    path: "inputs.properties",
    message: "not a mapping",
  },
  "required that is neither": {
    text: `${HEAD}inputs:\n  a: { required: ⟦often }\n${STEP}`,
    path: "inputs.a.required",
    message: "`required` is neither",
  },
};

describe("what is wrong is told with its place", () => {
  it.each(Object.entries(rows))("%s", (_, row) => {
    const { source, line, column } = marked(row.text);
    const all = problems(source);
    const [first] = all;
    expect(first, formatDiagnostics(all, source)).toMatchObject({
      file: "w.yaml",
      line,
      column,
      path: row.path,
    });
    expect(first!.message).toContain(row.message);
    expect(first!.expected ?? "").toContain(row.expected ?? "");
    expect(first!.suggestion).toBe(row.suggestion);
  });

  it("counts lines and columns with CRLF and a byte order mark as without", () => {
    const row = rows["an unknown step field"]!;
    const { source, line, column } = marked(row.text);
    const crlf = source.replaceAll("\n", "\r\n");
    expect(problems(crlf)[0]).toMatchObject({ line, column });
    expect(problems(`\uFEFF${source}`)[0]).toMatchObject({ line, column });
    const { source: head } = marked(rows["an unknown anchor"]!.text);
    expect(problems(`\uFEFF${head}`)[0]).toMatchObject({ line: 1, column: 7 });
  });

  it("tells several problems of a file, in one failure", () => {
    const source = `${HEAD}steps:\n  - id: a\n    uses: noop\n    needs: x\n  - id: b\n    uses: nop\n    if: foo()\n`;
    const parsed = definitions.parseWorkflow(source, "w.yaml");
    expect(parsed.ok).toBe(false);
    if (parsed.ok) return;
    expect(parsed.diagnostics.map((one) => one.path).sort()).toEqual([
      "steps[0].needs[0]",
      "steps[1].if",
      "steps[1].uses",
    ]);
    expect(parsed.failure.message).toContain("(and 2 more)");
    expect(parsed.failure.details).toEqual({ diagnostics: parsed.diagnostics });
  });

  it("shows the line and a caret", () => {
    const source = `${HEAD}${STEP}    \ttiemout: 5m\n`.replace("\t", "");
    expect(formatDiagnostics(problems(source), source)).toBe(
      "w.yaml:7:5: steps[0].tiemout: there is no field `tiemout` here; expected one of id, uses, with, needs, if, " +
        "retry, timeout, foreach, on_failure, outputs; did you mean `timeout`?\n" +
        "  7 |     tiemout: 5m\n" +
        "    |     ^\n",
    );
  });
});

describe("a workflow that is accepted", () => {
  it("says everything with its defaults", () => {
    const workflow = read(`${HEAD}${STEP}`);
    expect(workflow).toMatchObject({
      name: "demo",
      version: "1",
      description: "d",
      inputs: { type: "object", properties: {}, additionalProperties: false },
      outputs: {},
      maxParallel: 8,
      steps: [
        {
          id: "a",
          uses: "noop",
          with: {},
          needs: [],
          retry: { maxAttempts: 1 },
          onFailure: { kind: "fail" },
        },
      ],
    });
    expect(workflow.hash).toMatch(/^[0-9a-f]{64}$/);
    const { hash, ...definition } = workflow;
    const canonical = canonicalJson(definition as unknown as Json);
    expect(createHash("sha256").update(canonical).digest("hex")).toBe(hash);
  });

  it("reads every form of every field", () => {
    const workflow = read(`
name: all
version: 1.10
description: d
timeout: 1h30m
max_parallel: 2
inputs:
  list: { type: array, items: { type: string }, required: true }
  n: { type: integer, default: 3 }
  o: { type: object, properties: { x: {} }, required: [x] }
steps:
  - { id: first, uses: noop, if: true, retry: 3 }
  - id: second
    uses: noop
    needs: first
    if: \${{ always() && steps.first.status == "succeeded" }}
    timeout: 90s
    retry: { attempts: 5, initial: 500ms, factor: 1.5, max: 10s, on: [step_timeout] }
    foreach: inputs.list
    with: { text: "\${{ index }}: \${{ item }}", n: "\${{ inputs.n }}" }
    on_failure: continue
  - id: third
    uses: noop
    needs: [first, second]
    foreach: { items: [1, "two"], max_parallel: 1, fail_fast: false }
    with: { before: "\${{ steps.second.outputs[0] }}" }
    on_failure: { run: rescue }
  - id: rescue
    uses: noop
    with: { why: "\${{ steps.third.error.message }}", fixed: "$\${{ not an expression }}" }
    outputs: { whole: result, part: "\${{ result.why }}", yes: true, two: 2 }
outputs: { all: "\${{ steps.second.outputs }}", done: steps.rescue.outputs.whole }
`);
    expect(workflow.version).toBe("1.10");
    expect(workflow.timeoutMs).toBe(5_400_000);
    expect(workflow.maxParallel).toBe(2);
    expect(workflow.inputs).toEqual({
      type: "object",
      properties: {
        list: { type: "array", items: { type: "string" } },
        n: { type: "integer", default: 3 },
        o: { type: "object", properties: { x: {} }, required: ["x"] },
      },
      required: ["list"],
      additionalProperties: false,
    });
    const [first, second, third, rescue] = workflow.steps;
    expect(first).toMatchObject({ if: "true", retry: { maxAttempts: 3 } });
    expect(second).toMatchObject({
      needs: ["first"],
      if: 'always() && steps.first.status == "succeeded"',
      timeoutMs: 90_000,
      retry: {
        maxAttempts: 5,
        backoff: { initialMs: 500, factor: 1.5, maxMs: 10_000 },
        retryable: ["step_timeout"],
      },
      foreach: { items: "inputs.list", maxParallel: 8, failFast: true },
      onFailure: { kind: "continue" },
    });
    expect(third).toMatchObject({
      foreach: { items: '[1,"two"]', maxParallel: 1, failFast: false },
      onFailure: { kind: "run", step: "rescue" },
    });
    expect(rescue?.outputs).toEqual({ whole: "result", part: "result.why", yes: "true", two: "2" });
    expect(workflow.outputs).toEqual({ all: "steps.second.outputs", done: "steps.rescue.outputs.whole" });
  });

  it("keeps a full inputs schema, closed unless it says otherwise", () => {
    const inputs = (text: string) => read(`${HEAD}${STEP}inputs: ${text}\n`).inputs;
    expect(inputs("{ type: object, properties: { a: {} }, required: [a] }")).toEqual({
      type: "object",
      properties: { a: {} },
      required: ["a"],
      additionalProperties: false,
    });
    expect(inputs("{ type: object, additionalProperties: true }")).toEqual({
      type: "object",
      additionalProperties: true,
    });
  });

  it("has a hash of its meaning, not of its writing", () => {
    const base = read(`${HEAD}${STEP}`).hash;
    expect(
      read(`# a comment\n${HEAD}steps: [{ uses: noop, id: a, needs: [], on_failure: fail }]\n`).hash,
    ).toBe(base);
    expect(read(`${HEAD}${STEP}    timeout: 5s\n`).hash).not.toBe(base);
    expect(read(`${HEAD}${STEP}`.replace("description: d", "description: e")).hash).not.toBe(base);
  });

  it("keeps examples, which belong to the hash where there are any", () => {
    const plain = read(`${HEAD}${STEP}`);
    const more = read(`${HEAD}examples: [Do it, "Do: that"]\n${STEP}`);
    expect(more.examples).toEqual(["Do it", "Do: that"]);
    expect(more.hash).not.toBe(plain.hash);
    expect(plain).not.toHaveProperty("examples");
    expect(read(`${HEAD}examples: []\n${STEP}`)).toEqual(plain);
    const [problem] = problems(`${HEAD}examples: [{ a: 1 }]\n${STEP}`);
    expect(problem).toMatchObject({ path: "examples[0]", expected: "a request in free words" });
    const many = JSON.stringify(Array.from({ length: 21 }, () => "Do it"));
    expect(problems(`${HEAD}examples: ${many}\n${STEP}`)[0]?.expected).toBe("at most 20 examples");
  });

  it("follows anchors and aliases within reason", () => {
    const source = `${HEAD}steps:\n  - id: a\n    uses: noop\n    with: &shared { deep: [1, 2] }\n  - id: b\n    uses: noop\n    with: *shared\n`;
    expect(read(source).steps[1]?.with).toEqual({ deep: [1, 2] });
  });

  it("does not judge what only the run can know", () => {
    const arguments_ = [
      "workspace: ${{ inputs.w }}\n      write: ${{ inputs.list }}",
      "workspace: ${{ inputs.w }}\n      write: [{ path: '${{ inputs.p }}', content: '${{ inputs.p }}' }, '${{ inputs.file }}']",
    ];
    for (const with_ of arguments_) {
      read(
        `${HEAD}inputs: { type: object, additionalProperties: true }\nsteps:\n  - id: a\n    uses: files\n    with:\n      ${with_}\n`,
      );
    }
    read(
      `${HEAD}inputs: { w: {}, r: {} }\nsteps:\n  - id: a\n    uses: approval\n    with: { title: "x", risk: "\${{ inputs.r }}" }\n`,
    );
  });

  it("warns of what is allowed but looks wrong", () => {
    const warnings = (source: string) => {
      const parsed = definitions.parseWorkflow(source, "w.yaml");
      if (!parsed.ok) throw new Error(formatDiagnostics(parsed.diagnostics, source));
      return parsed.warnings;
    };
    expect(warnings(`${HEAD}inputs:\n  a: { type: string, defualt: x, x-mine: 1 }\n${STEP}`)).toMatchObject([
      { line: 5, column: 22, path: "inputs.a.defualt", suggestion: "default" },
    ]);
    expect(warnings(`${HEAD}${STEP}    retry: { attempts: 2, on: [step_timout] }\n`)).toMatchObject([
      { line: 7, column: 32, path: "steps[0].retry.on[0]", suggestion: "step_timeout" },
    ]);
    expect(warnings(`${HEAD}${STEP}`)).toEqual([]);
  });
});

describe("hostile files", () => {
  const refusedFast = (source: string, within: number): readonly Diagnostic[] => {
    const start = performance.now();
    const all = problems(source);
    expect(performance.now() - start).toBeLessThan(within);
    return all;
  };

  it("refuses what is too large without reading it", () => {
    const all = refusedFast(`${HEAD}${"#".repeat(10_000_000)}`, 2_000);
    expect(all).toMatchObject([{ line: 1, column: 1, expected: "at most 262144" }]);
  });

  it("refuses alias bombs", () => {
    const levels = Array.from({ length: 12 }, (_, i) =>
      i === 0
        ? "l0: &l0 [x,x,x,x,x,x,x,x,x]"
        : `l${i}: &l${i} [${Array.from({ length: 9 }, () => `*l${i - 1}`).join(",")}]`,
    );
    expect(refusedFast(levels.join("\n"), 2_000)[0]?.message).toMatch(/aliases|unfolded/);
    expect(refusedFast("a: &a [*a]", 1_000)[0]?.message).not.toBe("");
    const many = `a: &a x\nb: [${Array.from({ length: 200 }, () => "*a").join(",")}]`;
    expect(refusedFast(many, 1_000)[0]?.message).toContain("more than 100 aliases");
  });

  it.each([
    ["brackets", "[".repeat(50_000)],
    ["braces", `${HEAD}steps: ${"{a: ".repeat(10_000)}`],
    ["dashes", "- ".repeat(30_000)],
    ["closed brackets", `a: ${"[".repeat(5_000)}${"]".repeat(5_000)}`],
    ["indentation", Array.from({ length: 400 }, (_, i) => `${" ".repeat(i)}a:`).join("\n")],
    ["keys", Array.from({ length: 15_000 }, (_, i) => `k${i}:`).join("\n")],
    ["the same key", "a: 1\n".repeat(15_000)],
    ["quotes", '"'.repeat(50_000)],
  ])("refuses many %s", (_, source) => {
    refusedFast(source, 10_000);
  });

  it("keeps a bound on what it tells", () => {
    const source = `${HEAD}steps:\n${Array.from({ length: 200 }, (_, i) => `  - id: s${i}\n    uses: nope\n`).join("")}`;
    expect(problems(source)).toHaveLength(50);
  });

  const HARMLESS = read(`${HEAD}${STEP}`);

  it("never throws, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const parsed = definitions.parseWorkflow(Buffer.from(bytes).toString("utf8"), "w.yaml");
        expect(parsed.ok).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it("never throws, whatever happens to a good file", () => {
    const good = `${HEAD}inputs:\n  t: { type: string, required: true }\n${STEP}    if: \${{ inputs.t == "x" }}\n    with:\n      v: |\n        a \${{ run.id }}\n  - { id: b, uses: model, needs: [a], with: { prompt: "\${{ steps.a.outputs }}" } }\n`;
    const junk = fc.constantFrom(
      ...[
        "\n",
        "  ",
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        "${{",
        "}}",
        "*a",
        "&a",
        "|",
        "#",
        "\t",
        "null",
        "é",
        "\u0000",
      ],
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(good.length), fc.nat(12), junk), { maxLength: 4 }), (edits) => {
        let text = good;
        for (const [at, cut, put] of edits) text = text.slice(0, at) + put + text.slice(at + cut);
        const parsed = definitions.parseWorkflow(text, "w.yaml");
        const lines = text.split("\n");
        for (const one of parsed.ok ? parsed.warnings : parsed.diagnostics) {
          expect(one.line).toBeGreaterThanOrEqual(1);
          expect(one.line).toBeLessThanOrEqual(lines.length + 1);
          expect(one.column).toBeGreaterThanOrEqual(1);
          expect(one.message).not.toBe("");
        }
        if (!parsed.ok) expect(formatDiagnostics(parsed.diagnostics, text)).toContain("w.yaml:");
      }),
      { numRuns: 400 },
    );
    expect(read(`${HEAD}${STEP}`)).toEqual(HARMLESS);
  });
});

describe("runs_on and concurrency", () => {
  const placed = (fields: string) => {
    const { runsOn, concurrency } = read(`${HEAD}${fields}\n${STEP}`);
    return { runsOn, concurrency };
  };

  it("have short forms", () => {
    expect(placed("runs_on: gpu\nconcurrency: 3")).toEqual({
      runsOn: ["gpu"],
      concurrency: { key: null, limit: 3, onConflict: "queue" },
    });
    expect(
      placed("runs_on: [b, a, b]\nconcurrency: { key: 'x/${{ run.tenant }}', on_conflict: reject }"),
    ).toEqual({
      runsOn: ["a", "b"],
      concurrency: { key: "x/${{ run.tenant }}", limit: 1, onConflict: "reject" },
    });
  });

  it("leave the hash of a file without them as it was, and are part of it where they are", () => {
    const plain = read(`${HEAD}${STEP}`);
    expect(Object.keys(plain)).not.toContain("concurrency");
    expect(Object.keys(plain)).not.toContain("runsOn");
    expect(read(`${HEAD}runs_on: gpu\n${STEP}`).hash).not.toBe(plain.hash);
    expect(read(`${HEAD}concurrency: 2\n${STEP}`).hash).toBe(
      read(`${HEAD}concurrency: { limit: 2 }\n${STEP}`).hash,
    );
  });
});
