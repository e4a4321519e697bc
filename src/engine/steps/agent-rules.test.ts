import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readRules } from "./agent-rules.ts";

let root = "";
beforeEach(() => {
  root = join(realpathSync(mkdtempSync(join(tmpdir(), "rules-"))), "repo");
  mkdirSync(root);
});
afterEach(() => rmSync(dirname(root), { recursive: true, force: true }));

function put(path: string, content: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

const paths = async (hints: readonly string[]) => (await readRules(root, hints)).map((rules) => rules.path);

describe("the rules of a repository", () => {
  it("are those of the root, then the nearest above each hinted path", async () => {
    put("AGENTS.md", "root");
    put("a/AGENTS.md", "a");
    put("a/b/AGENTS.md", "b");
    put("c/x.ts", "");
    expect(await paths([])).toEqual(["AGENTS.md"]);
    expect(await paths(["a/b/c/d.ts"])).toEqual(["AGENTS.md", "a/b/AGENTS.md"]);
    expect(await paths(["a/x.ts", "a/b/*.ts", "./a/b", "c/x.ts"])).toEqual([
      "AGENTS.md",
      "a/AGENTS.md",
      "a/b/AGENTS.md",
    ]);
    expect(await paths(["../a/x.ts", "/a/x.ts", "**/*.ts", ""])).toEqual(["AGENTS.md"]);
  });

  it("may be called otherwise, when there is no AGENTS.md", async () => {
    put("GEMINI.md", "g");
    expect(await paths([])).toEqual(["GEMINI.md"]);
    put("CLAUDE.md", "c");
    expect(await paths([])).toEqual(["CLAUDE.md"]);
    put("AGENTS.md", "a");
    expect(await paths([])).toEqual(["AGENTS.md"]);
  });

  it("are not there when there are none", async () => {
    put("AGENTS.md/x", "a folder");
    expect(await readRules(root, ["a/b"])).toEqual([]);
  });

  it("are cut visibly when they are too long, and not read at all when they are enormous", async () => {
    put("AGENTS.md", "x".repeat(30_000));
    put("a/AGENTS.md", "y".repeat(300_000));
    const [first, second] = await readRules(root, ["a/b.ts"]);
    expect(first).toMatchObject({
      elided: 6_000,
      text: expect.stringContaining("[6000 characters left out]"),
    });
    expect(second?.text).toBe("[300000 bytes: too large to be read]");
  });

  it.skipIf(process.platform === "win32")(
    "may be a link inside the repository, never one out of it",
    async () => {
      put("docs/rules.md", "linked");
      symlinkSync(join(root, "docs/rules.md"), join(root, "AGENTS.md"));
      expect((await readRules(root, []))[0]?.text).toBe("linked");
      writeFileSync(join(root, "../secret.md"), "secret");
      mkdirSync(join(root, "a"));
      symlinkSync(join(root, "../secret.md"), join(root, "a/AGENTS.md"));
      symlinkSync(join(root, ".."), join(root, "up"));
      expect(await paths(["a/x.ts", "up/x.ts"])).toEqual(["AGENTS.md"]);
    },
  );
});
