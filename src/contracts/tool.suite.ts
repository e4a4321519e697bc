import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Json } from "../base/json.ts";
import { LIMITS } from "../domain/limits.ts";
import type { Sandbox } from "./sandbox.ts";
import type { Tool, ToolContext } from "./tool.ts";

export interface ToolSuite {
  readonly tool: Tool;
  /** Where the tool's commands run; without it no command can be started. */
  readonly sandbox?: Sandbox;
  /** Makes more of the workspace than the files that the suite puts there. */
  readonly prepare?: (root: string) => Promise<void>;
  /** Input that works in the suite's workspace: `a.txt` ("one\ntwo\nthree\n"), `folder/b.txt`; for `big` also `big.txt` (20,000 lines) and 1,000 files in `many/`. */
  readonly valid: Json;
  /** Files that must have been read before `valid` works. */
  readonly readFirst?: readonly string[];
  /** Input that asks for more output than fits. */
  readonly big?: Json;
  /** Input that names a path, for every way in which the tool takes one. */
  readonly withPath?: readonly ((path: string) => Json)[];
}

/** A sandbox that starts nothing: for tools that run no commands, and for input that nobody should run. */
export const NO_COMMANDS: Sandbox = {
  name: "none",
  run: async () => ({
    ok: false,
    failure: { code: "command_not_started", message: "No command can be started here.", retryable: false },
  }),
};

const SECRET = "the-secret-of-another-folder";

/** Ways out of a workspace that were published against file tools, or follow from how file systems read names. */
export const HOSTILE_PATHS: readonly string[] = [
  ...[
    "../secret.txt",
    "a/../../secret.txt",
    "folder/../../outside/secret.txt",
    "./../secret.txt",
    "a.txt/../../x",
    "..",
  ],
  ...["..\\secret.txt", "folder\\..\\..\\secret.txt", "a/..\\../secret.txt", "folder/..//..//secret.txt"],
  ...[
    "/etc/passwd",
    "//etc/passwd",
    "\\etc\\passwd",
    "/",
    "\\\\server\\share\\x",
    "//server/share/x",
    "/proc/self/environ",
  ],
  ...[
    "C:\\Windows\\win.ini",
    "c:/Windows/win.ini",
    "C:secret.txt",
    "Z:",
    "\\\\?\\C:\\x",
    "\\\\.\\PhysicalDrive0",
  ],
  ...["~/secret.txt", "~", "~\\secret.txt", "a\0.txt", "\0", "a\n.txt", "folder/\u001b[2J"],
  ...[
    "link-out/secret.txt",
    "link-out/new.txt",
    "link-out",
    "link-file",
    "link-absolute",
    "link-up/outside/secret.txt",
    "link-chain/secret.txt",
  ],
  ...["link-dangling", "link-loop", "link-loop/x", "folder/link-deep/secret.txt", "link-out/./secret.txt"],
  ...[
    ".git/config",
    ".git/hooks/pre-commit",
    ".git",
    ".GIT/config",
    ".Git/hooks/post-checkout",
    "folder/.git/config",
  ],
  ...[
    ".git./config",
    ".git /config",
    ".git::$INDEX_ALLOCATION/config",
    ".git\\config",
    "./.git/config",
    "x/../.git/config",
  ],
  ...[
    "git~1/config",
    "GIT~1",
    ".g\u200cit/config",
    ".git\u200d/config",
    "\ufeff.git/config",
    "link-git/config",
    "link-git",
  ],
  ...["folder/.git", ".git/", ".git//config", `${"a/".repeat(3_000)}x`, "x".repeat(300), "\ud800"],
];

/** What every tool promises. Run it from the test of each tool. */
export function toolLaws(suite: ToolSuite): void {
  describe(`the laws of tools, kept by ${suite.tool.name}`, () => laws(suite));
}

