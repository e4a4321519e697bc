import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clip, editDistance, nearest, slug } from "./text.ts";

/** Of the cut's mark, for texts of up to 999 characters. */
const MARK_CHARS = 33;
const prose = fc.string({ unit: fc.constantFrom("a", "é", "🦉", "\n", "…"), maxLength: 200 });
const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 8 });

describe("editDistance", () => {
  it.each([
    ["", "", 0],
    ["abc", "", 3],
    ["kitten", "sitting", 3],
    ["model", "modle", 2],
    ["Run", "run", 1],
  ])("of %j and %j is %i", (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
  });

  it("is a metric: nothing only between equals, the same both ways, never longer by a detour", () => {
    fc.assert(
      fc.property(word, word, word, (a, b, c) => {
        expect(editDistance(a, b) === 0).toBe(a === b);
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, c)).toBeLessThanOrEqual(editDistance(a, b) + editDistance(b, c));
      }),
    );
  });

  it("lies between the difference and the greater of the lengths", () => {
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = editDistance(a, b);
        expect(distance).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});

describe("nearest", () => {
  it.each<[string, readonly string[], string | null]>([
    ["neds", ["needs", "name", "uses"], "needs"],
    ["NEEDS", ["needs"], "needs"],
    ["a", ["zzzz"], null],
    ["timout", ["on_failure", "if"], null],
    ["ab", ["ac", "ad"], "ac"],
    ["x", [], null],
  ])("to %j among %j is %j", (written, known, meant) => {
    expect(nearest(written, known)).toBe(meant);
  });
});

describe("clip", () => {
  it("shows head and tail and says how much is missing between them", () => {
    expect(clip("abcdefghij".repeat(10), 7)).toEqual({
      text: "abcd\n… [93 characters left out] …\nhij",
      elided: 93,
    });
    expect(clip("x".repeat(100), 0)).toEqual({ text: "\n… [100 characters left out] …\n", elided: 100 });
  });

  it("leaves a text whole that the cut would make no shorter", () => {
    const text = "x".repeat(100);
    expect(clip(text, 100)).toEqual({ text, elided: 0 });
    expect(clip(text, 70)).toEqual({ text, elided: 0 });
    expect(clip(text, 1_000)).toEqual({ text, elided: 0 });
  });

  it("is never longer than the text or than its bound and the mark, and counts to the character", () => {
    fc.assert(
      fc.property(prose, fc.nat(80), (text, max) => {
        const clipped = clip(text, max);
        expect(clipped.text.length).toBeLessThanOrEqual(text.length);
        expect(clipped.text.length).toBeLessThanOrEqual(max + MARK_CHARS);
        const mark = clipped.elided === 0 ? null : `\n… [${clipped.elided} characters left out] …\n`;
        const [head = "", tail = ""] = mark === null ? [clipped.text] : clipped.text.split(mark);
        expect(text.startsWith(head) && text.endsWith(tail)).toBe(true);
        expect(head.length + tail.length + clipped.elided).toBe(text.length);
      }),
    );
  });

  it("cuts no character in two", () => {
    fc.assert(
      fc.property(fc.nat(40), fc.nat(3), (max, shift) => {
        const text = "x".repeat(shift) + "🦉".repeat(60);
        return clip(text, max).text.isWellFormed();
      }),
    );
  });
});

describe("slug", () => {
  it.each([
    ["Fix the login page!", 40, "fix-the-login-page"],
    ["Übergrößen & Café", 40, "u-bergro-en-cafe"],
    ["fix the login page", 8, "fix-the"],
    ["!!!", 40, "task"],
    ["", 40, "task"],
  ])("of %j in %i characters is %j", (text, max, expected) => {
    expect(slug(text, max)).toBe(expected);
  });

  it("is safe in a branch name and a path, and within its bound", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 4, max: 60 }), (text, max) => {
        const made = slug(text, max);
        expect(made).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
        expect(made.length).toBeLessThanOrEqual(max);
      }),
    );
  });
});
