import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Json } from "../base/json.ts";
import { collectExpressions, evaluateTemplate, parseTemplate } from "./template.ts";
import type { Expressions, Scope } from "./workflow.ts";

/** A language of one word: a key of `inputs`. */
const words: Expressions = {
  evaluate(expression, scope) {
    if (expression === "absent") return { ok: true, value: null, absent: true };
    const value = (scope.inputs as Record<string, Json>)[expression];
    return value === undefined ? { ok: false, message: "no such word" } : { ok: true, value };
  },
  check: () => null,
  asksStatus: () => false,
};
const scope = (inputs: Json): Scope => ({
  inputs,
  run: { id: "run_1", workflow: "w", tenant: "t" },
  steps: {},
  status: { success: true, failure: false },
});
const evaluate = (value: Json, inputs: Json) => evaluateTemplate(value, scope(inputs), words);

describe("parseTemplate", () => {
  it.each([
    ["", [], false],
    ["plain $ {{ text }}", [{ kind: "text", text: "plain $ {{ text }}" }], false],
    ["${{ a }}", [{ kind: "expression", expression: "a", offset: 4 }], true],
    [
      "x ${{a}} y",
      [
        { kind: "text", text: "x " },
        { kind: "expression", expression: "a", offset: 5 },
        { kind: "text", text: " y" },
      ],
      false,
    ],
    [
      "${{ a }}${{ b }}",
      [
        { kind: "expression", expression: "a", offset: 4 },
        { kind: "expression", expression: "b", offset: 12 },
      ],
      false,
    ],
    ["$${{ a }}", [{ kind: "text", text: "${{ a }}" }], false],
    ['${{ "}}" }}', [{ kind: "expression", expression: '"}}"', offset: 4 }], true],
    ["${{ '\\'}}' }}", [{ kind: "expression", expression: "'\\'}}'", offset: 4 }], true],
    ['${{ r"\\" }}', [{ kind: "expression", expression: 'r"\\"', offset: 4 }], true],
    ['${{ """a"}}""" }}', [{ kind: "expression", expression: '"""a"}}"""', offset: 4 }], true],
    ['${{ {"a": {"b": 1}} }}', [{ kind: "expression", expression: '{"a": {"b": 1}}', offset: 4 }], true],
    ["${{ a } }}", [{ kind: "expression", expression: "a }", offset: 4 }], true],
  ])("splits %j", (text, parts, whole) => {
    expect(parseTemplate(text)).toEqual({ ok: true, parts, whole });
  });

  it.each([
    ["ab ${{ c", 3, "not closed"],
    ['${{ "never ends }}', 0, "not closed"],
    ["${{ }}", 0, "empty"],
  ])("refuses %j", (text, offset, message) => {
    const parsed = parseTemplate(text);
    expect(parsed).toMatchObject({ ok: false, offset });
    expect(parsed.ok ? "" : parsed.message).toContain(message);
  });

  it("never throws, and gives any text without an opener back as it is", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = parseTemplate(text);
        if (text.includes("${{")) return;
        expect(parsed).toEqual({
          ok: true,
          parts: text === "" ? [] : [{ kind: "text", text }],
          whole: false,
        });
      }),
    );
    const pieces = fc.constantFrom("${{", "}}", "$", "{", "}", '"', "'", "\\", "r", "a", " ");
    fc.assert(
      fc.property(fc.array(pieces), (parts) => {
        const text = parts.join("");
        const parsed = parseTemplate(text);
        if (!parsed.ok) expect(parsed.offset).toBeLessThan(text.length);
        else
          for (const part of parsed.parts) {
            if (part.kind === "expression") expect(text.startsWith(part.expression, part.offset)).toBe(true);
          }
      }),
    );
  });
});

describe("collectExpressions", () => {
  it("finds them at any depth with their paths, and what is malformed", () => {
    expect(
      collectExpressions({ a: ["${{ x }}", 1, null], b: { c: "y ${{ y }}" }, d: "${{ z", e: "no" }),
    ).toEqual([
      { ok: true, path: ["a", 0], expression: "x", offset: 4, whole: true },
      { ok: true, path: ["b", "c"], expression: "y", offset: 6, whole: false },
      { ok: false, path: ["d"], message: "`${{` is not closed by `}}`", offset: 0 },
    ]);
  });
});

describe("evaluateTemplate", () => {
  it("keeps the type of a whole expression and writes others into the text", () => {
    const inputs = { n: 1, s: "text", l: [1, "a"], z: null };
    expect(evaluate({ a: "${{ l }}", b: ["${{ n }} ${{ s }} ${{ l }} ${{ z }}"], c: true }, inputs)).toEqual({
      ok: true,
      value: { a: [1, "a"], b: ['1 text [1,"a"] null'], c: true },
    });
  });

  it("leaves out what is absent", () => {
    expect(evaluate({ a: "${{ absent }}", b: ["${{ absent }}"], c: "x${{ absent }}y" }, {})).toEqual({
      ok: true,
      value: { b: [null], c: "xy" },
    });
  });

  it("does not evaluate what an expression yields", () => {
    expect(evaluate("${{ s }}", { s: "${{ n }}" })).toEqual({ ok: true, value: "${{ n }}" });
    expect(evaluate("$${{ s }} ${{ s }}", { s: "v" })).toEqual({ ok: true, value: "${{ s }} v" });
  });

  it("names the place and the expression of the first failure", () => {
    expect(evaluate({ a: [1, "${{ nope }}"] }, {})).toEqual({
      ok: false,
      message: "`nope`: no such word",
      path: ["a", 1],
    });
    expect(evaluate({ a: "${{ n" }, {})).toMatchObject({ ok: false, path: ["a"] });
  });

  it("leaves any value without expressions as it is", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        if (JSON.stringify(value).includes("${{")) return;
        const text = JSON.stringify(value);
        expect(evaluate(JSON.parse(text) as Json, {})).toEqual({ ok: true, value: JSON.parse(text) });
      }),
    );
  });
});
