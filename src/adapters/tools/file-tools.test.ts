import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Json } from "../../base/json.ts";
import { NO_COMMANDS } from "../../contracts/tool.suite.ts";
import type { Tool, ToolContext, ToolOutput } from "../../contracts/tool.ts";
import { editTool } from "./edit.ts";
import { readTool } from "./read.ts";
import { writeTool } from "./write.ts";

const POSIX = process.platform !== "win32";

let root: string;
let context: ToolContext;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "file-tools-"));
  context = { root, sandbox: NO_COMMANDS, signal: new AbortController().signal, seen: new Map() };
});
afterEach(() => rm(root, { recursive: true, force: true }));

const put = (path: string, text: string | Buffer): Promise<void> => writeFile(join(root, path), text);
const get = (path: string): Promise<string> => readFile(join(root, path), "utf8");
const use = (tool: Tool, input: Json): Promise<ToolOutput> => tool.execute(input, context);
const edit = (old_text: string, new_text: string, more: object = {}): Promise<ToolOutput> =>
  use(editTool, { path: "a.txt", old_text, new_text, ...more });

describe("read", () => {
  it("numbers lines, and says which part it shows", async () => {
    await put("a.txt", "one\n\n  three\nfour\n");
    expect((await use(readTool, { path: "a.txt" })).text).toBe("1\tone\n2\t\n3\t  three\n4\tfour");
    const part = await use(readTool, { path: "a.txt", offset: 2, limit: 2 });
    expect(part.text).toBe("2\t\n3\t  three\n[lines 2-3 of 4; go on with offset 4]");
  });

  it("can be followed by its own advice to the last line of a long file", async () => {
    const lines = Array.from({ length: 5_000 }, (_, i) => `text of line ${i}`);
    await put("a.txt", `${lines.join("\n")}\n`);
    const seen: string[] = [];
    let offset: number | undefined = 1;
    while (offset !== undefined) {
      const { text }: ToolOutput = await use(readTool, { path: "a.txt", offset });
      for (const line of text.split("\n")) if (/^\d+\t/.test(line)) seen.push(line.replace(/^\d+\t/, ""));
      const next: string | undefined = /go on with offset (\d+)/.exec(text)?.[1];
      offset = next === undefined ? undefined : Number(next);
    }
    expect(seen).toEqual(lines);
  });

  it("says what is special about a file", async () => {
    await put("a.txt", "one\r\ntwo");
    expect((await use(readTool, { path: "a.txt" })).text).toBe(
      "1\tone\n2\ttwo\n[lines end in CRLF; edits keep that]\n[no newline at the end of the file]",
    );
    await put("a.txt", "");
    expect((await use(readTool, { path: "a.txt" })).text).toBe("[the file is empty]");
    await put("a.txt", `${"x".repeat(5_000)}\n`);
    expect((await use(readTool, { path: "a.txt" })).text).toContain(
      "[3000 characters of this line left out]",
    );
  });

  it.each([
    ["binary", Buffer.from([1, 2, 0, 3]), "binary or not UTF-8 text (4 bytes)"],
    ["Latin-1", Buffer.from("caf\xe9", "latin1"), "not UTF-8"],
    ["UTF-16", Buffer.from("\ufefftext", "utf16le"), "binary or not UTF-8"],
    ["huge", Buffer.alloc(2_000_000, "x"), "has 2000000 bytes; at most 1 MiB"],
  ])("refuses a %s file with its size", async (_, bytes, words) => {
    await put("a.txt", bytes);
    const output = await use(readTool, { path: "a.txt" });
    expect(output.isError).toBe(true);
    expect(output.text).toContain(words);
  });

  it("helps with a path that is nearly right", async () => {
    await mkdir(join(root, "src"));
    await put("src/login-page.ts", "x");
    expect((await use(readTool, { path: "src/login_page.ts" })).text).toContain(
      'Did you mean "src/login-page.ts"?',
    );
    expect((await use(readTool, { path: "lib/x.ts" })).text).toContain('Neither does the folder "lib"');
    expect((await use(readTool, { path: "src" })).text).toContain("is a folder");
    expect((await use(readTool, { path: "src/login-page.ts/x" })).text).toContain("does not exist");
  });

  it("takes what models write for numbers, flags and nothing", async () => {
    await put("a.txt", "one\ntwo\n");
    expect((await use(readTool, { path: "a.txt", offset: "2", limit: null })).text).toContain("2\ttwo");
    expect((await use(readTool, '{"path":"a.txt"}')).isError).toBe(false);
    expect((await use(readTool, { path: "a.txt", offset: "two" })).text).toContain('`offset` is "two"');
    expect((await use(readTool, { path: "a.txt", ofset: 2 })).text).toContain("Did you mean `offset`?");
  });
});

