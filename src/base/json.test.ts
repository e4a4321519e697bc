import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson, type Json, jsonDepth } from "./json.ts";

describe("jsonDepth", () => {
  it("counts levels of arrays and objects", () => {
    expect(jsonDepth(1, 64)).toBe(0);
    expect(jsonDepth(null, 64)).toBe(0);
    expect(jsonDepth([], 64)).toBe(1);
    expect(jsonDepth({ a: [1, { b: 2 }] }, 64)).toBe(3);
  });

  it("stops one past the limit, however deep the value is", () => {
    const deep = JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`);
    expect(jsonDepth(deep, 64)).toBe(65);
  });

  it("takes a level of half a million members", () => {
    expect(jsonDepth([new Array(500_000).fill(0)], 64)).toBe(2);
  });

  it("agrees with the recursive definition", () => {
    const depth = (value: Json): number =>
      typeof value === "object" && value !== null
        ? 1 + Math.max(0, ...Object.values(value).map((item) => depth(item as Json)))
        : 0;
    fc.assert(fc.property(fc.jsonValue(), (value) => jsonDepth(value, 64) === depth(value as Json)));
  });
});

describe("canonicalJson", () => {
  it("is the same text for equal values, and valid JSON of the value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value as Json);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
    expect(canonicalJson({ b: 1, a: { d: 2, c: 3 } })).toBe('{"a":{"c":3,"d":2},"b":1}');
  });

  it("leaves out members without a value, as JSON does", () => {
    const holed: Record<string, Json | undefined> = { a: 1, b: undefined };
    expect(canonicalJson(holed as Json)).toBe(JSON.stringify(holed));
  });
});
