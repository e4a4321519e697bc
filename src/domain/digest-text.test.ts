import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestText } from "./digest-text.ts";

const noise = (n: number) =>
  Array.from({ length: n }, (_, i) => `compiling module ${"abcdefgh"[i % 8]} ${i}`);

describe("digestText", () => {
  it("leaves a short text as it is", () => {
    expect(digestText("  all is well\r\n", 100)).toBe("all is well");
  });

  it("keeps beginning, end, failures and decisions in their order, and counts what is missing", () => {
    const text = [
      "Build of shop",
      ...noise(60),
      "Error: cannot find module './cart' at src/index.ts:3",
      ...noise(60),
      "We decided to keep the old API.",
      "",
      ...noise(30),
      "3 tests passed, 1 failed",
      "exit code 1",
    ].join("\n");
    const digest = digestText(text, 400);
    expect(digest.split("\n")).toEqual([
      "Build of shop",
      "compiling module a 0",
      "compiling module b 1",
      "… [58 lines left out] …",
      "Error: cannot find module './cart' at src/index.ts:3",
      "… [60 lines left out] …",
      "We decided to keep the old API.",
      "… [31 lines left out] …",
      "3 tests passed, 1 failed",
      "exit code 1",
    ]);
  });

  it("tells a repeated failure once, and one missing line in the singular", () => {
    const told = ["retry 1 failed", "xxxx", "so decided", "retry 2 failed", "yyyy"];
    const text = ["start", "a", "b", ...told, "c", "d", "e", "end"].join("\n");
    const digest = digestText(text, 50);
    expect(digest).toContain("retry 1 failed");
    expect(digest).not.toContain("retry 2 failed");
    expect(digest).toContain("… [1 line left out] …");
  });

  it("cuts endless lines in the middle", () => {
    expect(digestText("x".repeat(5_000), 200)).toMatch(/^x{100}\n… \[4800 characters left out\] …\nx{100}$/);
    const lines = digestText(`${"a".repeat(900)}\nfailed ${"b".repeat(900)}\nend\n${"c".repeat(2_000)}`, 800);
    expect(lines).toContain("characters left out");
    expect(lines.length).toBeLessThan(1_000);
  });

  it("is never much longer than asked for, and holds only what was there", () => {
    const line = fc.oneof(fc.string({ maxLength: 60 }), fc.constant("it failed again"), fc.constant(""));
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 80 }),
        fc.integer({ min: 50, max: 2_000 }),
        (lines, maxChars) => {
          const text = lines.join("\n");
          const digest = digestText(text, maxChars);
          const marks = digest.match(/^… \[.*left out\] …$/gm)?.join("\n").length ?? 0;
          expect(digest.length - 2 * marks).toBeLessThanOrEqual(maxChars + 60);
          expect(digestText(text, maxChars)).toBe(digest);
        },
      ),
    );
  });
});
