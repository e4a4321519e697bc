// Long because one repository, costly to build, is asked everything that a ranked map must answer.

import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { ContextRequest, RepoContext, RepoContexts } from "../../contracts/repo-context.ts";
import { GitFixture, tempFolder } from "./git-fixture.suite.ts";
import { createRepoContexts } from "./repo-contexts.ts";

const BUDGET = 2_000;
const SQLITE_PAGE_BYTES = 4_096;

function contextsIn(
  cacheDir: string,
  more: { readonly git?: string; readonly cacheMaxRows?: number } = {},
): RepoContexts {
  const contexts = createRepoContexts({ environment: process.env, cacheDir, now: () => Date.now(), ...more });
  onTestFinished(() => contexts.close());
  return contexts;
}

async function rank(
  contexts: RepoContexts,
  request: Partial<ContextRequest> & { readonly repo: string },
): Promise<RepoContext> {
  const result = await contexts.rank({ task: "anything", budgetTokens: BUDGET, ...request });
  if (!result.ok) throw new Error(`${result.failure.code}: ${result.failure.message}`);
  return result.value;
}

async function failureCode(
  contexts: RepoContexts,
  request: Partial<ContextRequest> & { readonly repo: string },
): Promise<string> {
  const result = await contexts.rank({ task: "anything", budgetTokens: BUDGET, ...request });
  return result.ok ? "ok" : result.failure.code;
}

function pathsOf(context: RepoContext): readonly string[] {
  return context.files.map((file) => file.path);
}

/** A small shop: enough files that chance does not bring the right one to the top. */
function shop(): GitFixture {
  const repo = new GitFixture();
  const filler = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [
      `src/area${i}/part.ts`,
      `export function area${i}Part() { return ${i}; }\n`,
    ]),
  );
  repo.commit("chore: start", {
    ...filler,
    "src/cart/discount.ts": "export function applyDiscount(total: number) { return total; }\n",
    "src/cart/discount.test.ts": 'import { applyDiscount } from "./discount.ts";\napplyDiscount(1);\n',
    "src/cart/totals.ts":
      'import { applyDiscount } from "./discount.ts";\nexport const sum = () => applyDiscount(2);\n',
    "src/mail/sender.ts": "export class Sender { deliver() {} }\n",
    "README.md": "# Shop\n",
  });
  return repo;
}

