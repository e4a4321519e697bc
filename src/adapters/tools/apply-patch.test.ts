import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NO_COMMANDS } from "../../contracts/tool.suite.ts";
import type { ToolContext, ToolOutput } from "../../contracts/tool.ts";
import { applyPatchTool } from "./apply-patch.ts";
import { readTool } from "./read.ts";

const POSIX = process.platform !== "win32";

let root: string;
let context: ToolContext;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "patch-"));
  context = { root, sandbox: NO_COMMANDS, signal: new AbortController().signal, seen: new Map() };
});
afterEach(() => rm(root, { recursive: true, force: true }));

const put = (path: string, text: string): Promise<void> => writeFile(join(root, path), text);
const get = (path: string): Promise<string> => readFile(join(root, path), "utf8");
const text = (...lines: string[]): string => ["*** Begin Patch", ...lines, "*** End Patch"].join("\n");
const apply = (...lines: string[]): Promise<ToolOutput> =>
  applyPatchTool.execute({ patch: text(...lines) }, context);
const recover = (...lines: string[]) => applyPatchTool.recover?.({ patch: text(...lines) }, context);

const PYTHON = `class A:
    def run(self):
        x = 1
        return x

class B:
    def run(self):
        x = 1
        return x
`;

describe("a patch", () => {
  it("adds, updates, moves and deletes files together", async () => {
    await put("change.txt", "one\ntwo\nthree\n");
    await put("move.txt", "a\nb\n");
    await put("gone.txt", "x");
    const output = await apply(
      ...["*** Add File: new/deep.txt", "+first", "+", "+third"],
      ...["*** Update File: change.txt", "@@", " one", "-two", "+2", "+2.5", " three"],
      ...["*** Update File: move.txt", "*** Move to: moved/there.txt", "-a", "+A", " b"],
      "*** Delete File: gone.txt",
    );
    expect(output).toMatchObject({
      isError: false,
      text: "Applied:\nA new/deep.txt\nM change.txt\nR move.txt -> moved/there.txt\nD gone.txt",
    });
    expect([...(output.changed ?? [])].sort()).toEqual([
      "change.txt",
      "gone.txt",
      "move.txt",
      "moved/there.txt",
      "new/deep.txt",
    ]);
    expect(await get("new/deep.txt")).toBe("first\n\nthird\n");
    expect(await get("change.txt")).toBe("one\n2\n2.5\nthree\n");
    expect(await get("moved/there.txt")).toBe("A\nb\n");
    expect((await readdir(root)).sort()).toEqual(["change.txt", "moved", "new"]);
  });

  it("finds its place by the lines that are named above it", async () => {
    await put("a.py", PYTHON);
    expect(
      (
        await apply(
          "*** Update File: a.py",
          "@@ class B:",
          "@@     def run(self):",
          "-        x = 1",
          "+        x = 2",
        )
      ).isError,
    ).toBe(false);
    expect(await get("a.py")).toBe(PYTHON.replace(/x = 1(?![\s\S]*x = 1)/, "x = 2"));
  });

  it("refuses what fits several places, and names them", async () => {
    await put("a.py", PYTHON);
    const output = await apply("*** Update File: a.py", "@@", "-        x = 1", "+        x = 2");
    expect(output.text).toContain('in "a.py", fits 2 places, at lines 3, 8');
    expect(await get("a.py")).toBe(PYTHON);
  });

  it("changes several places of a file, in order", async () => {
    await put("a.txt", "1\n2\n3\n4\n5\n6\n");
    await apply("*** Update File: a.txt", "@@", "-1", "+one", " 2", "@@", "-4", "@@", " 6", "+7");
    expect(await get("a.txt")).toBe("one\n2\n3\n5\n6\n7\n");
    const output = await apply("*** Update File: a.txt", "@@", "-5", "+five", "@@", "-2", "+two");
    expect(output.text).toContain("fits only at line 2, before");
  });

  it("adds at the end, after a named line, and to an empty file", async () => {
    await put("a.txt", "1\n2\n1\n");
    await apply("*** Update File: a.txt", "@@", " 1", "+end", "*** End of File");
    expect(await get("a.txt")).toBe("1\n2\n1\nend\n");
    await apply("*** Update File: a.txt", "@@ 2", "+after two");
    expect(await get("a.txt")).toBe("1\n2\nafter two\n1\nend\n");
    await apply("*** Update File: a.txt", "+last");
    expect(await get("a.txt")).toBe("1\n2\nafter two\n1\nend\nlast\n");
    await put("empty.txt", "");
    await apply("*** Update File: empty.txt", "+first");
    expect(await get("empty.txt")).toBe("first\n");
  });

  it.each([
    ["CRLF", "one\r\ntwo\r\nthree\r\n", "one\r\n2\r\n2b\r\nthree\r\n"],
    ["no final newline", "one\ntwo\nthree", "one\n2\n2b\nthree"],
    ["mixed line ends of other lines", "one\r\ntwo\nthree\n", "one\r\n2\n2b\nthree\n"],
    ["a byte order mark", "\ufeffone\ntwo\nthree\n", "\ufeffone\n2\n2b\nthree\n"],
    ["spaces at the ends of kept lines", "one  \ntwo\nthree\t\n", "one  \n2\n2b\nthree\t\n"],
  ])("keeps %s", async (_, before, after) => {
    await put("a.txt", before);
    expect(await apply("*** Update File: a.txt", "@@", " one", "-two", "+2", "+2b", " three")).toMatchObject({
      isError: false,
    });
    expect(await get("a.txt")).toBe(after);
  });

  it("keeps the end of a file whose last line it replaces", async () => {
    await put("a.txt", "one\ntwo");
    await apply("*** Update File: a.txt", "-two", "+2", "+3");
    expect(await get("a.txt")).toBe("one\n2\n3");
    await apply("*** Update File: a.txt", "-2", "-3");
    expect(await get("a.txt")).toBe("one");
  });

  it("never guesses indentation, and shows what is nearest", async () => {
    await put("a.py", PYTHON);
    const output = await apply(
      "*** Update File: a.py",
      "@@ class A:",
      " def run(self):",
      "-    x = 1",
      "+    x = 2",
    );
    expect(output.text).toContain("fits nowhere");
    expect(output.text).toContain("differs only in indentation");
    expect(output.text).toContain("2\t    def run(self):");
    expect(await get("a.py")).toBe(PYTHON);
  });

  it("is applied as a whole or not at all", async () => {
    await put("a.txt", "one\n");
    await put("b.txt", "two\n");
    const output = await apply(
      "*** Update File: a.txt",
      "-one",
      "+1",
      "*** Add File: c.txt",
      "+c",
      "*** Update File: b.txt",
      "-nope",
      "+2",
    );
    expect(output.isError).toBe(true);
    expect([await get("a.txt"), await get("b.txt"), (await readdir(root)).length]).toEqual([
      "one\n",
      "two\n",
      2,
    ]);
  });

  it("puts back what it wrote when a later write fails", async () => {
    await put("a.txt", "one\n");
    await put("blocked", "a file, where a folder would be needed\n");
    await chmod(join(root, "a.txt"), 0o640);
    const output = await apply(
      "*** Update File: a.txt",
      "-one",
      "+1",
      "*** Add File: new.txt",
      "+n",
      "*** Delete File: blocked",
      "*** Add File: blocked/x.txt",
      "+x",
    );
    expect(output.isError).toBe(true);
    expect(await get("a.txt")).toBe("one\n");
    expect((await readdir(root)).sort()).toEqual(["a.txt", "blocked"]);
    if (POSIX) expect((await stat(join(root, "a.txt"))).mode & 0o777).toBe(0o640);
  });

  it("sees its own earlier changes to a file", async () => {
    await put("a.txt", "one\ntwo\n");
    await apply("*** Update File: a.txt", "-one", "+1", "*** Update File: a.txt", " 1", "-two", "+2");
    expect(await get("a.txt")).toBe("1\n2\n");
    expect((await apply("*** Delete File: a.txt", "*** Add File: a.txt", "+anew")).isError).toBe(false);
    expect(await get("a.txt")).toBe("anew\n");
  });

  it("refuses what contradicts the workspace", async () => {
    await put("a.txt", "one\n");
    await put("b.txt", "two\n");
    expect((await apply("*** Add File: a.txt", "+x")).text).toContain("exists already");
    expect((await apply("*** Delete File: no.txt")).text).toContain("does not exist");
    expect((await apply("*** Update File: no.txt", "-a", "+b")).text).toContain("does not exist");
    expect((await apply("*** Update File: a.txt", "*** Move to: b.txt")).text).toContain("exists already");
  });

  it("refuses to change what has changed since it was read", async () => {
    await put("a.txt", "one\ntwo\n");
    await readTool.execute({ path: "a.txt" }, context);
    await put("a.txt", "one\ntwo\nthree\n");
    for (const lines of [["*** Update File: a.txt", "-one", "+1"], ["*** Delete File: a.txt"]]) {
      expect((await apply(...lines)).text).toContain("has changed since you read it");
    }
    expect(await get("a.txt")).toBe("one\ntwo\nthree\n");
  });

  it.runIf(POSIX)("does not delete what a link points to", async () => {
    await put("real.txt", "x\n");
    await symlink("real.txt", join(root, "link.txt"));
    expect((await apply("*** Delete File: link.txt")).text).toContain(
      'leads through a symbolic link to "real.txt"',
    );
    expect((await readdir(root)).sort()).toEqual(["link.txt", "real.txt"]);
  });

  it.runIf(POSIX)("keeps a moved script executable", async () => {
    await put("a.sh", "#!/bin/sh\n");
    await chmod(join(root, "a.sh"), 0o755);
    await apply("*** Update File: a.sh", "*** Move to: bin/b.sh");
    expect((await stat(join(root, "bin/b.sh"))).mode & 0o777).toBe(0o755);
  });
});

