import { execFileSync } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readdir, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createHostSandbox } from "../src/adapters/sandbox/host/host-sandbox.ts";
import { bashTool } from "../src/adapters/tools/bash.ts";
import { gitDiffTool, gitLogTool, gitStatusTool } from "../src/adapters/tools/git.ts";
import { searchTool } from "../src/adapters/tools/search.ts";
import type { Json } from "../src/base/json.ts";
import { NO_COMMANDS, toolLaws } from "../src/contracts/tool.suite.ts";
import type { Tool, ToolContext, ToolOutput } from "../src/contracts/tool.ts";
import { LIMITS } from "../src/domain/limits.ts";

const POSIX = process.platform !== "win32";
const sandbox = createHostSandbox();
const node = JSON.stringify(process.execPath);

function git(root: string, ...args: string[]): string {
  const identity = [
    "-c",
    "user.name=Test",
    "-c",
    "user.email=test@example.invalid",
    "-c",
    "commit.gpgsign=false",
  ];
  return execFileSync("git", [...identity, ...args], { cwd: root, encoding: "utf8" });
}

async function repository(root: string): Promise<void> {
  await rm(join(root, ".git"), { recursive: true, force: true });
  await rm(join(root, "folder", ".git"), { recursive: true, force: true });
  git(root, "init", "--quiet", "--initial-branch=main");
  git(root, "add", "a.txt", "folder");
  git(root, "commit", "--quiet", "-m", "first\n\nWith a body.");
}

const rewritten = async (root: string): Promise<void> => {
  await repository(root);
  const lines = Array.from({ length: 3_000 }, (_, i) => `new line ${i}\n`);
  await writeFile(join(root, "a.txt"), lines.join(""));
};

toolLaws({
  tool: bashTool,
  sandbox,
  valid: { command: "echo hi" },
  big: { command: `${node} -e "console.log('x'.repeat(99999))"` },
});
toolLaws({ tool: gitStatusTool, sandbox, prepare: repository, valid: {}, big: {} });
toolLaws({
  tool: gitDiffTool,
  sandbox,
  prepare: rewritten,
  valid: {},
  big: {},
  withPath: [(path) => ({ path })],
});
toolLaws({ tool: gitLogTool, sandbox, prepare: repository, valid: {}, withPath: [(path) => ({ path })] });

let root: string;
let context: ToolContext;
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "host-tools-")));
  context = { root, sandbox, signal: new AbortController().signal, seen: new Map() };
});
afterEach(() => rm(root, { recursive: true, force: true }));

const use = (tool: Tool, input: Json, more: Partial<ToolContext> = {}): Promise<ToolOutput> =>
  tool.execute(input, { ...context, ...more });
const bash = (command: string, more: object = {}): Promise<ToolOutput> => use(bashTool, { command, ...more });