function laws(suite: ToolSuite): void {
  const { tool } = suite;
  let template: string;
  let base: string;
  let root: string;

  beforeAll(async () => {
    template = await mkdtemp(join(tmpdir(), "tool-law-"));
    await makeWorkspace(template);
    await suite.prepare?.(join(template, "workspace"));
  });
  afterAll(() => rm(template, { recursive: true, force: true }));
  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), "tool-law-"));
    await cp(template, base, { recursive: true, verbatimSymlinks: true });
    root = join(base, "workspace");
  });
  afterEach(() => rm(base, { recursive: true, force: true }));

  async function contextOf(options: Partial<ToolContext> = {}): Promise<ToolContext> {
    const seen = new Map<string, string>();
    for (const path of suite.readFirst ?? []) seen.set(path, sha256(await readFile(join(root, path))));
    const sandbox = suite.sandbox ?? NO_COMMANDS;
    return { root, sandbox, signal: new AbortController().signal, seen, ...options };
  }
  /** Without commands: what is tried here should run nowhere. */
  const harmless = () => contextOf({ sandbox: NO_COMMANDS });

  it("describes itself and its flat input", () => {
    expect(tool.name).toMatch(/^[a-z][a-z0-9_]{0,63}$/);
    expect(tool.description.length).toBeGreaterThan(20);
    expect(tool.description.length).toBeLessThan(1_024);
    expect(tool.input).toMatchObject({ type: "object", additionalProperties: false });
    const properties = Object.entries(tool.input.properties as Record<string, Record<string, unknown>>);
    for (const [, property] of properties) {
      expect(property.description).toEqual(expect.any(String));
      expect(["string", "integer", "number", "boolean"]).toContain(property.type);
    }
    const names = properties.map(([name]) => name);
    expect(names).toEqual(expect.arrayContaining((tool.input.required ?? []) as string[]));
  });

  it("says what a crash means for it", () => {
    expect(tool.effect === "query").toBe(tool.recover !== undefined);
    if (tool.readOnly) expect(tool).toMatchObject({ effect: "pure", risk: "low" });
    else expect(tool.effect).not.toBe("pure");
  });

  it("never throws, whatever the input, and changes nothing outside", async () => {
    const before = await outsideOf(base);
    const context = await harmless();
    const names = Object.keys(tool.input.properties as object);
    const value = fc.oneof(
      fc.jsonValue() as fc.Arbitrary<Json>,
      fc.constantFrom<Json>("a.txt", ".", "", "folder", null, 1),
    );
    const own = names.length === 0 ? fc.constant({}) : fc.dictionary(fc.constantFrom(...names), value);
    const property = fc.asyncProperty(fc.oneof(fc.jsonValue() as fc.Arbitrary<Json>, own), async (input) => {
      for (const output of [
        await tool.execute(input, context),
        (await tool.recover?.(input, context)) ?? null,
      ]) {
        if (output === null) continue;
        expect(output.text.length).toBeGreaterThan(0);
        expect(output.text.length).toBeLessThanOrEqual(LIMITS.toolOutputChars);
        expect(output.text).not.toContain(SECRET);
      }
    });
    await fc.assert(property, { numRuns: 100 });
    expect(await outsideOf(base)).toEqual(before);
  });

  it("names the argument that is missing or unknown", async () => {
    const required = (tool.input.required ?? []) as string[];
    const context = await harmless();
    for (const input of [{}, [], "text", 7, null] as Json[]) {
      const output = await tool.execute(input, context);
      if (required.length === 0 && JSON.stringify(input) === "{}") continue;
      expect(output).toMatchObject({ isError: true, data: { code: "tool_invalid_input" } });
      for (const name of required.slice(0, 1)) expect(output.text).toContain(`\`${name}\``);
    }
    const output = await tool.execute({ ...(suite.valid as object), no_such_argument: 1 }, context);
    expect(output).toMatchObject({ isError: true, data: { code: "tool_invalid_input" } });
    expect(output.text).toContain("`no_such_argument`");
  });

  it("does nothing once it is canceled", async () => {
    const before = await treeOf(root);
    const output = await tool.execute(suite.valid, await contextOf({ signal: AbortSignal.abort() }));
    expect(output).toMatchObject({ isError: true, data: { code: "canceled" } });
    expect(await treeOf(root)).toEqual(before);
  });

  it("works, within the bound of its output", async () => {
    const before = await treeOf(root);
    const output = await tool.execute(suite.valid, await contextOf());
    expect(output).toMatchObject({ isError: false });
    expect(output.text.length).toBeLessThanOrEqual(LIMITS.toolOutputChars);
    // Git may bring its own index up to date when it is asked what changed; that is no change of the workspace.
    if (tool.readOnly) expect(withoutIndex(await treeOf(root))).toEqual(withoutIndex(before));
    for (const path of output.changed ?? []) expect(path).not.toMatch(/\\|^\/|\.\./);
  });

  it("knows after a crash what happened, or says that it does not", async () => {
    if (tool.recover === undefined) return;
    const before = await tool.recover(suite.valid, await contextOf());
    if (before !== null) expect(before.isError).toBe(true);
    await tool.execute(suite.valid, await contextOf());
    const after = await tool.recover(suite.valid, await contextOf({ seen: new Map() }));
    expect(after).not.toBeNull();
  });

  it.runIf(suite.big !== undefined)("cuts long output visibly", async () => {
    await makeLargeThings(root);
    const output = await tool.execute(suite.big as Json, await contextOf());
    expect(output.text.length).toBeLessThanOrEqual(LIMITS.toolOutputChars);
    expect(output.text.length).toBeGreaterThan(LIMITS.toolOutputChars / 4);
    expect(output.text).toMatch(/\[[^\]]*(left out|not shown|go on with|stopped after)[^\]]*\]/);
  });

  for (const [way, withPath] of (suite.withPath ?? []).entries()) {
    it(`refuses every path that leads out (${way + 1})`, async () => {
      const before = [await outsideOf(base), await treeOf(join(root, ".git"))];
      const hasLinks = await readlink(join(root, "link-out")).then(Boolean, () => false);
      const expected = hasLinks ? /workspace_escape|tool_invalid_input/ : /./;
      for (const path of HOSTILE_PATHS) {
        const output = await tool.execute(withPath(path), await contextOf());
        const code = (output.data as { code?: unknown } | undefined)?.code;
        expect({ path, isError: output.isError, code }).toEqual({
          path,
          isError: true,
          code: expect.stringMatching(expected),
        });
        expect({ path, text: output.text }).not.toMatchObject({ text: expect.stringContaining(SECRET) });
      }
      expect([await outsideOf(base), await treeOf(join(root, ".git"))]).toEqual(before);
    });
  }
}

