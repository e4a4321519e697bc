import { readFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Runner } from "../../src/index.ts";
import {
  artifactText,
  type Ended,
  execute,
  factsOf,
  git,
  Playground,
  ROOT,
  run,
  runRecord,
  writeFiles,
} from "./playground.ts";

/** MIT, from the registry as `npm ci` leaves it (fastify needs it), with its own tests. */
const PACKAGE = "process-warning";
const BRANCH = "fix/falsy-arguments";
const TASK = `Warnings lose arguments that are 0

createWarning({ name: "W", code: "C", message: "%d of %s" }).format(0, "files") is "%d of %s".
It must be "0 of files". The same goes for "" and false.`;

describe("a repair of somebody else's package, judged by its own tests", () => {
  const play = new Playground();
  let runner: Runner;
  let done: Ended;
  let repo = "";
  let remote = "";
  let base = "";

  beforeAll(async () => {
    const installed = join(ROOT, "node_modules", PACKAGE);
    // The package's own folder alone, were packages nested in it.
    const filter = (path: string) => !relative(installed, path).includes("node_modules");
    await cp(installed, play.path(PACKAGE), { recursive: true, dereference: true, filter });
    repo = await play.repository(PACKAGE, {
      ".agent-runner/gates.yaml": `gates: [{ name: own-tests, run: ${JSON.stringify([process.execPath, "--test"])} }]\n`,
    });
    remote = await play.remote(repo);
    base = await git(repo, "rev-parse", "HEAD");
    runner = await play.runner({
      words: readFileSync(new URL("fixtures/other-repository.yaml", import.meta.url), "utf8"),
    });
    done = await run(runner, "bug-fix", { repo, task: TASK, branch: BRANCH, remote: "origin" });
  });
  afterAll(() => play.close());

  it("is the package that we think, with tests that were green before", async () => {
    const { license, name } = JSON.parse(await git(repo, "show", "HEAD:package.json"));
    expect({ name, license }).toEqual({ name: PACKAGE, license: "MIT" });
    expect(
      Number(await git(repo, "ls-files", "test").then((list) => list.split("\n").length)),
    ).toBeGreaterThan(5);
    expect((await execute(process.execPath, ["--test"], { cwd: repo })).code).toBe(0);
  });

  it("ends well, after its own tests refused the first attempt", () => {
    expect(done.summary.failure).toBeNull();
    expect(done.summary.output).toMatchObject({ outcome: "done", branch: BRANCH, pushed: true });
    const gates = factsOf(done.facts, "noted").filter(({ name }) => name === "gate_finished");
    expect(gates.map(({ step, data }) => `${step} ${data.gate} ${data.passed}`)).toEqual([
      "fix own-tests false",
      "fix own-tests true",
      "gates own-tests true",
    ]);
  });

  it("is on the remote, and a fresh clone of that works and is green", async () => {
    const { commit } = done.summary.output as { commit: string };
    expect(await git(remote, "rev-parse", BRANCH)).toBe(commit);
    expect(await git(remote, "rev-parse", `${BRANCH}^`)).toBe(base);
    expect(await git(remote, "log", "-1", "--format=%s%n%(trailers)", BRANCH)).toBe(
      `fix: interpolate arguments that are falsy\nAgent-Runner-Run: ${done.summary.id}\nAgent-Runner-Step: ${done.summary.id}/commit`,
    );
    const fresh = play.path("fresh");
    await git(play.root, "clone", "--quiet", "--branch", BRANCH, remote, fresh);
    const call = 'createWarning({ name: "W", code: "C", message: "%d of %s" }).format(0, "files")';
    const printed = await execute(process.execPath, ["-p", `require("./index.js").${call}`], { cwd: fresh });
    expect(printed.stdout.trim()).toBe("0 of files");
    expect((await execute(process.execPath, ["--test"], { cwd: fresh })).code).toBe(0);
  });

  it("left its artifacts, and the repository's own work tree alone", async () => {
    const files = ["index.js", "test/falsy-arguments.test.js"];
    const record = await runRecord(runner, done);
    expect(record.files_modified).toEqual(files);
    expect(record.run.title).toBe("Warnings lose arguments that are 0");
    writeFiles(play.root, { "diff.patch": await artifactText(runner, done, "diff.patch") });
    await git(repo, "apply", "--check", play.path("diff.patch"));
    expect(await artifactText(runner, done, "transcript.jsonl")).toContain("undefined undefined");
    expect(await artifactText(runner, done, "report.md")).toContain("two new tests were red before");
    expect(await git(repo, "status", "--porcelain")).toBe("");
    expect(await git(repo, "rev-parse", "HEAD")).toBe(base);
  });
});