describe("the text of a patch", () => {
  it("may be wrapped as models wrap it", async () => {
    await put("a.txt", "one\n");
    const wrapped = `apply_patch <<'EOF'\n${text("*** Update File: a.txt", "@@ -1,1 +1,1 @@", "-one", "+1", "")}\nEOF\n`;
    expect((await applyPatchTool.execute({ patch: wrapped }, context)).isError).toBe(false);
    expect(
      (
        await applyPatchTool.execute(
          { patch: text("*** Update File: a.txt", "-1", "+2").replaceAll("\n", "\r\n") },
          context,
        )
      ).isError,
    ).toBe(false);
    expect(await get("a.txt")).toBe("2\n");
  });

  it.each([
    ["no frame", "*** Add File: x\n+a", "must begin with the line `*** Begin Patch`"],
    ["no end", "*** Begin Patch\n*** Add File: x\n+a", "must end with the line `*** End Patch`"],
    ["nothing in it", text(), "The patch is empty"],
    [
      "an unknown section",
      text("*** Rename File: x"),
      'Line 2 of the patch, "*** Rename File: x": expected `*** Add File: path`',
    ],
    [
      "a bare line in a new file",
      text("*** Add File: x", "+a", "b"),
      'Line 4 of the patch, "b": each line of a new file begins with `+`',
    ],
    [
      "a bare line in a change",
      text("*** Update File: a.txt", "@@", "one"),
      'Line 4 of the patch, "one": a line of a change begins with',
    ],
    [
      "a unified diff's heading",
      text("*** Update File: a.txt", "--- a", "+b", "diff x"),
      "Line 5 of the patch",
    ],
    ["no change", text("*** Update File: a.txt", " one"), "changes nothing"],
    ["lines after a deletion", text("*** Delete File: a.txt", "-one"), "a deleted file has no lines"],
  ])("is refused with %s", async (_, patch, words) => {
    await put("a.txt", "one\n");
    const output = await applyPatchTool.execute({ patch }, context);
    expect(output).toMatchObject({ isError: true, data: { code: "tool_invalid_input" } });
    expect(output.text).toContain(words);
  });

  it("says the same as the change it was made from", async () => {
    const line = fc.stringMatching(/^[a-c]{0,2}$/);
    const arbitrary = fc.tuple(fc.array(line, { maxLength: 8 }), fc.array(line, { maxLength: 8 }));
    await fc.assert(
      fc.asyncProperty(arbitrary, async ([before, after]) => {
        fc.pre(before.length > 0 && after.length > 0);
        await put("a.txt", before.map((x) => `${x}\n`).join(""));
        context.seen.clear();
        const output = await apply(
          "*** Update File: a.txt",
          "@@",
          ...before.map((x) => `-${x}`),
          ...after.map((x) => `+${x}`),
        );
        expect(output.text).toBe("Applied:\nM a.txt");
        expect(await get("a.txt")).toBe(after.map((x) => `${x}\n`).join(""));
      }),
      { numRuns: 80 },
    );
  });
});