describe("what is ranked high", () => {
  it("finds files by words of their names and contents, and shows their definitions", async () => {
    const context = await rank(contextsIn(tempFolder()), {
      repo: shop().root,
      task: "Discounts are applied twice",
    });
    expect(pathsOf(context).slice(0, 2).sort()).toEqual([
      "src/cart/discount.test.ts",
      "src/cart/discount.ts",
    ]);
    const discount = context.files.find((file) => file.path === "src/cart/discount.ts");
    expect(discount?.symbols).toEqual([{ name: "applyDiscount", kind: "function", line: 1 }]);
    expect(discount?.reasons.words).toBeGreaterThan(0);
    expect(context.text).toContain(
      "src/cart/discount.ts (1 lines)\n  1: export function applyDiscount(total: number)",
    );
  });

  it("finds files by what the messages of their past commits said", async () => {
    const repo = shop();
    repo.commit("fix: bounced newsletters are retried", { "src/area7/part.ts": "export const x = 1;\n" });
    const context = await rank(contextsIn(tempFolder()), {
      repo: repo.root,
      task: "Newsletter bounces are lost",
    });
    expect(pathsOf(context)[0]).toBe("src/area7/part.ts");
    expect(context.files[0]?.reasons.messages).toBeGreaterThan(0.5);
  });

  it("finds what changed together with what the task is about, and what uses it", async () => {
    const repo = shop();
    for (const i of [1, 2, 3]) {
      repo.commit(`step ${i}`, {
        "src/mail/sender.ts": `export class Sender { deliver${i}() {} }\n`,
        "conf/limits.yaml": `a: ${i}\n`,
      });
    }
    const context = await rank(contextsIn(tempFolder()), {
      repo: repo.root,
      task: "applyDiscount and Sender",
    });
    const reasons = new Map(context.files.map((file) => [file.path, file.reasons]));
    expect(reasons.get("conf/limits.yaml")?.together).toBeGreaterThan(0);
    expect(reasons.get("src/cart/totals.ts")?.graph).toBeGreaterThan(0);
    expect(reasons.get("src/cart/discount.test.ts")?.pair).toBeGreaterThan(0);
  });

  it("puts a file that the task names first, by full path, by the end of it, in any case and with \\", async () => {
    const repo = shop();
    const contexts = contextsIn(tempFolder());
    for (const name of ["src/area9/part.ts", "area9/part.ts:12", "AREA9\\PART.TS", "./src/area9/part.ts"]) {
      const context = await rank(contexts, { repo: repo.root, task: `Discount: see ${name}, not the cart` });
      expect(pathsOf(context)[0], name).toBe("src/area9/part.ts");
    }
  });

  it("puts generated, vendored, minified and lock files behind", async () => {
    const repo = new GitFixture();
    const text = "export function parseTicket() {}\n";
    repo.commit("start", {
      "a/vendor/ticket.js": text,
      "b/gen/ticket.js": `// Code generated by a tool. DO NOT EDIT.\n${text}`,
      "c/ticket.min.js": text,
      "d/src/ticket.js": text,
      "ticket.lock": text,
    });
    const context = await rank(contextsIn(tempFolder()), { repo: repo.root, task: "ticket is parsed wrong" });
    expect(pathsOf(context)[0]).toBe("d/src/ticket.js");
    expect(context.files[1]?.score).toBeLessThan(0.7);
  });

  it("follows history through exact renames", async () => {
    const repo = shop();
    repo.commit("feat: zebra stripes", { "src/old-name.ts": "export const stripes = 1;\n" });
    repo.git("mv", "src/old-name.ts", "src/new-name.ts");
    repo.commit("chore: move", {});
    const context = await rank(contextsIn(tempFolder()), { repo: repo.root, task: "zebra" });
    expect(pathsOf(context)[0]).toBe("src/new-name.ts");
  });

  it("sees neither files nor commits after the ref", async () => {
    const repo = shop();
    const before = repo.git("rev-parse", "HEAD");
    repo.commit("fix: walrus", {
      "src/area3/part.ts": "export const walrus = 1;\n",
      "src/walrus.ts": "export {};\n",
    });
    const context = await rank(contextsIn(tempFolder()), { repo: repo.root, ref: before, task: "walrus" });
    expect(context.commitsSeen).toBe(1);
    expect(pathsOf(context)).not.toContain("src/walrus.ts");
    expect(context.files.every((file) => file.reasons.words === undefined)).toBe(true);
  });

  it("gives the same answer from a fresh and from a warm cache", async () => {
    const repo = shop();
    const warm = contextsIn(tempFolder());
    const request = { repo: repo.root, task: "Sender should apply the discount in src/area2/part.ts" };
    const answers = [
      await rank(warm, request),
      await rank(warm, request),
      await rank(contextsIn(tempFolder()), request),
    ];
    const [first, ...others] = answers.map(({ files, text }) => JSON.stringify({ files, text }));
    for (const other of others) expect(other).toBe(first);
  });
});

describe("the budget", () => {
  it("is kept, and more of it shows more", async () => {
    const repo = shop();
    const contexts = contextsIn(tempFolder());
    let before = -1;
    for (const budgetTokens of [1, 20, 100, 400, 2_000]) {
      const context = await rank(contexts, { repo: repo.root, task: "discount part", budgetTokens });
      expect(context.tokens).toBeLessThanOrEqual(budgetTokens);
      expect(context.tokens).toBe(Math.ceil(Buffer.byteLength(context.text) / 3));
      expect(context.text.length).toBeGreaterThanOrEqual(before);
      before = context.text.length;
    }
    expect(before).toBeGreaterThan(300);
  });

  it("shows at most as many files as asked for", async () => {
    const context = await rank(contextsIn(tempFolder()), { repo: shop().root, task: "part", maxFiles: 3 });
    expect(context.files).toHaveLength(3);
  });
});

