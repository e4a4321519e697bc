import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Json } from "../../base/json.ts";
import type { Scope } from "../../domain/workflow.ts";
import { createExpressions } from "./cel.ts";
import { EXPRESSION_LIMITS } from "./limits.ts";

const expressions = createExpressions();
const scope: Scope = {
  inputs: {
    name: "Ada",
    count: 3,
    ratio: 1.5,
    nothing: null,
    tags: ["a", "b"],
    people: [
      { name: "x", age: 1 },
      { name: "y", age: 20 },
    ],
    odd: { constructor: "c", toString: 1 },
  },
  run: { id: "run_1", workflow: "demo", tenant: "default" },
  steps: { build: { status: "succeeded", outputs: { text: "done", n: 2 }, error: null } },
  status: { success: false, failure: true },
};
const value = (expression: string, given: Scope = scope): Json => {
  const result = expressions.evaluate(expression, given);
  if (!result.ok) throw new Error(`${expression}: ${result.message}`);
  return result.value;
};
const message = (expression: string, given: Scope = scope): string => {
  const result = expressions.evaluate(expression, given);
  if (result.ok) throw new Error(`${expression} yields ${JSON.stringify(result.value)}`);
  return result.message;
};

describe("evaluate", () => {
  it.each<[string, Json]>([
    ["inputs.name", "Ada"],
    ["inputs", scope.inputs],
    ["inputs.count + 1", 4],
    ["inputs.count * inputs.ratio", 4.5],
    ["1.5 - 1", 0.5],
    ["1 / 2.0", 0.5],
    ["7 / 2", 3],
    ["inputs.count > 2.5 && inputs.count == 3.0", true],
    ["inputs.nothing == null", true],
    ["inputs.name == null", false],
    ["inputs.tags[1]", "b"],
    ["inputs.tags + ['c']", ["a", "b", "c"]],
    ["['a', 'b'].join(', ')", "a, b"],
    ["inputs.people.filter(p, p.age > 10).map(p, p.name)", ["y"]],
    [
      "inputs.people.map(p, {'who': p.name, 'inputs': inputs.name})",
      [
        { who: "x", inputs: "Ada" },
        { who: "y", inputs: "Ada" },
      ],
    ],
    ["'name' in inputs", true],
    ["has(inputs.missing) ? inputs.missing : 'default'", "default"],
    ["inputs.?missing.orValue('default')", "default"],
    ["inputs.?missing", null],
    ["inputs.?name", "Ada"],
    ["steps.build.status == 'succeeded'", true],
    ["steps['build'].outputs['text'].startsWith('do')", true],
    ["run.workflow + '/' + run.id", "demo/run_1"],
    ["toJson(inputs.people[0])", '{"name":"x","age":1}'],
    ["fromJson('{\"a\": [1, 2.5, null]}').a", [1, 2.5, null]],
    ["fromJson('7') + 1", 8],
    ["inputs.odd.constructor", "c"],
    ["inputs.odd.toString", 1],
    ["size(inputs.tags)", 2],
    ["7u", 7],
    ["cel.bind(x, inputs.count, x * x)", 9],
    ["success()", false],
    ["failure()", true],
    ["always()", true],
    ["inputs.missing || true", true],
  ])("%s", (expression, expected) => {
    expect(value(expression)).toEqual(expected);
    expect(expressions.check(expression)).toBeNull();
  });

  it("has item, index and result where there are such", () => {
    expect(value("item.name + string(index)", { ...scope, item: { name: "n" }, index: 4 })).toBe("n4");
    expect(value("result.ok", { ...scope, result: { ok: true } })).toBe(true);
    expect(message("item.name")).toContain("`foreach`");
    expect(message("result")).toContain("`outputs`");
  });

  it("says when an optional holds nothing", () => {
    expect(expressions.evaluate("inputs.?missing", scope)).toEqual({ ok: true, value: null, absent: true });
    expect(expressions.evaluate("steps.build.error.?code", scope)).toMatchObject({ absent: true });
    expect(expressions.evaluate("inputs.?nothing", scope)).toEqual({ ok: true, value: null });
    for (const zero of ["inputs.nothing", "''", "0", "0.0", "[]", "{}", "false", "fromJson('{}')"]) {
      expect(expressions.evaluate(`optional.ofNonZeroValue(${zero})`, scope)).toMatchObject({ absent: true });
    }
    expect(value("optional.ofNonZeroValue(inputs.tags)")).toEqual(["a", "b"]);
    expect(value("optional.ofNonZeroValue({'a': 0})")).toEqual({ a: 0 });
  });

  it.each([
    ["inputs.nmae", "`inputs` has no `nmae`; did you mean `name`?"],
    ["steps.biuld.outputs", "`steps` has no `biuld`; did you mean `build`?"],
    ["steps['build'].outputs.txt", "`steps.build.outputs` has no `txt`; did you mean `text`?"],
    ["inputs.name.first", "`inputs.name` is a string and has no `first`"],
    ["inputs.nothing.first", "`inputs.nothing` is null and has no `first`"],
    ["inputs.people.first", "`inputs.people` is a list and has no `first`"],
    ["inputs.people[0].nam", "has no `nam`"],
    ["inputs.tags[2]", "index out of bounds"],
    ["inputz.name", "there is no variable `inputz`; did you mean `inputs`?"],
    ["tojson(1)", "there is no function `tojson`; did you mean `toJson`?"],
    ["inputs.name.sise()", "there is no function `sise`; did you mean `size`?"],
    ["inputs.count + 'a'", "no such overload: int + string"],
    ["inputs.name ? 1 : 2", "ternary condition must be bool, got 'string'"],
    ["1 / 0", "division by zero"],
    ["1.0 / 0.0", "no JSON form"],
    ["9007199254740993", "too large for JSON"],
    ["9223372036854775807 + 1", "integer overflow"],
    ["b'abc'", "bytes are not JSON"],
    ["timestamp('2026-01-01T00:00:00Z')", "not JSON"],
    ["duration('1s')", "not JSON"],
    ["type(1)", "a type is not JSON"],
    ["fromJson('{')", "fromJson"],
    ["1 +", "ends too early"],
    ["", "ends too early"],
    ["'open", "nterminated"],
    ["'a'.matches('(a+)+$')", "`matches` is not available"],
    ["{'constructor': 1}", "cannot have the key `constructor`"],
    ["inputs.__proto__", "has no `__proto__`"],
    ["inputs['__proto__']", "has no `__proto__`"],
    ["inputs.constructor", "has no `constructor`"],
    ["inputs.name.constructor", "is a string and has no `constructor`"],
    ["inputs.tags.constructor", "is a list and has no `constructor`"],
    ["inputs.people[0].constructor", "has no `constructor`"],
    ["inputs.tags.__proto__.polluted", "has no `__proto__`"],
    ["[].constructor", "list index must be int"],
    ["process.env", "there is no variable `process`"],
    ["globalThis", "there is no variable `globalThis`"],
    ["this", "there is no variable `this`"],
  ])("%s fails with a reason", (expression, expected) => {
    expect(message(expression).toLowerCase()).toContain(expected.toLowerCase());
  });

  it("says where a malformed expression is wrong", () => {
    expect(expressions.check("inputs.a && inptus.b")).toEqual({
      message: "there is no variable `inptus`; did you mean `inputs`?",
      offset: 12,
    });
    expect(expressions.check("1 + + 2")?.offset).toBe(4);
    expect(expressions.check("inputs.a")).toBeNull();
  });
});

