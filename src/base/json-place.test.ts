import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonErrorPlace } from "./json-place.ts";

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe("jsonErrorPlace", () => {
  it.each<[string, number, number, number]>([
    ['{"workflow": }', 13, 1, 14],
    ['{\n  "a": 1,\n}', 12, 3, 1],
    ["", 0, 1, 1],
    ["[1, 2", 5, 1, 6],
    ["[1 2]", 3, 1, 4],
    ["{a: 1}", 1, 1, 2],
    ['{"a" 1}', 5, 1, 6],
    ["[1]]", 3, 1, 4],
    ["[}", 1, 1, 2],
    ["01", 0, 1, 1],
    ['["a\nb"]', 3, 1, 4],
    ['["\\x"]', 2, 1, 3],
    ['"never closed', 13, 1, 14],
    ['["a" "b"]', 5, 1, 6],
    ['"a"\n"b"', 4, 2, 1],
    ["tru", 0, 1, 1],
  ])("%j breaks at %i", (text, offset, line, column) => {
    expect(jsonErrorPlace(text)).toEqual({ offset, line, column });
  });

  it("finds nothing wrong with JSON, however deep", () => {
    fc.assert(fc.property(fc.json(), (text) => jsonErrorPlace(text) === null));
    expect(jsonErrorPlace(JSON.stringify(["x".repeat(1_000_000), "\\n".repeat(500_000)]))).toBeNull();
    expect(jsonErrorPlace(` ${"[".repeat(100_000)}${"]".repeat(100_000)}\n`)).toBeNull();
  });

  it("agrees with the parser on what is JSON, for texts that nearly are", () => {
    const nearly = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.constantFrom("", ",", "}", "]", '"', "1", ":", "\\", " ", "-", "e", "\n"),
      )
      .map(([text, at, char]) => {
        const cut = at % (text.length + 1);
        return text.slice(0, cut) + char + text.slice(char === "" ? cut + 1 : cut);
      });
    fc.assert(fc.property(nearly, (text) => (jsonErrorPlace(text) === null) === isJson(text)));
    fc.assert(fc.property(fc.string(), (text) => (jsonErrorPlace(text) === null) === isJson(text)));
  });

  it("everything before the place could still have become JSON", () => {
    const broken = fc.json().map((text) => `${text.slice(0, -1)}\u0001`);
    fc.assert(
      fc.property(broken, (text) => {
        const place = jsonErrorPlace(text);
        return place !== null && place.offset <= text.length;
      }),
    );
  });
});
