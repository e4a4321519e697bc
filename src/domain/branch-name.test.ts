import { execFileSync, spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isBranchName, taskBranch } from "./branch-name.ts";

const gitTakes = (name: string) => spawnSync("git", ["check-ref-format", "--branch", name]).status === 0;

describe("taskBranch", () => {
  it("names the task and what it is about", () => {
    expect(taskBranch({ id: "42", title: "Fix the login page!" })).toBe("feature/task-42-fix-the-login-page");
  });

  it("is a branch for git whatever the task is called", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string(),
      fc.constantFrom("..", "-", "a.lock", "@{"),
    );
    fc.assert(
      fc.property(text, text, (id, title) => {
        const name = taskBranch({ id, title });
        expect(isBranchName(name)).toBe(true);
        expect(gitTakes(name)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});

describe("isBranchName", () => {
  const pieces = fc.constantFrom(
    "a",
    "B",
    "/",
    ".",
    "-",
    "@",
    "{",
    "lock",
    ".lock",
    "HEAD",
    " ",
    "~",
    "^",
    ":",
    "\\",
    "*",
    "[",
    "é",
    "_",
    "+",
  );

  it("takes nothing that git refuses", () => {
    fc.assert(
      fc.property(fc.array(pieces, { minLength: 1, maxLength: 6 }), (parts) => {
        const name = parts.join("");
        if (isBranchName(name)) expect(gitTakes(name), name).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it("refuses what is no branch, and takes what people use", () => {
    const bad = [
      "",
      "HEAD",
      "@",
      "-x",
      "a..b",
      "a.",
      ".a",
      "a/.b",
      "a.LOCK",
      "a/b.lock/c",
      "/a",
      "a/",
      "a//b",
      "a b",
      "a;b",
      "$(x)",
      "x".repeat(201),
    ];
    for (const name of bad) expect(isBranchName(name), name).toBe(false);
    const good = [
      "main",
      "feature/task-1-x",
      "auto/2026-11-20T10-00",
      "a.b",
      "dependabot/npm_and_yarn/x-1.2.3",
      "fix/#12",
      "@a",
    ];
    for (const name of good) {
      expect(isBranchName(name), name).toBe(true);
      expect(gitTakes(name), name).toBe(true);
    }
  });

  it("was tried against a real git", () => {
    expect(execFileSync("git", ["--version"], { encoding: "utf8" })).toMatch(/^git version 2\./);
  });
});
