import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Event } from "../http/api.ts";
import { diffStat } from "./evidence.ts";
import { exitCodeOf } from "./exit.ts";
import { lineOf } from "./story.ts";
import { bytesText, oneLine, plain } from "./text.ts";

const ESCAPE = "\u001b[31mred\u001b[0m";

describe("what others wrote cannot drive the terminal", () => {
  it("whatever the text, no control character is left but line feeds and tabs", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const left = [...plain(text)].filter((char) => char !== "\n" && char !== "\t");
        expect(left.filter((char) => /[\p{Cc}\u202a-\u202e]/u.test(char))).toEqual([]);
      }),
    );
    expect(plain(`a\r\nb${ESCAPE}`)).toBe("a\nb[31mred[0m");
  });

  it("one line is one line, and no longer than asked", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: 40 }), (text, width) => {
        const line = oneLine(text, width);
        expect(line).not.toMatch(/[\n\t]/);
        expect([...line].length).toBeLessThanOrEqual(width);
      }),
    );
  });

  it("words of a model become one line of the story", () => {
    const event: Event = {
      seq: 1,
      at: "2026-01-31T12:00:00Z",
      kind: "effect_recorded",
      step: "change",
      text: null,
      data: {
        key: "turn:1/model",
        ms: 1,
        result: { ok: true, value: { reply: { text: `${ESCAPE}\nmore` } } },
      },
    };
    expect(lineOf(event, { width: 80, verbose: false })).toEqual({
      text: "change: “[31mred[0m”",
      tone: "said",
    });
    const call = {
      key: "turn:1/tool/0",
      label: 'edit {"path":"src/a b.js","old',
      ms: 12,
      result: { ok: true },
    };
    expect(lineOf({ ...event, data: call }, { width: 80, verbose: false })?.text).toBe(
      "change: edit src/a b.js (12ms)",
    );
  });
});

describe("small words", () => {
  it("counts the lines of a patch, not its headers", () => {
    const patch = [
      "diff --git a/a.txt b/a.txt",
      "--- a/a.txt",
      "+++ b/a.txt",
      "@@ -1 +1,2 @@",
      "-old",
      "+new",
      "+++ plus",
      "diff --git a/b.txt b/b.txt",
      "new file mode 100644",
    ].join("\n");
    expect(diffStat(patch)).toEqual([
      { path: "a.txt", added: 2, removed: 1 },
      { path: "b.txt", added: 0, removed: 0 },
    ]);
  });

  it("says sizes as people do", () => {
    expect([0, 1_023, 1_024, 5_242_880].map(bytesText)).toEqual(["0 B", "1023 B", "1.0 KB", "5.0 MB"]);
  });

  it("has an exit code for every kind of failure", () => {
    const codeOf = (code: string) => exitCodeOf({ code, message: "", retryable: false });
    expect(
      ["invalid_input", "unavailable", "canceled", "internal", "inbox_full", "a.plugin's"].map(codeOf),
    ).toEqual([2, 3, 4, 1, 3, 1]);
  });
});