describe("the cache", () => {
  it("reads every content once, then only what is new", async () => {
    const repo = shop();
    const cacheDir = tempFolder();
    const first = await rank(contextsIn(cacheDir), { repo: repo.root });
    expect(first).toMatchObject({ blobsRead: 35, cacheHits: 0, filesSeen: 35 });
    const contexts = contextsIn(cacheDir);
    expect(await rank(contexts, { repo: repo.root })).toMatchObject({ blobsRead: 0, cacheHits: 35 });
    repo.write({ "README.md": "# Shop, changed\n" });
    expect(await rank(contexts, { repo: repo.root })).toMatchObject({ blobsRead: 1, cacheHits: 34 });
    repo.commit("docs: change", {});
    expect(await rank(contexts, { repo: repo.root, ref: "main" })).toMatchObject({
      blobsRead: 0,
      cacheHits: 35,
    });
    repo.git("mv", "README.md", "READ.md");
    repo.commit("docs: move", {});
    expect(await rank(contexts, { repo: repo.root })).toMatchObject({ blobsRead: 0, cacheHits: 35 });
  });

  it("serves several callers at once", async () => {
    const repo = shop();
    const cacheDir = tempFolder();
    const callers = [contextsIn(cacheDir), contextsIn(cacheDir), contextsIn(cacheDir)];
    const answers = await Promise.all(
      callers.flatMap((one) => [rank(one, { repo: repo.root }), rank(one, { repo: repo.root })]),
    );
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(await rank(callers[0] as RepoContexts, { repo: repo.root })).toMatchObject({ blobsRead: 0 });
  });

  it("is made anew when its file is damaged", async () => {
    const repo = shop();
    const cacheDir = tempFolder();
    const before = contextsIn(cacheDir);
    await rank(before, { repo: repo.root });
    await before.close();
    const file = readdirSync(cacheDir).find((name) => name.endsWith(".sqlite")) ?? "";
    writeFileSync(
      path.join(cacheDir, file),
      "this is no database, but it is long enough to be looked at".repeat(100),
    );
    expect(await rank(contextsIn(cacheDir), { repo: repo.root })).toMatchObject({ blobsRead: 35 });
    expect(await rank(contextsIn(cacheDir), { repo: repo.root })).toMatchObject({ blobsRead: 0 });
  });

  it("is made anew when a page in its middle is damaged", async () => {
    const repo = shop();
    const cacheDir = tempFolder();
    const before = contextsIn(cacheDir);
    await rank(before, { repo: repo.root });
    await before.close();
    const file = path.join(cacheDir, readdirSync(cacheDir).find((name) => name.endsWith(".sqlite")) ?? "");
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.fill(0xab, SQLITE_PAGE_BYTES));
    const after = contextsIn(cacheDir);
    const answers = await Promise.all([rank(after, { repo: repo.root }), rank(after, { repo: repo.root })]);
    for (const answer of answers) expect(answer.filesSeen).toBe(35);
    expect(await rank(after, { repo: repo.root })).toMatchObject({ blobsRead: 0 });
  });

  it("stays under its bound", async () => {
    const repo = shop();
    const contexts = contextsIn(tempFolder(), { cacheMaxRows: 20 });
    await rank(contexts, { repo: repo.root });
    const again = await rank(contexts, { repo: repo.root });
    expect(again.cacheHits).toBeLessThanOrEqual(20);
    expect(again.cacheHits + again.blobsRead).toBe(35);
  });

  it("says so when its folder cannot be made", async () => {
    const file = path.join(tempFolder(), "file");
    writeFileSync(file, "");
    const code = await failureCode(contextsIn(path.join(file, "cache")), { repo: shop().root });
    expect(["read_only", "internal"]).toContain(code);
  });
});

