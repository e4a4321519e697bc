import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const KNIT = `name: knit
version: "1"
description: Knits woollen things.
examples: [Knit a scarf]
inputs:
  task: { type: string, required: true }
  rows: { type: integer, default: 10 }
steps: [{ id: knit, uses: noop }]
outputs: { said: "\${{ inputs.task }}", rows: "\${{ inputs.rows }}" }
`;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "act-"));
  await mkdir(join(folder, ".agent-runner", "workflows"), { recursive: true });
  await writeFile(join(folder, ".agent-runner", "workflows", "knit.yaml"), KNIT);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Ran> {
  const { PATH = "", SystemRoot = "" } = process.env;
  const options = {
    cwd: folder,
    env: { PATH, SystemRoot, HOME: folder, USERPROFILE: folder, NO_COLOR: "1" },
  };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [MAIN, "--data", join(folder, "data"), ...args],
      options,
      (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === "number" ? error.code : error ? -1 : 0, stdout, stderr }),
    );
  });
}

test("does what is asked for in free words, and waits for it", async () => {
  const done = await run("act", "Knit a blue scarf", "-i", "rows=3", "--wait", "30s");
  expect(done.stderr).toBe("");
  expect(done.code).toBe(0);
  expect(done.stdout).toMatch(/^run_\w+ completed {2}workflow knit \(score 0\.\d+\)\n/);
  expect(JSON.parse(done.stdout.slice(done.stdout.indexOf("\n")))).toEqual({
    said: "Knit a blue scarf",
    rows: 3,
  });
});

test("stores it for whoever works, once per key, as JSON on request", async () => {
  const ask = () => run("--json", "act", "Knit a hat", "--workflow", "knit", "--idempotency-key", "hat-1");
  const [first, again] = [await ask(), await ask()];
  expect([first.code, again.code]).toEqual([0, 0]);
  const body = JSON.parse(first.stdout);
  expect(body).toMatchObject({ state: "accepted", intent: { by: "named", text: "Knit a hat" } });
  expect(JSON.parse(again.stdout).id).toBe(body.id);
});

test("asks which is meant, and refuses a wait that is none", async () => {
  const unsure = await run("act", "Fix the documentation");
  expect(unsure.code).toBe(2);
  expect(unsure.stderr).toMatch(/Which of these is meant: .*bug-fix.*documentation/);
  expect(unsure.stderr).toContain("intent_ambiguous");
  expect((await run("act", "zzz")).stderr).toContain("intent_unknown");
  const late = await run("act", "Knit a scarf", "--wait", "2h");
  expect(late).toMatchObject({ code: 2, stdout: "" });
  expect(late.stderr).toContain("60s at most");
});