describe("write", () => {
  it("makes a new file and its folders", async () => {
    const output = await use(writeTool, { path: "x/y/z.txt", content: "a\nb\n" });
    expect(output).toMatchObject({
      isError: false,
      changed: ["x/y/z.txt"],
      text: 'Created "x/y/z.txt" (2 lines).',
    });
    expect(await get("x/y/z.txt")).toBe("a\nb\n");
  });

  it("refuses to replace what was not read, or has changed since", async () => {
    await put("a.txt", "old\n");
    expect((await use(writeTool, { path: "a.txt", content: "new\n" })).text).toContain(
      "you have not read it",
    );
    await use(readTool, { path: "a.txt" });
    await put("a.txt", "changed by somebody\n");
    expect((await use(writeTool, { path: "a.txt", content: "new\n" })).text).toContain(
      "changed since you read it",
    );
    expect(await get("a.txt")).toBe("changed by somebody\n");
    await use(readTool, { path: "a.txt" });
    expect((await use(writeTool, { path: "a.txt", content: "new\n" })).isError).toBe(false);
    expect((await use(writeTool, { path: "a.txt", content: "newer\n" })).isError).toBe(false);
    expect(await get("a.txt")).toBe("newer\n");
  });

  it("may be done again after a crash, when nobody knows any more what was read", async () => {
    await use(writeTool, { path: "a.txt", content: "new\n" });
    context.seen.clear();
    expect(await use(writeTool, { path: "a.txt", content: "new\n" })).toMatchObject({
      isError: false,
      changed: [],
    });
  });

  it("keeps CRLF and the byte order mark of a file", async () => {
    await put("a.txt", "\ufeffone\r\ntwo\r\n");
    await use(readTool, { path: "a.txt" });
    await use(writeTool, { path: "a.txt", content: "three\nfour\n" });
    expect(await get("a.txt")).toBe("\ufeffthree\r\nfour\r\n");
  });

  it("knows a file by any of its names", async () => {
    await mkdir(join(root, "real"));
    await put("real/a.txt", "old\n");
    await symlink("real", join(root, "link"), "junction");
    await use(readTool, { path: "link/a.txt" });
    const output = await use(writeTool, { path: "real/a.txt", content: "new\n" });
    expect(output).toMatchObject({ isError: false, changed: ["real/a.txt"] });
  });
});

