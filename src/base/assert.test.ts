import { describe, expect, it } from "vitest";
import { assert, InvariantError, unreachable } from "./assert.ts";

describe("assert", () => {
  it("lets what holds pass and throws the broken invariant's own sentence", () => {
    expect(() => assert(1 < 2, "arithmetic broke")).not.toThrow();
    expect(() => assert(undefined, "arithmetic broke")).toThrow(new InvariantError("arithmetic broke"));
  });
});

describe("unreachable", () => {
  it("says which value slipped past the compiler", () => {
    expect(() => unreachable({ kind: "unheard-of" } as never)).toThrow(
      new InvariantError('unreachable: {"kind":"unheard-of"}'),
    );
  });
});