describe("what is in a repository besides source", () => {
  it("counts what was not read, and ranks it by its path all the same", async () => {
    const repo = shop();
    repo.write({
      "logo-penguin.png": Buffer.from([0x89, 0x50, 0, 1, 2, 3]),
      "penguin-dump.sql": "-- x\n".repeat(300_000),
      "penguin.psd": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
      "latin-penguin.txt": Buffer.from("caf\u00e9 penguin pinguïn", "latin1"),
      "wide-penguin.txt": Buffer.from("\ufeffpenguin word", "utf16le"),
      "empty-penguin.txt": "",
    });
    repo.git("add", "--all");
    repo.git(
      "update-index",
      "--add",
      "--cacheinfo",
      `160000,${repo.git("rev-parse", "HEAD")},penguin-module`,
    );
    repo.git(
      "update-index",
      "--add",
      "--cacheinfo",
      `120000,${repo.git("hash-object", "-w", "README.md")},penguin-link`,
    );
    const commit = repo.git("commit-tree", repo.git("write-tree"), "-p", "HEAD", "-m", "penguins");
    const context = await rank(contextsIn(tempFolder()), { repo: repo.root, ref: commit, task: "penguin" });
    expect(context.filesSkipped).toEqual({
      binary: 1,
      tooLarge: 1,
      lfsPointer: 1,
      unreadable: 0,
      submodule: 1,
      symlink: 1,
      sparse: 0,
      overLimit: 0,
    });
    const paths = pathsOf(context);
    for (const name of [
      "logo-penguin.png",
      "penguin-dump.sql",
      "latin-penguin.txt",
      "wide-penguin.txt",
      "empty-penguin.txt",
    ]) {
      expect(paths, name).toContain(name);
    }
    expect(paths).not.toContain("penguin-module");
    const latin = context.files.find((file) => file.path === "latin-penguin.txt");
    const dump = context.files.find((file) => file.path === "penguin-dump.sql");
    expect(latin?.score).toBeGreaterThan(dump?.score ?? 1);
  });

  it("takes the work tree as it is on disk: changed, new, deleted, ignored", async () => {
    const repo = shop();
    repo.write({
      ".gitignore": "ignored/\n",
      "ignored/ostrich.ts": "export const ostrich = 1;\n",
      "src/ostrich-new.ts": "export const ostrich = 1;\n",
      "src/area4/part.ts": "export const ostrichToo = 1;\n",
    });
    rmSync(path.join(repo.root, "src/mail/sender.ts"));
    const context = await rank(contextsIn(tempFolder()), { repo: repo.root, task: "ostrich" });
    expect(pathsOf(context).slice(0, 2).sort()).toEqual(["src/area4/part.ts", "src/ostrich-new.ts"]);
    expect(pathsOf(context)).not.toContain("ignored/ostrich.ts");
    expect(context.filesSeen).toBe(36);
    expect(
      pathsOf(await rank(contextsIn(tempFolder()), { repo: path.join(repo.root, "src"), task: "ostrich" })),
    ).toEqual(pathsOf(context));
  });

  it.skipIf(process.platform === "win32")("never follows a link out of the work tree", async () => {
    const repo = shop();
    const outside = path.join(tempFolder(), "emu.ts");
    writeFileSync(outside, "export const emu = 1;\n");
    symlinkSync(outside, path.join(repo.root, "emu.ts"));
    const context = await rank(contextsIn(tempFolder()), { repo: repo.root, task: "emu" });
    expect(pathsOf(context)).not.toContain("emu.ts");
    expect(context.filesSkipped.symlink).toBe(1);
  });

  it("shows odd paths on one line", async () => {
    const repo = new GitFixture();
    const blob = (() => {
      repo.write({ "a.txt": "text\n" });
      return repo.git("hash-object", "-w", "a.txt");
    })();
    for (const name of ["naïve heron.txt", "heron\n  1: export class Fake", "\u0001heron"]) {
      repo.git(
        "-c",
        "core.protectNTFS=false",
        "update-index",
        "--add",
        "--cacheinfo",
        `100644,${blob},${name}`,
      );
    }
    const commit = repo.git("commit-tree", repo.git("write-tree"), "-m", "herons");
    const context = await rank(contextsIn(tempFolder()), { repo: repo.root, ref: commit, task: "heron" });
    expect(pathsOf(context).toSorted()).toEqual([
      "\u0001heron",
      "heron\n  1: export class Fake",
      "naïve heron.txt",
    ]);
    expect(context.text.split("\n")).toHaveLength(3);
    expect(context.files.every((file) => file.reasons.messages !== undefined)).toBe(true);
  });

  it("leaves out what a sparse checkout leaves out", async () => {
    const repo = shop();
    repo.git("sparse-checkout", "set", "--cone", "src/cart");
    const context = await rank(contextsIn(tempFolder()), { repo: repo.root, task: "part and discount" });
    expect(context.filesSkipped.sparse).toBe(31);
    expect(pathsOf(context).every((name) => name.startsWith("src/cart/") || !name.includes("/"))).toBe(true);
  });

  it("works in the middle of a conflicted merge", async () => {
    const repo = shop();
    repo.git("checkout", "--quiet", "-b", "other");
    repo.commit("one side", { "README.md": "# heron\n" });
    repo.git("checkout", "--quiet", "main");
    repo.commit("other side", { "README.md": "# stork\n" });
    expect(() => repo.git("merge", "--quiet", "other")).toThrow();
    const context = await rank(contextsIn(tempFolder()), { repo: repo.root, task: "heron" });
    expect(context.filesSeen).toBe(35);
    expect(pathsOf(context)[0]).toBe("README.md");
  });

  it("works on bare and on shallow clones", async () => {
    const repo = shop();
    repo.commit("fix: walrus", { "src/area3/part.ts": "export const walrus = 1;\n" });
    const folder = tempFolder();
    repo.git("clone", "--quiet", "--bare", repo.root, path.join(folder, "bare"));
    repo.git(
      "clone",
      "--quiet",
      "--depth=1",
      `file://${repo.root.replaceAll("\\", "/")}`,
      path.join(folder, "shallow"),
    );
    const contexts = contextsIn(tempFolder());
    const bare = await rank(contexts, { repo: path.join(folder, "bare"), task: "walrus" });
    expect(bare).toMatchObject({ commitsSeen: 2, filesSeen: 35 });
    const shallow = await rank(contexts, { repo: path.join(folder, "shallow"), task: "walrus" });
    expect(shallow).toMatchObject({ commitsSeen: 1, filesSeen: 35, blobsRead: 0 });
    expect(pathsOf(bare)[0]).toBe("src/area3/part.ts");
    expect(pathsOf(shallow)[0]).toBe("src/area3/part.ts");
  });

  it("ranks the files of a partial clone by what is there, and fetches nothing", async () => {
    const repo = shop();
    repo.git("config", "uploadpack.allowFilter", "true");
    const clone = path.join(tempFolder(), "partial");
    const url = `file://${repo.root.replaceAll("\\", "/")}`;
    repo.git("clone", "--quiet", "--bare", "--filter=blob:none", url, clone);
    const task = "Sender of the mail";
    const context = await rank(contextsIn(tempFolder()), { repo: clone, task });
    expect(context).toMatchObject({ blobsRead: 0, filesSeen: 35, filesSkipped: { unreadable: 35 } });
    expect(pathsOf(context)[0]).toBe("src/mail/sender.ts");
    const readme = repo.git("rev-parse", "HEAD:README.md");
    repo.git("--git-dir", clone, "cat-file", "-p", readme);
    expect(await rank(contextsIn(tempFolder()), { repo: clone, task })).toMatchObject({ blobsRead: 1 });
  });

  it("ranks files before the first commit", async () => {
    const repo = new GitFixture();
    repo.write({ "src/ibis.ts": "export const ibis = 1;\n", "other.ts": "export {};\n" });
    const context = await rank(contextsIn(tempFolder()), { repo: repo.root, task: "ibis" });
    expect(pathsOf(context)).toEqual(["src/ibis.ts"]);
    expect(context.commitsSeen).toBe(0);
  });

  it("runs no program that the repository's settings name", async () => {
    const repo = shop();
    const mark = path.join(tempFolder(), "ran");
    const hook = path.join(repo.root, ".git", "hook.sh");
    writeFileSync(hook, `#!/bin/sh\necho ran > "${mark}"\n`, { mode: 0o755 });
    for (const name of [
      "core.fsmonitor",
      "core.sshCommand",
      "gpg.program",
      "filter.x.clean",
      "diff.x.textconv",
    ]) {
      repo.git("config", name, hook);
    }
    repo.git("config", "log.showSignature", "true");
    repo.write({ ".gitattributes": "* filter=x diff=x\n", "README.md": "# Pohs\n" });
    // An index older than its files: git has to compare contents, and would pass them through the filter.
    utimesSync(path.join(repo.root, ".git", "index"), 1_000, 1_000);
    await rank(contextsIn(tempFolder()), { repo: repo.root });
    await rank(contextsIn(tempFolder()), { repo: repo.root, ref: "HEAD" });
    expect(existsSync(mark)).toBe(false);
  });
});