describe("edit", () => {
  it("replaces exactly one place", async () => {
    await put("a.txt", "one\ntwo\nthree\n");
    expect(await edit("two", "2")).toMatchObject({
      isError: false,
      text: 'Changed "a.txt" at line 2.',
      changed: ["a.txt"],
    });
    expect(await get("a.txt")).toBe("one\n2\nthree\n");
  });

  it("refuses several places with their lines, unless all are meant", async () => {
    await put("a.txt", "x = 1\ny\nx = 1\nx = 1\n");
    expect((await edit("x = 1", "x = 2")).text).toContain('occurs 3 times in "a.txt", at lines 1, 3, 4');
    expect(await get("a.txt")).toBe("x = 1\ny\nx = 1\nx = 1\n");
    expect((await edit("x = 1", "x = 2", { replace_all: true })).text).toContain("3 times, at lines 1, 3, 4");
    expect(await get("a.txt")).toBe("x = 2\ny\nx = 2\nx = 2\n");
  });

  it("puts new text in as it is", async () => {
    await put("a.txt", "a b c");
    await edit("b", "$& $1 $$ \\n");
    expect(await get("a.txt")).toBe("a $& $1 $$ \\n c");
  });

  it.each([
    ["CRLF", "one\r\ntwo\r\nthree\r\n", "one\ntwo", "1\n2\n2.5", "1\r\n2\r\n2.5\r\nthree\r\n"],
    [
      "mixed ends, in the LF part",
      "a\r\nb\r\nc\r\none\ntwo\nx",
      "one\ntwo\n",
      "1\n2\n",
      "a\r\nb\r\nc\r\n1\n2\nx",
    ],
    [
      "mixed ends, in the CRLF part",
      "a\nb\nc\none\r\ntwo\r\nx",
      "one\ntwo\n",
      "1\n2\n",
      "a\nb\nc\n1\r\n2\r\nx",
    ],
    ["a byte order mark", "\ufeffone\ntwo\n", "one", "1", "\ufeff1\ntwo\n"],
    ["no final newline", "one\ntwo", "two", "2", "one\n2"],
    ["CRLF given by the model", "one\r\ntwo\r\n", "one\r\ntwo", "1\r\n2", "1\r\n2\r\n"],
    ["a lone carriage return", "one\rtwo\nthree", "three", "3", "one\rtwo\n3"],
  ])("keeps %s", async (_, before, oldText, newText, after) => {
    await put("a.txt", before);
    expect(await edit(oldText, newText)).toMatchObject({ isError: false });
    expect(await get("a.txt")).toBe(after);
  });

  it("changes nothing but the place, whatever the line ends", async () => {
    const lines = fc.array(fc.tuple(fc.stringMatching(/^[a-z]{0,3}$/), fc.constantFrom("\n", "\r\n")), {
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(lines, lines, async (before, after) => {
        const text = (parts: typeof before): string => parts.flat().join("");
        const [head, tail] = [`${text(before)}>>`, `<<${text(after)}`];
        await put("a.txt", `${head}OLD${tail}`);
        context.seen.clear();
        expect(await edit("OLD", "NEW")).toMatchObject({ isError: false });
        expect(await get("a.txt")).toBe(`${head}NEW${tail}`);
      }),
      { numRuns: 60 },
    );
  });

  it("refuses a stale edit, and goes on after its own", async () => {
    await put("a.txt", "one\ntwo\n");
    await use(readTool, { path: "a.txt" });
    expect((await edit("one", "1")).isError).toBe(false);
    expect((await edit("two", "2")).isError).toBe(false);
    await put("a.txt", "1\n2\nthree\n");
    expect((await edit("three", "3")).text).toContain("has changed since you read it");
    expect(await get("a.txt")).toBe("1\n2\nthree\n");
  });

  const code =
    "function f() {\n\tif (ready) {\n\t\treturn “yes”;\n\t}\n}\n\nfunction g() {\n\treturn compute(alpha, beta);\n}\n";
  it.each([
    ["if (ready) {\n  return “yes”;", "Lines 2-3 (differs only in indentation):\n2\t\tif (ready) {"],
    ['\t\treturn "yes";', "Lines 3-3 (differs only in quotes, dashes or special spaces):"],
    ["return  compute( alpha,beta );", "Lines 8-8 (differs only in spacing):"],
    ["\treturn Compute(Alpha, beta);", "Lines 8-8 (differs only in upper and lower case):"],
    [
      "8\t\treturn compute(alpha, beta);",
      "It begins with a line number as `read` shows it; leave those out.",
    ],
    ["\treturn compute(alpha, gamma);", "Lines 8-8 (one line is alike):\n8\t\treturn compute(alpha, beta);"],
    ["function g() {\n\treturn calculate(alpha, beta);\n}", "Lines 7-9 (2 of 3 lines are the same):"],
    ["class Nowhere extends Nothing", "Nothing like it is there."],
  ])("shows what is nearest to %j", async (oldText, words) => {
    await put("a.txt", code);
    const output = await edit(oldText, "x");
    expect(output.isError).toBe(true);
    expect(output.text).toContain("`old_text` was not found; nothing was changed.");
    expect(output.text).toContain(words);
    expect(await get("a.txt")).toBe(code);
  });

  it("says when the change is there already", async () => {
    await put("a.txt", "one\n2\n");
    expect((await edit("two", "2")).text).toContain("`new_text` is in the file already");
  });

  it("stays quick on a large file", async () => {
    await put(
      "a.txt",
      Array.from({ length: 30_000 }, (_, i) => `const value${i} = compute(${i});`).join("\n"),
    );
    const started = performance.now();
    expect((await edit("const nothing = calculate(1);\n".repeat(50), "x")).isError).toBe(true);
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  it.runIf(POSIX)("keeps a script executable", async () => {
    await put("a.txt", "#!/bin/sh\nold\n");
    await chmod(join(root, "a.txt"), 0o755);
    await edit("old", "new");
    expect((await stat(join(root, "a.txt"))).mode & 0o777).toBe(0o755);
    expect(await readdir(root)).toEqual(["a.txt"]);
  });
});

describe("an edit whose outcome was lost", () => {
  const recover = (old_text: string, new_text: string) =>
    editTool.recover?.({ path: "a.txt", old_text, new_text }, context);

  it("did not happen when the old text is there and the new one is not", async () => {
    await put("a.txt", "one two");
    expect(await recover("two", "2")).toBeNull();
    expect(await recover("two", "")).toBeNull();
    await put("a.txt", "one two 2");
    expect(await recover("two", "2")).toBeNull();
  });

  it("happened when the old text is gone and the new one is there", async () => {
    await put("a.txt", "one 2");
    expect(await recover("two", "2")).toMatchObject({ isError: false, changed: ["a.txt"] });
    context.seen.clear();
    expect(await recover("two", "")).toMatchObject({ isError: false });
    expect((await edit("one", "1")).isError).toBe(false);
  });

  it("is decided by what the agent had seen, where the text cannot tell", async () => {
    const insertion = ["import a;", "import a;\nimport b;"] as const;
    await put("a.txt", "import a;\nimport b;\n");
    await use(readTool, { path: "a.txt" });
    expect(await recover(...insertion)).toBeNull();
    await put("a.txt", "import a;\nimport b;\nimport b;\n");
    expect(await recover(...insertion)).toMatchObject({ isError: false, changed: ["a.txt"] });
    expect((await edit("import a;", "import c;")).isError).toBe(false);
  });

  it("is left to the agent when the file cannot tell", async () => {
    await put("a.txt", "import a;\nimport b;\n");
    expect(await recover("import a;", "import a;\nimport b;")).toMatchObject({ isError: true });
    await put("a.txt", "something else");
    expect(await recover("two", "2")).toMatchObject({ isError: true });
  });
});