describe("asksStatus", () => {
  it.each([
    ["success()", true],
    ["inputs.a && (failure() || true)", true],
    ["[1].exists(x, always())", true],
    ["inputs.success", false],
    ["'always()' == inputs.a", false],
    ["always(", false],
  ])("%s: %s", (expression, expected) => {
    expect(expressions.asksStatus(expression)).toBe(expected);
  });
});

describe("references", () => {
  const names = (expression: string) =>
    expressions
      .references(expression)
      .map(
        (found) => `${found.segments.map((segment) => segment.name).join(".")}${found.guarded ? "?" : ""}`,
      );

  it.each([
    ["inputs.a + steps['b'].outputs.c", ["inputs.a", "steps.b.outputs.c"]],
    ["has(inputs.a.b)", ["inputs.a.b?"]],
    ["steps.?b.outputs", ["steps.b.outputs?"]],
    ["inputs.list[inputs.i].name", ["inputs.list", "inputs.i"]],
    ["inputs.l.map(x, x.y + inputs.z)", ["inputs.l", "inputs.z"]],
    ["inputs.l.map(inputs, inputs.y)", ["inputs.l"]],
    ["cel.bind(x, inputs.a, x + x)", ["inputs.a"]],
    ["toJson(steps)", ["steps"]],
    ["nope.a", ["nope.a"]],
    ["nope.", []],
  ])("%s mentions %j", (expression, expected) => {
    expect(names(expression)).toEqual(expected);
  });

  it("gives the place of every segment", () => {
    expect(expressions.references("1 + steps.build['outputs']")).toEqual([
      {
        segments: [
          { name: "steps", offset: 4 },
          { name: "build", offset: 10 },
          { name: "outputs", offset: 16 },
        ],
        guarded: false,
      },
    ]);
  });
});

