import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { bareRemote, git, repository, tempFolder } from "./playground.suite.ts";

const STEPS = 6;
const KILLS_PER_STEP = 2;

/** What a worker does for a step: open the workspace, ask whether it happened, else do it, then push. */
const WORKER = `
import { writeFileSync } from "node:fs";
import { gitWorkspaces } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, "workspaces.ts")).href)};
const [dataDir, repo, step] = process.argv.slice(1);
const signal = new AbortController().signal;
const must = (result) => { if (!result.ok) { console.error(result.failure); process.exit(9); } return result.value; };
const environment = process.env;
const workspaces = gitWorkspaces({ dataDir, environment, clock: { now: () => Date.now(), after: () => () => {} } });
console.log("begun");
const workspace = must(await workspaces.prepare({ run: "run_1", repo, branch: "feature/x", allowDirty: false }, signal));
if (must(await workspaces.findCommit(workspace, { key: "Step", value: step }, signal)) === null) {
  writeFileSync(workspace.root + "/step-" + step, step);
  const author = { name: "a", email: "a@b" };
  const request = { workspace, message: "step " + step, author, trailers: { Step: step } };
  if (must(await workspaces.commit(request, signal)).kind !== "committed") process.exit(8);
}
must(await workspaces.push(workspace, "origin", signal));
`;

async function work(args: readonly string[], killAfterMs: number | null): Promise<number | null> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", WORKER, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let timer: NodeJS.Timeout | undefined;
  child.stdout.once("data", () => {
    if (killAfterMs !== null) timer = setTimeout(() => child.kill("SIGKILL"), killAfterMs);
  });
  const code = await new Promise<number | null>((done) => child.once("close", done));
  clearTimeout(timer);
  return code;
}

describe("a worker that is killed at any instant", () => {
  it("has committed each step once when it is through, and lost none", async () => {
    const repo = repository();
    const bare = bareRemote(repo);
    const dataDir = tempFolder();
    for (let step = 0; step < STEPS; step += 1) {
      const args = [dataDir, repo, String(step)];
      for (let kill = 0; kill < KILLS_PER_STEP; kill += 1) {
        const code = await work(args, 10 + (((step * KILLS_PER_STEP + kill) * 97) % 240));
        expect([null, 0]).toContain(code);
      }
      expect(await work(args, null)).toBe(0);
      const root = join(dataDir, "workspaces", "run_1");
      expect(git(root, "status", "--porcelain")).toBe("");
      expect(existsSync(join(root, `step-${step}`))).toBe(true);
    }
    const subjects = Array.from({ length: STEPS }, (_, i) => `step ${STEPS - 1 - i}`).join("\n");
    expect(git(repo, "log", "--format=%s", "main..feature/x")).toBe(subjects);
    expect(git(bare, "rev-parse", "feature/x")).toBe(git(repo, "rev-parse", "feature/x"));
  });
});
