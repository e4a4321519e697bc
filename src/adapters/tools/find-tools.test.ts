import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Json } from "../../base/json.ts";
import { NO_COMMANDS } from "../../contracts/tool.suite.ts";
import type { ToolContext } from "../../contracts/tool.ts";
import { listTool } from "./list.ts";
import { searchTool } from "./search.ts";

const POSIX = process.platform !== "win32";

let root: string;
let context: ToolContext;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "find-tools-"));
  context = { root, sandbox: NO_COMMANDS, signal: new AbortController().signal, seen: new Map() };
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function put(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}
const list = async (input: Json = {}): Promise<string> => (await listTool.execute(input, context)).text;
const search = async (input: Json): Promise<string> => (await searchTool.execute(input, context)).text;

const PROJECT = {
  ".gitignore": "dist/\n*.log\n!keep.log\n/only-root.txt\n",
  "README.md": "# Project\n",
  "dist/bundle.js": "login()",
  "error.log": "login failed",
  "keep.log": "login kept",
  "only-root.txt": "login",
  "src/main.ts": "import { login } from './login';\nlogin();\n",
  "src/login.ts": "export function login() {}\n",
  "src/only-root.txt": "Login here\n",
  "src/sub/.gitignore": "*.tmp\n!important.tmp\n",
  "src/sub/x.tmp": "login",
  "src/sub/important.tmp": "login",
  "node_modules/pkg/index.js": "login",
  ".git/config": "login",
  ".env.example": "LOGIN=1\n",
};

describe("list", () => {
  it("shows two levels, ignored things left out", async () => {
    await put(PROJECT);
    expect(await list()).toBe(
      [
        ...[".env.example", ".gitignore", "README.md", "keep.log", "src/", "src/login.ts", "src/main.ts"],
        ...["src/only-root.txt", "src/sub/", "[folders are opened to depth 2 only]"],
      ].join("\n"),
    );
  });

  it("goes as deep as asked, and from any folder", async () => {
    await put(PROJECT);
    expect(await list({ path: "src", depth: 3 })).toContain("src/sub/important.tmp");
    expect(await list({ path: "src", depth: 3 })).not.toContain("x.tmp");
    expect(await list({ depth: 1 })).not.toContain("main.ts");
  });

  it("finds files by pattern at any depth", async () => {
    await put(PROJECT);
    expect(await list({ glob: "*.ts" })).toBe("src/login.ts\nsrc/main.ts");
    expect(await list({ glob: "src/*/*" })).toBe("src/sub/.gitignore\nsrc/sub/important.tmp");
    expect(await list({ glob: "*.py" })).toBe("[no file fits the pattern]");
    expect(await list({ glob: "{a" })).toContain("a brace of it is not closed");
  });

  it("shows an ignored folder to whoever names it, but never git's own", async () => {
    await put(PROJECT);
    expect(await list({ path: "node_modules/pkg" })).toBe("node_modules/pkg/index.js");
    expect(await list({ path: "dist" })).toBe("dist/bundle.js");
    expect(await list({ path: ".git" })).toContain("git's own folder");
  });

  it("says what it is asked in vain", async () => {
    await put(PROJECT);
    await mkdir(join(root, "empty"));
    expect(await list({ path: "empty" })).toBe("[the folder is empty]");
    expect(await list({ path: "nowhere" })).toContain("does not exist");
    expect(await list({ path: "README.md" })).toContain("is a file");
    expect(await list({ depth: 99 })).toContain("`depth` is 99");
  });

  it.runIf(POSIX)("names links without following them, and no name breaks a line", async () => {
    await put({ "a/x.txt": "" });
    await symlink("a", join(root, "b"));
    await symlink("/etc", join(root, "etc"));
    await writeFile(join(root, "two\nlines"), "");
    expect(await list()).toBe('a/\na/x.txt\nb (symbolic link)\netc (symbolic link)\n"two\\nlines"');
  });

  it("stops with the call", async () => {
    await put(PROJECT);
    const stop = new AbortController();
    stop.abort();
    expect(await listTool.execute({}, { ...context, signal: stop.signal })).toMatchObject({ isError: true });
  });
});

