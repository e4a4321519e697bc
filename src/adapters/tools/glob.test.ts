import { matchesGlob } from "node:path/posix";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileGlob } from "./glob.ts";

const matches = (glob: string, path: string): boolean | undefined => compileGlob(glob)?.(path);

describe("a glob", () => {
  it.each([
    ["*.ts", "a.ts", true],
    ["*.ts", "src/deep/a.ts", true],
    ["*.ts", "a.tsx", false],
    ["src/*.ts", "src/a.ts", true],
    ["src/*.ts", "src/b/a.ts", false],
    ["src/**/*.ts", "src/a.ts", true],
    ["src/**/*.ts", "src/b/c/a.ts", true],
    ["**/test/**", "a/test/b/c.ts", true],
    ["**/test/**", "a/tests/b.ts", false],
    ["src/", "src/a/b.ts", true],
    ["./src/*.ts", "src/a.ts", true],
    ["/src/*.ts", "src/a.ts", true],
    ["*.{ts,js}", "x/a.js", true],
    ["{src,test}/**/*.{ts,tsx}", "test/x/a.tsx", true],
    ["a{b{c,d},e}", "abd", true],
    ["a?c", "abc", true],
    ["a?c", "ac", false],
    ["[a-c]1", "b1", true],
    ["[!a-c]1", "b1", false],
    ["[]x", "[]x", true],
    [".*", ".env", true],
    ["*", ".env", true],
    ["a+(b)", "a+(b)", true],
    ["🦊?", "🦊🦊", true],
  ])("%j and %j: %s", (glob, path, expected) => expect(matches(glob, path)).toBe(expected));

  it("is refused when it is too large or not closed", () => {
    for (const glob of ["{a,b", "a".repeat(501), "{a,b}".repeat(20)]) expect(compileGlob(glob)).toBeNull();
  });

  it("means what the platform's own globs mean", () => {
    const part = fc.constantFrom("a", "b", "ab", "*", "a*", "*b", "?", "a?b", "**", "[ab]", "{a,b}", "*a*");
    const name = fc.constantFrom("a", "b", "ab", "aab", "ba", "c");
    const glob = fc.array(part, { minLength: 2, maxLength: 4 }).map((parts) => parts.join("/"));
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
    fc.assert(
      fc.property(glob, path, (text, there) => {
        fc.pre(!text.endsWith("**"));
        expect(matches(text, there)).toBe(matchesGlob(there, text));
      }),
      { numRuns: 2_000 },
    );
  });

  it("takes no longer for a hostile pattern", () => {
    const started = performance.now();
    expect(matches(`${"*a".repeat(200)}b`, "a".repeat(255))).toBe(false);
    expect(matches(`${"**/".repeat(100)}b`, "a/".repeat(1_000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});