describe("bash", () => {
  it("shows output, errors and the exit code", async () => {
    const output = await bash("echo out && echo err >&2 && exit 3");
    expect(output.text).toMatch(/^out *\n\[stderr]\nerr *\n\[exit code 3, \d+ms]$/);
    expect(output).toMatchObject({ isError: false, data: { exitCode: 3, timedOut: false } });
    expect((await bash(`${node} -e 0`)).text).toMatch(/^\[no output]\n\[exit code 0, /);
  });

  it.runIf(POSIX)("keeps nothing from one call to the next", async () => {
    await mkdir(join(root, "sub"));
    await bash("cd sub && export LEFT=over && LOCAL=1");
    expect((await bash('pwd; echo "[$LEFT$LOCAL]"')).text).toContain(`${root}\n[]`);
  });

  it("ends at its time limit and says how to get more", async () => {
    const output = await bash(`${node} -e "console.log('up'); setInterval(() => {}, 1000)"`, {
      timeout_seconds: 1,
    });
    expect(output).toMatchObject({ isError: true, data: { code: "command_timeout", timedOut: true } });
    expect(output.text).toMatch(/^up\n\[ended after 1\.\ds: the time limit of 1 s\. Raise `timeout_seconds`/);
  });

  it("ends when the call is canceled, and keeps what was printed", async () => {
    const stop = new AbortController();
    const command = `${node} -e "console.log('up'); setInterval(() => {}, 1000)"`;
    const output = await use(bashTool, { command }, { signal: stop.signal, onOutput: () => stop.abort() });
    expect(output).toMatchObject({ isError: true, data: { code: "canceled" } });
    expect(output.text).toContain("up\n[canceled after");
  });

  it("cuts long output once, with the exact number of bytes", async () => {
    for (const [bytes, also] of [
      [20_000, ""],
      [500_000, ""],
      [500_000, "; console.error('e'.repeat(500000))"],
    ] as const) {
      const output = await bash(`${node} -e "process.stdout.write('x'.repeat(${bytes}))${also}"`);
      expect(output.text.length).toBeLessThanOrEqual(LIMITS.toolOutputChars);
      const marks = [...output.text.matchAll(/\[(\d+) bytes left out]/g)].map((mark) => Number(mark[1]));
      const shown = [...output.text.matchAll(/x{20,}|e{20,}/g)].reduce(
        (sum, part) => sum + part[0].length,
        0,
      );
      expect(marks).toHaveLength(also === "" ? 1 : 2);
      expect(shown + marks.reduce((a, b) => a + b, 0)).toBe(bytes + (also === "" ? 0 : 500_000));
      expect(output.text).toMatch(/\[exit code 0, [^\]]+]$/);
    }
  });

  it("shows what a terminal would show in the end", async () => {
    const code =
      "process.stdout.write('\\u001b[31mred\\u001b[0m\\r\\n10%\\r50%\\rdone\\nbell\\u0007\\u0000')";
    await writeFile(join(root, "print.cjs"), code);
    expect((await bash(`${node} print.cjs`)).text).toMatch(/^red\ndone\nbell\uFFFD?\uFFFD\n\[exit code 0/);
  });

  it("is never asked again for a number that it may not have", async () => {
    expect((await bash("echo hi", { timeout_seconds: 999_999 })).text).toContain("hi");
    expect((await bash("echo hi", { timeout_seconds: -1 })).text).toContain("`timeout_seconds` is -1");
  });

  it("says after a crash that it does not know", async () => {
    const output = await bashTool.recover?.({ command: "npm publish" }, context);
    expect(output).toMatchObject({ isError: true, data: { code: "uncertain_effect" } });
    expect(output?.text).toContain('may or may not have taken effect, in full or in part: "npm publish"');
  });

  it("says that no command can be started", async () => {
    const output = await use(bashTool, { command: "echo" }, { sandbox: NO_COMMANDS });
    expect(output).toMatchObject({ isError: true, data: { code: "command_not_started" } });
  });
});

describe("git tools", () => {
  let template: string;
  beforeAll(async () => {
    template = await mkdtemp(join(tmpdir(), "git-tools-"));
    await mkdir(join(template, "folder"));
    await writeFile(join(template, "a.txt"), "one\n");
    await writeFile(join(template, "folder", "b.txt"), "two\n");
    await repository(template);
  });
  afterAll(() => rm(template, { recursive: true, force: true }));
  beforeEach(() => cp(template, root, { recursive: true }));

  it("show status, changes and history", async () => {
    await writeFile(join(root, "a.txt"), "1\n");
    await writeFile(join(root, "ünew file.txt"), "");
    expect((await use(gitStatusTool, {})).text).toBe('## main\n M a.txt\n?? "ünew file.txt"');
    const diff = (await use(gitDiffTool, {})).text;
    expect(diff).toContain("-one\n+1");
    expect((await use(gitDiffTool, { path: "folder" })).text).toBe("[no changes of tracked files]");
    expect((await use(gitDiffTool, { summary: true })).text).toContain("a.txt | 2 +-");
    git(root, "add", "a.txt");
    expect((await use(gitDiffTool, { staged: true })).text).toContain("+1");
    git(root, "commit", "--quiet", "-m", "second");
    expect((await use(gitDiffTool, { revision: "HEAD~1..HEAD" })).text).toContain("+1");
    expect((await use(gitLogTool, {})).text).toMatch(
      /^[0-9a-f]{7,} \d{4}-\d\d-\d\d Test: second\n[0-9a-f]{7,} \S+ Test: first$/,
    );
    expect((await use(gitLogTool, { limit: 1, path: "folder", messages: true })).text).toMatch(
      /first\s+With a body\./,
    );
  });

  it("run nothing that the repository configures", async () => {
    const trap = join(root, ".git", "trap.sh");
    await writeFile(trap, `#!/bin/sh\ntouch "${root}/trapped"\ncat\n`);
    await chmod(trap, 0o755);
    for (const key of [
      "core.fsmonitor",
      "core.pager",
      "diff.external",
      "diff.trap.textconv",
      "diff.trap.command",
      "pager.log",
    ]) {
      git(root, "config", key, trap);
    }
    await writeFile(join(root, ".gitattributes"), "*.txt diff=trap\n");
    await writeFile(join(root, "a.txt"), "1\n");
    for (const tool of [gitStatusTool, gitDiffTool, gitLogTool]) {
      expect(await use(tool, tool === gitLogTool ? { messages: true } : {})).toMatchObject({
        isError: false,
      });
    }
    await expect(stat(join(root, "trapped"))).rejects.toThrow("ENOENT");
  });

  it.each(["--output=x", "-O/tmp/x", "$(id)", "a b", "HEAD; id", "", ":/first", "-", "--", "^HEAD"])(
    "take %j for no revision",
    async (revision) => {
      for (const tool of [gitDiffTool, gitLogTool]) {
        expect(await use(tool, { revision })).toMatchObject({
          isError: true,
          data: { code: "tool_invalid_input" },
        });
      }
      expect((await readdir(root)).sort()).toEqual([".git", "a.txt", "folder"]);
    },
  );

  it("take a path for a path, not for a pattern", async () => {
    await writeFile(join(root, "a.txt"), "1\n");
    expect((await use(gitDiffTool, { path: ":(top)a.txt" })).text).toBe("[no changes of tracked files]");
    expect((await use(gitDiffTool, { path: "*.txt" })).text).toBe("[no changes of tracked files]");
  });

  it("show no repository that lies above the workspace", async () => {
    const inner = join(root, "folder");
    expect(await use(gitStatusTool, {}, { root: inner })).toMatchObject({
      isError: true,
      data: { code: "not_a_repository" },
    });
  });

  it("say what git says", async () => {
    const output = await use(gitLogTool, { revision: "no-such-branch" });
    expect(output).toMatchObject({ isError: true, data: { code: "git_failed" } });
    expect(output.text).toContain("no-such-branch");
  });

  it("say that git is missing", async () => {
    expect(await use(gitStatusTool, {}, { sandbox: NO_COMMANDS })).toMatchObject({
      isError: true,
      data: { code: "git_missing" },
    });
  });
});

const hasRipgrep = ((): boolean => {
  try {
    return execFileSync("rg", ["--version"], { stdio: "pipe" }).length > 0;
  } catch {
    return false;
  }
})();

describe.runIf(hasRipgrep)("search with ripgrep", () => {
  beforeEach(async () => {
    const files = {
      ".gitignore": "dist/\n",
      "dist/x.js": "hit\n",
      "a.txt": "one\ntwo Hit\nthree\n",
      "src/b.ts": "hit (1)\r\nhit (2)\r\n",
      "src/-dash.ts": "hit\n",
      "bin.dat": "hit\0",
      ".hidden": "hit\n",
      "latin.txt": Buffer.from("hit caf\xe9\n", "latin1"),
    };
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
    }
  });

  it.each<Json>([
    { pattern: "hit" },
    { pattern: "HIT", ignore_case: true },
    { pattern: "hit (", literal: true },
    { pattern: "hit", glob: "*.ts", context: 1 },
    { pattern: "hit", path: "src" },
    { pattern: "hit", path: "dist" },
    { pattern: "^t", context: 2 },
    { pattern: "\\)$" },
    { pattern: "hit(?! \\()" },
    { pattern: "nowhere" },
  ])("finds what our own scanner finds for %j", async (input) => {
    const own = await use(searchTool, input, { sandbox: NO_COMMANDS });
    // A file that is not UTF-8 is searched by ripgrep only, which shows bytes that we do not.
    expect((await use(searchTool, input)).text).toBe(own.text);
  });

  it("stops at the same bound", async () => {
    await writeFile(join(root, "many.txt"), "hit\n".repeat(1_000));
    const [own, rg] = [
      await use(searchTool, { pattern: "hit" }, { sandbox: NO_COMMANDS }),
      await use(searchTool, { pattern: "hit" }),
    ];
    expect(rg.text).toBe(own.text);
    expect(rg.text).toContain("[stopped after 200 hits");
  });
});