describe("search without ripgrep", () => {
  it("shows path, line and text, ignored files left out", async () => {
    await put(PROJECT);
    expect(await search({ pattern: "\\blogin\\(" })).toBe(
      "src/login.ts:1: export function login() {}\nsrc/main.ts:2: login();",
    );
    expect(await search({ pattern: "login", literal: true, glob: "*.log" })).toBe("keep.log:1: login kept");
    expect(await search({ pattern: "login", path: "node_modules" })).toBe(
      "node_modules/pkg/index.js:1: login",
    );
    expect(await search({ pattern: "login", path: "src/login.ts" })).toContain("src/login.ts:1:");
    expect(await search({ pattern: "nowhere to be found" })).toBe("[no hits]");
  });

  it("takes case as asked, and plain text as plain", async () => {
    await put({ "a.txt": "Login\nlog.in (x)\nlogXin\n" });
    expect(await search({ pattern: "login", ignore_case: true })).toBe("a.txt:1: Login");
    expect(await search({ pattern: "(?i)LOGIN" })).toBe("a.txt:1: Login");
    expect(await search({ pattern: "log.in (", literal: true })).toBe("a.txt:2: log.in (x)");
    expect(await search({ pattern: "log.in (" })).toContain("is no regular expression");
  });

  it("shows lines around a hit once, with a gap between groups", async () => {
    await put({ "a.txt": "1\n2 hit\n3\n4 hit\n5\n6\n7\n8\n9 hit\n" });
    expect(await search({ pattern: "hit", context: 1 })).toBe(
      "a.txt-1- 1\na.txt:2: 2 hit\na.txt-3- 3\na.txt:4: 4 hit\na.txt-5- 5\n--\na.txt-8- 8\na.txt:9: 9 hit",
    );
  });

  it("shows the part of a long line that has the hit", async () => {
    await put({ "a.txt": `${"x".repeat(5_000)}HIT${"y".repeat(5_000)}\n` });
    const text = await search({ pattern: "HIT" });
    expect(text).toMatch(/^a\.txt:1: …x+HITy+…$/);
    expect(text.length).toBeLessThan(400);
  });

  it("skips binary files and says which large ones it left out", async () => {
    await put({ "a.bin": "hit\0", "b.txt": "hit\n", "c.txt": "hit\n".repeat(300_000) });
    expect(await search({ pattern: "hit" })).toBe(
      "b.txt:1: hit\n[1 files above 1048576 bytes were not searched]",
    );
  });

  it("stops after its bound and says so, but not when there is nothing more", async () => {
    await put({ "a.txt": "hit\n".repeat(200) });
    expect(await search({ pattern: "hit" })).not.toContain("[");
    await put({ "b.txt": "hit\n" });
    expect(await search({ pattern: "hit" })).toContain("[stopped after 200 hits");
  });

  it("is not held up by a pattern that takes for ever, and goes on with other files", async () => {
    await put({ "a.txt": `${"a".repeat(60)}b\n`, "b.txt": "aaac\n" });
    const ticks: number[] = [];
    const ticking = setInterval(() => ticks.push(performance.now()), 20);
    const text = await search({ pattern: "^(a+)+c$" });
    clearInterval(ticking);
    expect(text).toBe("b.txt:1: aaac\n[left out, because the pattern took too long: a.txt]");
    const longest = Math.max(...ticks.slice(1).map((at, i) => at - (ticks[i] ?? at)));
    expect(longest).toBeLessThan(1_000);
  });

  it("ends a hopeless pattern when the call is canceled", async () => {
    await put({ "a.txt": `${"a".repeat(60)}b\n` });
    const stop = new AbortController();
    const started = performance.now();
    const answer = searchTool.execute({ pattern: "^(a+)+c$" }, { ...context, signal: stop.signal });
    setTimeout(() => stop.abort(), 100);
    expect(await answer).toMatchObject({ isError: true, data: { code: "canceled" } });
    expect(performance.now() - started).toBeLessThan(1_900);
  });
});
