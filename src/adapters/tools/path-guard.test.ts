import { posix, win32 } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkPath, isGitName } from "./path-guard.ts";

const namesOf = (path: string, platform: NodeJS.Platform = "linux"): readonly string[] | string => {
  const result = checkPath(path, platform);
  return result.ok ? result.value : result.failure.code;
};

describe("the text of a path", () => {
  it.each([
    ["src/a.ts", ["src", "a.ts"]],
    ["./src//a.ts", ["src", "a.ts"]],
    ["src\\a.ts", ["src", "a.ts"]],
    ["src/../b", ["b"]],
    ["a/b/../../c", ["c"]],
    [".", []],
    ["", []],
    ["src/", ["src"]],
    ["...", ["..."]],
    ["..a/b..", ["..a", "b.."]],
    ["~a", ["~a"]],
    [".gitignore", [".gitignore"]],
    [".github/workflows/x.yml", [".github", "workflows", "x.yml"]],
    [".gitattributes", [".gitattributes"]],
    ["git", ["git"]],
    ["a.git", ["a.git"]],
    ["%2e%2e/x", ["%2e%2e", "x"]],
    ["aux.c", ["aux.c"]],
    ["file:name", ["file:name"]],
    ["ünï/ço dé.ts", ["ünï", "ço dé.ts"]],
  ])("reads %j", (path, names) => expect(namesOf(path)).toEqual(names));

  it.each([
    "..",
    "../a",
    "a/../..",
    "a/../../a",
    "..\\a",
    "/a",
    "\\a",
    "//a/b",
    "C:\\a",
    "c:a",
    "~",
    "~/a",
    "a\0b",
    "a\tb",
  ])("refuses %j on every system", (path) => {
    for (const platform of ["linux", "darwin", "win32"] as const) {
      expect(namesOf(path, platform)).toBe("workspace_escape");
    }
  });

  it.each([
    "con",
    "CON.txt",
    "nul",
    "a/Aux.c",
    "com1.log",
    "LPT¹",
    "CONIN$",
    "a.",
    "a ",
    "a./b",
    "xx:y",
    "a?",
    "a|b",
    "nul .txt",
  ])("refuses %j on Windows, where it means something else", (path) => {
    expect(namesOf(path, "win32")).toBe("workspace_escape");
    expect(namesOf(path, "linux")).not.toBe("workspace_escape");
  });

  it("names the path, what is wrong with it and what to use", () => {
    const result = checkPath("../../etc/passwd");
    expect(!result.ok && result.failure.message).toBe(
      'The path "../../etc/passwd" leaves the workspace by `..`. Use a path relative to the workspace\'s root.',
    );
  });
});

describe("git's own folder", () => {
  it.each([
    ".git",
    ".GIT",
    ".Git",
    ".git.",
    ".git ",
    ".git . .",
    ".git::$DATA",
    "git~1",
    "GIT~1",
    ".g\u200dit",
    ".gıt",
    "\u202e.git",
  ])("is %j, too", (name) => expect(isGitName(name)).toBe(true));
  it.each([".gitignore", ".git-x", "git", "git~2", "x.git", ".gi", ". git"])("is not %j", (name) =>
    expect(isGitName(name)).toBe(false),
  );
});

describe("hostile paths", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "..",
      ".",
      "",
      "/",
      "\\",
      "~",
      ".git",
      ".GIT",
      "C:",
      "a",
      "b.txt",
      "\0",
      " ",
      "...",
      ".. ",
      "con",
      "git~1",
    ),
    fc.string({ unit: "grapheme", maxLength: 6 }),
  );
  const path = fc
    .array(fc.tuple(piece, fc.constantFrom("/", "\\", "")), { maxLength: 12 })
    .map((parts) => parts.flat().join(""));

  it("never lead out, by the rules of either kind of system", () => {
    fc.assert(
      fc.property(path, fc.constantFrom<NodeJS.Platform>("linux", "win32", "darwin"), (text, platform) => {
        const result = checkPath(text, platform);
        if (!result.ok) return;
        for (const name of result.value) expect(name).toMatch(/^(?!\.{0,2}$)[^\\/\0]+$/);
        expect(result.value.some(isGitName)).toBe(false);
        const there = posix.resolve("/work/space", ...result.value);
        expect(there === "/work/space" || there.startsWith("/work/space/")).toBe(true);
        if (platform !== "win32") return;
        const windows = win32.resolve("D:\\work\\space", ...result.value);
        expect(windows === "D:\\work\\space" || windows.startsWith("D:\\work\\space\\")).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });

  it("read the same a second time", () => {
    fc.assert(
      fc.property(path, (text) => {
        const once = checkPath(text, "linux");
        if (once.ok) expect(checkPath(once.value.join("/"), "linux")).toEqual(once);
      }),
    );
  });
});
