import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Trial } from "../../contracts/model-bench.ts";
import { nodeTrier } from "./node-trier.ts";

const TEST = 'import assert from "node:assert";\nimport { two } from "./two.mjs";\nassert.equal(two(), 2);\n';
const code: Trial = { answer: "code", file: "two.mjs", files: { "test.mjs": TEST }, run: "test.mjs" };
const environment = { ...process.env, TRIAL_TEST_SECRET: "s3cret" };
const { signal } = new AbortController();
const attempt = (answer: string, trial: Trial = code) =>
  nodeTrier({ environment }).try(trial, answer, signal);

test("runs the answer against the tests", async () => {
  expect(await attempt("export const two = () => 2;\n")).toEqual({ passed: true, detail: "" });
  const wrong = await attempt("export const two = () => 3;\n");
  expect(wrong).toMatchObject({ passed: false, detail: expect.stringContaining("AssertionError") });
  expect(await attempt("this is not code\n")).toMatchObject({
    detail: expect.stringContaining("SyntaxError"),
  });
});

test("applies a diff, or says why it does not", async () => {
  const files = { "test.mjs": TEST, "two.mjs": "export const two = () => {\n  return 3;\n};\n" };
  const diff: Trial = { answer: "diff", file: "two.mjs", files, run: "test.mjs" };
  const good =
    "--- a/two.mjs\n+++ b/two.mjs\n@@ -1,3 +1,3 @@\n export const two = () => {\n-  return 3;\n+  return 2;\n };\n";
  expect(await attempt(good, diff)).toEqual({ passed: true, detail: "" });
  const stale = good.replace("-  return 3;", "-  return 4;");
  expect(await attempt(stale, diff)).toMatchObject({
    detail: expect.stringMatching(/^does not apply: error: /),
  });
  const cheating =
    '--- a/test.mjs\n+++ b/test.mjs\n@@ -1,3 +1,1 @@\n-import assert from "node:assert";\n-import { two } from "./two.mjs";\n-assert.equal(two(), 2);\n+export {};\n';
  expect(await attempt(cheating, diff)).toMatchObject({ passed: false });
  const outside = "--- /dev/null\n+++ b/../../outside.txt\n@@ -0,0 +1,1 @@\n+x\n";
  expect(await attempt(outside, diff)).toMatchObject({ detail: expect.stringContaining("does not apply") });
});

test("what models write can neither read elsewhere, nor write, nor start processes, nor see the environment", async () => {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-secret-"));
  const secret = join(folder, "secret.txt");
  writeFileSync(secret, "s3cret");
  const sneaky = (body: string) =>
    `import * as fs from "node:fs";\nimport { spawnSync } from "node:child_process";\nexport const two = () => 2;\n${body}\n`;
  const denied = { passed: false, detail: expect.stringMatching(/ERR_ACCESS_DENIED|Access to this API/) };
  expect(await attempt(sneaky(`fs.readFileSync(${JSON.stringify(secret)});`))).toMatchObject(denied);
  expect(
    await attempt(sneaky(`fs.writeFileSync(${JSON.stringify(join(folder, "new.txt"))}, "x");`)),
  ).toMatchObject(denied);
  expect(await attempt(sneaky('fs.writeFileSync("here.txt", "x");'))).toMatchObject(denied);
  expect(await attempt(sneaky("spawnSync(process.execPath, ['--version']);"))).toMatchObject(denied);
  const looked = await attempt(sneaky('if (process.env.TRIAL_TEST_SECRET) throw new Error("seen");'));
  expect(looked).toMatchObject({ passed: true });
  expect(existsSync(join(folder, "new.txt"))).toBe(false);
  rmSync(folder, { recursive: true });
});

test("an answer without an end is stopped, and nothing is left behind", async () => {
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith("agent-runner-trial-"));
  const endless = await nodeTrier({ environment, limitMs: 1_000 }).try(
    code,
    "for (;;) {}\nexport const two = 2;\n",
    signal,
  );
  expect(endless).toEqual({ passed: false, detail: "stopped: it took too long" });
  const after = readdirSync(tmpdir()).filter((name) => name.startsWith("agent-runner-trial-"));
  expect(after.filter((name) => !before.includes(name))).toEqual([]);
});
