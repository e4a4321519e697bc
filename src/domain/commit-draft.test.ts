import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CommitFacts, fallbackCommitMessage } from "./commit-draft.ts";
import { type FileChange, SUBJECT_CHARS } from "./commit-message.ts";

function file(path: string, over: Partial<FileChange> = {}): FileChange {
  return { path, status: "modified", insertions: 1, deletions: 0, binary: false, ...over };
}
const added = (path: string) => file(path, { status: "added" });
const task = (title: string, ...changes: readonly string[]) => ({ title, changes });
const message = (files: readonly FileChange[], more: Partial<CommitFacts> = {}) =>
  fallbackCommitMessage({ files, patch: "", task: null, ...more });
const subject = (files: readonly FileChange[], more: Partial<CommitFacts> = {}) =>
  message(files, more).split("\n")[0];

describe("fallbackCommitMessage", () => {
  it("lists the files with their numbers of lines", () => {
    expect(message([file("src/app.ts", { insertions: 3, deletions: 1 })])).toBe(
      "chore: update src/app.ts\n\nM src/app.ts (+3 -1)\n\n1 file, 3 insertions, 1 deletion\n",
    );
    const mixed = [file("a/1", { status: "added", binary: true }), file("a/2", { status: "renamed" })];
    expect(message(mixed)).toBe(
      "feat: change 2 files in a\n\nA a/1 (binary)\nR a/2 (+1 -0)\n\n2 files, 2 insertions, 0 deletions\n",
    );
    expect(message([])).toBe("chore: change nothing\n");
  });

  it.each<[string, readonly FileChange[], string]>([
    [
      "only tests",
      [file("src/gateway/route.test.ts"), added("tests/a.ts")],
      "test: change 2 files in src/gateway and tests",
    ],
    ["only documents", [file("README.md"), file("docs/x.md")], "docs: update 2 files in the root and docs"],
    [
      "only the build",
      [file("package.json"), file("package-lock.json")],
      "build: update 2 files in the root",
    ],
    ["the build and documents", [file("pom.xml"), file("README.md")], "build: update 2 files in the root"],
    [
      "only the pipeline",
      [file(".github/workflows/ci.yml")],
      "ci(workflows): update .github/workflows/ci.yml",
    ],
    [
      "new source",
      [added("src/gateway/route.ts"), file("README.md")],
      "feat(gateway): change 2 files in the root and src/gateway",
    ],
    [
      "moved source",
      [file("src/a/x.ts", { status: "renamed" }), file("src/a/y.ts", { status: "deleted" })],
      "refactor: change 2 files in src/a",
    ],
    [
      "deleted source",
      [file("src/gateway/x.ts", { status: "deleted" })],
      "refactor(gateway): delete src/gateway/x.ts",
    ],
    [
      "source here and there",
      [file("a/b/1.ts"), file("a/b/2.ts"), file("z/q/y/1.ts"), file("docs/x.md")],
      "chore: update 4 files in a/b, docs and z/q",
    ],
    [
      "many areas",
      [file("ab/1.ts"), file("cd/1.ts"), file("ef/1.ts"), file("gh/1.ts")],
      "chore: update 4 files in ab, cd, ef and 1 more",
    ],
    ["a long path", [file(`${"very-long-folder/".repeat(6)}x.ts`)], "chore(very-long-folder): update x.ts"],
  ])("of %s", (_, files, expected) => {
    expect(subject(files)).toBe(expected);
  });

  it.each<[string, string]>([
    ["Fix the crash on an empty password", "fix(auth): fix the crash on an empty password"],
    ["Add dark mode.", "feat(auth): add dark mode"],
    ["Make the search faster", "perf(auth): make the search faster"],
    ["Rename UserDto to UserView", "refactor(auth): rename UserDto to UserView"],
    ["fix(login): redirect after the session ends", "fix(auth): redirect after the session ends"],
    ["OAuth for the API", "chore(auth): OAuth for the API"],
    ["Login is broken", "fix(auth): login is broken"],
    ["   ", "chore(auth): update src/auth/login.ts"],
  ])("for the task %j", (title, expected) => {
    expect(
      subject([file("src/auth/login.ts"), file("src/auth/login.ts")].slice(0, 1), { task: task(title) }),
    ).toBe(expected);
  });

  it("looks at what is to be changed when the title says nothing", () => {
    const facts = { task: task("The settings page", "introduce a toggle") };
    expect(subject([file("src/settings/page.ts")], facts)).toBe("feat(settings): the settings page");
  });

  it("names what the diff defines, and not what it only moved, or tests", () => {
    const patch = [
      "--- a/src/gateway/route.ts",
      "+++ b/src/gateway/route.ts",
      "+export function resolveTargets(",
      "-export class Moved {",
      "+export class Moved {",
      "+export const LIMIT = 3;",
      "+const local = 3;",
      "+++ b/src/gateway/route.test.ts",
      "+function helper() {",
    ];
    const files = [file("src/gateway/route.ts"), file("src/gateway/route.test.ts")];
    expect(subject(files, { patch: patch.join("\n") })).toBe("feat(gateway): add resolveTargets and LIMIT");
    const one = "+++ b/app/models.py\n+def load_users(path):";
    expect(subject([file("app/models.py")], { patch: one })).toBe("feat: add load_users");
    const many = `+++ b/x.go\n${["Aaa", "Bbb", "Ccc", "Ddd", "Eee"].map((name) => `+type ${name} struct {`).join("\n")}`;
    expect(subject([file("x.go")], { patch: many })).toBe("feat: add Aaa, Bbb, Ccc and 2 more");
  });

  it("is bounded, says what it left out, and shows no hidden characters", () => {
    const many = Array.from({ length: 40 }, (_, i) => file(`d${i}/${"x".repeat(60)}/f`));
    expect(message(many)).toContain("… and 10 more");
    const long = subject(many, { task: task(`Add ${"a very long wish ".repeat(20)}`) });
    expect(long?.length).toBeLessThanOrEqual(SUBJECT_CHARS);
    expect(long).toMatch(/^feat: add a very .*…$/);
    expect(subject(many, { task: task("x".repeat(200)) })).toHaveLength(SUBJECT_CHARS);
    expect(subject([file("a.ts")], { task: task("Add \u202edark\u0007 mode") })).toBe("feat: add dark mode");
  });

  it("does not depend on the order of the files", () => {
    const path = fc.stringMatching(/^[a-z]{1,4}(\/[a-z]{1,4}){0,3}$/);
    fc.assert(
      fc.property(fc.uniqueArray(path, { minLength: 1, maxLength: 12 }), (paths) => {
        const files = paths.map((p) => file(p));
        expect(message([...files].reverse())).toBe(message(files));
      }),
    );
  });
});