describe("bounds", () => {
  const big: Scope = {
    ...scope,
    inputs: { list: Array.from({ length: 3_000 }, (_, i) => i), text: "x".repeat(200_000) },
  };
  const fast = (work: () => void) => {
    const start = performance.now();
    work();
    expect(performance.now() - start).toBeLessThan(5_000);
  };

  it.each([
    ["loops in loops", "inputs.list.map(a, inputs.list.map(b, inputs.list.map(c, a + b + c))).size()"],
    [
      "loops that swallow errors",
      "inputs.list.exists(a, inputs.list.exists(b, inputs.list.exists(c, a + b < 0 - c)))",
    ],
    [
      "a swallowed limit behind ||",
      "inputs.list.all(a, inputs.list.all(b, inputs.list.all(c, true))) || true",
    ],
    ["a text that doubles", `[inputs.text]${".map(t, t + t)".repeat(30)}[0].size()`],
    ["a list that doubles", `[['x']]${".map(l, l + l)".repeat(40)}[0].size()`],
    ["a value that unfolds", `[['x']]${".map(l, [l, l])".repeat(40)}`],
    ["an unfolding value as text", `toJson([['x']]${".map(l, [l, l])".repeat(40)})`],
    ["an unfolding comparison", `[[['x']]${".map(l, [l, l])".repeat(40)}].map(v, v == v)`],
    ["one long text many times", "inputs.list.map(i, inputs.text).join('')"],
  ])("stops %s", (_, expression) => {
    expect(expression.length).toBeLessThan(EXPRESSION_LIMITS.chars);
    fast(() => expect(message(expression, big)).toContain("units of work"));
  });

  it("lets honest work through", () => {
    expect(value("inputs.list.filter(i, i % 2 == 0).map(i, i * 2).size()", big)).toBe(1_500);
    expect(value("inputs.list.map(i, inputs.list[i] + i).size()", big)).toBe(3_000);
  });

  it("refuses long, deep and wide expressions", () => {
    expect(message("a".repeat(EXPRESSION_LIMITS.chars + 1))).toContain("4096 characters");
    expect(message(`${"(".repeat(100)}1${")".repeat(100)}`)).toContain("maxDepth");
    expect(message(`${"[".repeat(100)}${"]".repeat(100)}`)).toContain("maxDepth");
    expect(message(Array.from({ length: 1_500 }, () => "1").join("+"))).toContain("maxAstNodes");
    fast(() => expect(message(`${"-".repeat(4_000)}1`)).not.toBe(""));
    fast(() => expect(message("!".repeat(4_096))).not.toBe(""));
  });

  it("refuses values nested deeper than JSON may be", () => {
    let deep: Json = "x";
    for (let level = 0; level < 80; level += 1) deep = [deep];
    expect(message("inputs", { ...scope, inputs: deep })).toContain("64 levels");
    expect(message(`fromJson('${"[".repeat(80)}${"]".repeat(80)}')`)).toContain("64 levels");
  });

  it("forgets old expressions and still knows them", () => {
    const own = createExpressions();
    for (let i = 0; i < EXPRESSION_LIMITS.cached + 10; i += 1) {
      expect(own.evaluate(`${i} + 0`, scope)).toEqual({ ok: true, value: i });
    }
    expect(own.evaluate("0 + 0", scope)).toEqual({ ok: true, value: 0 });
  });
});

describe("any text", () => {
  const words = fc.constantFrom(
    ...[
      "inputs",
      "steps",
      ".",
      "?",
      "[",
      "]",
      "(",
      ")",
      "{",
      "}",
      "'",
      '"',
      "+",
      "-",
      "!",
      "&&",
      "||",
      "==",
      ",",
      ":",
    ],
    ...[
      "1",
      "1.5",
      "1u",
      "0x",
      "true",
      "null",
      "name",
      "__proto__",
      "constructor",
      "prototype",
      "toString",
      "map",
      "x",
    ],
    ...[
      "has",
      "filter",
      "exists",
      "cel",
      "bind",
      "optional",
      "toJson",
      "fromJson",
      "\\",
      "\n",
      "//",
      "in",
      " ",
      "b",
      "r",
    ],
  );
  const texts = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.array(words, { maxLength: 25 }).map((list) => list.join("")),
  );

  it("yields JSON or a message, and never throws", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const result = expressions.evaluate(text, scope);
        if (result.ok) expect(JSON.parse(JSON.stringify(result.value))).toEqual(result.value);
        else expect(result.message).not.toBe("");
        const wrong = expressions.check(text);
        if (wrong !== null) {
          expect(wrong.offset).toBeGreaterThanOrEqual(0);
          expect(wrong.offset).toBeLessThanOrEqual(text.length);
          expect(result.ok).toBe(false);
        }
        expressions.asksStatus(text);
        expressions.references(text);
      }),
      { numRuns: 3_000 },
    );
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it("gives any JSON back as it came in", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (json) => {
        const inputs = JSON.parse(JSON.stringify(json)) as Json;
        const result = expressions.evaluate("inputs", { ...scope, inputs });
        const unsafe = /\d{16,}|e\+/.test(JSON.stringify(inputs));
        if (!unsafe) expect(result).toEqual({ ok: true, value: inputs });
      }),
    );
  });
});