describe("a patch whose outcome was lost", () => {
  const lines = [
    "*** Update File: a.txt",
    " one",
    "-two",
    "+2",
    "*** Add File: b.txt",
    "+b",
    "*** Delete File: c.txt",
  ];

  it("is found done, not begun, or half done", async () => {
    await put("a.txt", "one\ntwo\n");
    await put("c.txt", "c\n");
    expect(await recover(...lines)).toBeNull();
    await put("b.txt", "b\n");
    const half = await recover(...lines);
    expect(half).toMatchObject({ isError: true });
    expect(half?.text).toContain("a.txt: not done\nb.txt: done\nc.txt: not done");
    await put("a.txt", "one\n2\n");
    await rm(join(root, "c.txt"));
    expect(await recover(...lines)).toMatchObject({ isError: false });
  });

  it("is decided by what the agent had seen, where only lines are added", async () => {
    const insertion = ["*** Update File: a.txt", " one", "+two"];
    await put("a.txt", "one\ntwo\n");
    expect(await recover(...insertion)).toMatchObject({ isError: true });
    await readTool.execute({ path: "a.txt" }, context);
    expect(await recover(...insertion)).toBeNull();
    await put("a.txt", "one\ntwo\ntwo\n");
    expect(await recover(...insertion)).toMatchObject({ isError: false, changed: ["a.txt"] });
    expect((await apply("*** Update File: a.txt", "-one", "+1")).isError).toBe(false);
  });

  it("is left to the agent when a file cannot tell", async () => {
    await put("a.txt", "something else\n");
    expect(await recover("*** Update File: a.txt", " one", "-two", "+2")).toMatchObject({ isError: true });
    await mkdir(join(root, "b"));
    expect(await recover("*** Add File: b", "+x")).toMatchObject({ isError: true });
  });
});