describe("what it refuses", () => {
  it("names what is wrong with the request", async () => {
    const repo = shop().root;
    const contexts = contextsIn(tempFolder());
    const wrong: readonly Partial<ContextRequest>[] = [
      { repo: "relative/path" },
      { task: " \n" },
      { budgetTokens: 0 },
      { budgetTokens: 1.5 },
      { budgetTokens: Number.NaN },
      { maxFiles: -1 },
      { ref: "" },
      { ref: "no-such-branch" },
      { ref: "--all" },
      { ref: "HEAD:README.md" },
    ];
    for (const part of wrong) {
      expect(await failureCode(contexts, { repo, ...part }), JSON.stringify(part)).toBe("invalid_request");
    }
  });

  it("tells a folder without a repository from a repository without a commit", async () => {
    const contexts = contextsIn(tempFolder());
    expect(await failureCode(contexts, { repo: tempFolder() })).toBe("not_a_repository");
    expect(await failureCode(contexts, { repo: path.join(tempFolder(), "absent") })).toBe("not_a_repository");
    const empty = new GitFixture();
    expect(await failureCode(contexts, { repo: empty.root })).toBe("empty_repository");
    expect(await failureCode(contexts, { repo: empty.root, ref: "HEAD" })).toBe("empty_repository");
  });

  it("says that git is missing", async () => {
    const contexts = contextsIn(tempFolder(), { git: "no-such-git-program" });
    expect(await failureCode(contexts, { repo: shop().root })).toBe("git_missing");
  });

  it("stops when it is canceled, before and in the middle", async () => {
    const repo = shop().root;
    const contexts = contextsIn(tempFolder());
    expect(await failureCode(contexts, { repo, signal: AbortSignal.abort() })).toBe("canceled");
    const controller = new AbortController();
    const work = failureCode(contexts, { repo, signal: controller.signal });
    controller.abort();
    expect(await work).toBe("canceled");
    expect(await failureCode(contexts, { repo })).toBe("ok");
  });

  it("refuses work after it was closed, and closes twice", async () => {
    const contexts = contextsIn(tempFolder());
    const repo = shop().root;
    const work = failureCode(contexts, { repo });
    await contexts.close();
    await contexts.close();
    expect(await work).toBe("ok");
    expect(await failureCode(contexts, { repo })).toBe("unavailable");
  });
});