async function makeLargeThings(root: string): Promise<void> {
  const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i} of a long file`);
  await writeFile(join(root, "big.txt"), `${lines.join("\n")}\n`);
  const folder = join(root, "many");
  await mkdir(folder);
  const names = Array.from({ length: 1_000 }, (_, i) => `a-file-with-a-rather-long-name-${i}.txt`);
  await Promise.all(names.map((name) => writeFile(join(folder, name), "")));
}

async function makeWorkspace(base: string): Promise<void> {
  const root = join(base, "workspace");
  const outside = join(base, "outside");
  for (const folder of ["folder", ".git/hooks", "folder/.git"])
    await mkdir(join(root, folder), { recursive: true });
  await mkdir(outside);
  await writeFile(join(outside, "secret.txt"), `${SECRET}\n`);
  await writeFile(join(base, "secret.txt"), `${SECRET}\n`);
  await writeFile(join(root, ".git", "config"), `[core]\n# ${SECRET}\n`);
  await writeFile(join(root, "folder", ".git", "config"), `# ${SECRET}\n`);
  await writeFile(join(root, "a.txt"), "one\ntwo\nthree\n");
  await writeFile(join(root, "folder", "b.txt"), "four\nfive\n");
  const links: readonly (readonly [string, string])[] = [
    ["link-out", "../outside"],
    ["link-file", "../outside/secret.txt"],
    ["link-up", ".."],
    ["link-chain", "link-out"],
    ["link-dangling", "../outside/not-there.txt"],
    ["link-loop", "link-loop"],
    ["folder/link-deep", "../../outside"],
    ["link-git", ".git"],
    ["link-absolute", tmpdir()],
  ];
  // Windows makes links for administrators only; without them these paths lead nowhere, and are refused as well.
  for (const [name, target] of links) await symlink(target, join(root, name)).catch(() => undefined);
}

/** All that lies beside the workspace. */
async function outsideOf(base: string): Promise<unknown> {
  const names = (await readdir(base)).filter((name) => name !== "workspace").sort();
  return Promise.all(names.map(async (name) => [name, await treeOf(join(base, name))]));
}

async function treeOf(path: string): Promise<unknown> {
  const entries = await readdir(path, { withFileTypes: true, recursive: true }).catch(() => null);
  if (entries === null) return sha256(await readFile(path));
  const tree = entries.map(async (entry): Promise<readonly [string, string]> => {
    const full = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink()) return [full, `link to ${await readlink(full)}`];
    return [full, entry.isFile() ? sha256(await readFile(full)) : "folder"];
  });
  return (await Promise.all(tree)).sort(([a], [b]) => (a < b ? -1 : 1));
}

function withoutIndex(tree: unknown): unknown {
  return Array.isArray(tree) ? tree.filter(([path]) => !/[\\/]\.git[\\/]index$/.test(path)) : tree;
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
