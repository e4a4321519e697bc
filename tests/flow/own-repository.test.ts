import { readFileSync } from "node:fs";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
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

const TASK = {
  id: "42",
  title: "Say the place of a number in a row",
  description: "`ordinal(3)` in `src/base` is `3rd`; mind the teens.",
  acceptance: ["It has a test."],
};
const BRANCH = "feature/task-42-say-the-place-of-a-number-in-a-row";
const FILES = ["src/base/ordinal.test.ts", "src/base/ordinal.ts"];

const isRepository = (await execute("git", ["rev-parse", "HEAD"], { cwd: ROOT })).code === 0;

/** Our own checks, by the programs that this checkout has installed. */
function ownGates(): string {
  const [program, modules] = [process.execPath, join(ROOT, "node_modules")];
  const gate = (name: string, ...args: readonly string[]) => ({
    name,
    run: [program, ...args],
    timeout: "2m",
  });
  return JSON.stringify({
    gates: [
      gate("lint", join(modules, "@biomejs/biome/bin/biome"), "ci", "src/base"),
      gate("types", join(modules, "typescript/bin/tsc"), "--noEmit", "-p", "tsconfig.pure.json"),
      gate("test", join(modules, "vitest/vitest.mjs"), "run", "src/base/ordinal.test.ts"),
    ],
  });
}

describe.skipIf(!isRepository)("the main job, on this repository with its history", () => {
  const play = new Playground();
  let runner: Runner;
  let done: Ended;
  let clone = "";
  let remote = "";
  let before = "";

  beforeAll(async () => {
    clone = play.path("clone");
    // A checkout of continuous integration may be shallow: its clone is then shallow too, and so is the remote.
    await git(play.root, "clone", "--quiet", "--no-hardlinks", ROOT, clone);
    await git(clone, "checkout", "--quiet", "-B", "work");
    writeFiles(clone, { ".agent-runner/gates.yaml": ownGates() });
    await git(clone, "add", "--all");
    await git(clone, "commit", "--quiet", "-m", "chore: gates of this machine");
    remote = await play.remote(clone);
    // Worktrees have no packages of their own; Node and tsc look for them in the folders above.
    await symlink(join(ROOT, "node_modules"), play.path("node_modules"), "junction");
    await writeFile(join(clone, "NOTES.txt"), "what somebody was just writing\n");
    before = await git(clone, "rev-parse", "HEAD");
    const fixture = readFileSync(new URL("fixtures/own-repository.yaml", import.meta.url), "utf8");
    runner = await play.runner({
      words: fixture.replace(
        "THE_NEWEST_SUBJECT",
        JSON.stringify(await git(clone, "log", "-1", "--format=%s")),
      ),
    });
    done = await run(runner, "code-change", { repo: clone, task: TASK, remote: "origin", allow_dirty: true });
  });
  afterAll(() => play.close());

  it("ends well, says what it did, and pushed the branch", () => {
    expect(done.summary.failure).toBeNull();
    expect(done.summary.output).toEqual({
      outcome: "done",
      summary: expect.stringContaining("twelve cases"),
      branch: BRANCH,
      commit: expect.stringMatching(/^[0-9a-f]{40}$/),
      files: FILES,
      pushed: true,
    });
  });

  it("put exactly this commit on the remote", async () => {
    const { commit } = done.summary.output as { commit: string };
    expect(await git(remote, "rev-parse", `refs/heads/${BRANCH}`)).toBe(commit);
    expect(await git(remote, "rev-parse", `${BRANCH}^`)).toBe(before);
    expect(await git(remote, "diff", "--name-status", before, BRANCH)).toBe(
      "A\tsrc/base/ordinal.test.ts\nA\tsrc/base/ordinal.ts",
    );
    const source = await git(remote, "show", `${BRANCH}:src/base/ordinal.ts`);
    expect(source).toContain('return `${place}${suffix ?? "th"}`;');
    expect(source).toContain("=== 1;");
    expect(await git(remote, "log", "-1", "--format=%an <%ae>", BRANCH)).toBe(
      "agent-runner <agent-runner@localhost>",
    );
    expect(await git(remote, "log", "-1", "--format=%B", BRANCH)).toBe(
      [
        "feat(base): say the place of a number in a row",
        "",
        'Reports said "attempt 3 of 5" because nothing could say "3rd". The',
        "teens are the exception that a table of last digits gets wrong.",
        "",
        `Agent-Runner-Run: ${done.summary.id}`,
        `Agent-Runner-Step: ${done.summary.id}/commit`,
      ].join("\n"),
    );
  });

  it("kept the remote's history as it was", async () => {
    expect(await git(remote, "rev-list", "--count", before)).toBe(
      await git(clone, "rev-list", "--count", before),
    );
    expect(Number(await git(remote, "rev-list", "--count", before))).toBeGreaterThan(1);
    expect(await git(remote, "for-each-ref", "--format=%(refname)", "--contains", BRANCH)).toBe(
      `refs/heads/${BRANCH}`,
    );
  });

  it("gave the linter's own words back to the agent, and judged again", async () => {
    const judged = factsOf(done.facts, "noted", "change").filter(({ name }) => name === "gate_finished");
    const verdicts = judged.map(({ data }) => `${data.gate ?? data.name} ${data.passed}`);
    expect(verdicts).toEqual([
      "lint false",
      "types true",
      "test true",
      "lint true",
      "types true",
      "test true",
    ]);
    const transcript = (await artifactText(runner, done, "transcript.jsonl")).trim().split("\n");
    const lines = transcript.map((line) => JSON.parse(line));
    expect(lines.filter(({ type }) => type === "verdict").map(({ passed }) => passed)).toEqual([false, true]);
    expect(transcript.join("\n")).toContain("noDoubleEquals");
    const [red] = factsOf(done.facts, "effect_recorded", "change").filter(({ key }) =>
      key.endsWith("gate/lint"),
    );
    expect(red?.result).toMatchObject({
      ok: true,
      value: {
        findings: [
          { path: "src/base/ordinal.ts", line: 5, rule: "lint/suspicious/noDoubleEquals" },
          { path: "src/base/ordinal.ts", line: null, rule: "format" },
        ],
      },
    });
    // The rules of the repository were in front of the agent from the beginning.
    expect(transcript.join("\n")).toContain("Floors are law");
  });

  it("left a patch that git takes", async () => {
    const patch = await artifactText(runner, done, "diff.patch");
    writeFiles(play.root, { "diff.patch": patch });
    await git(clone, "apply", "--check", play.path("diff.patch"));
    const fresh = play.path("fresh");
    await git(clone, "worktree", "add", "--quiet", "--detach", fresh, before);
    await git(fresh, "apply", "--index", play.path("diff.patch"));
    expect(await git(fresh, "write-tree")).toBe(await git(remote, "rev-parse", `${BRANCH}^{tree}`));
  });

  it("left a report for people and a record for programs", async () => {
    const report = await artifactText(runner, done, "report.md");
    for (const part of [TASK.title, BRANCH, ...FILES, "twelve cases", "lint"]) expect(report).toContain(part);
    const record = await runRecord(runner, done);
    const { commit } = done.summary.output as { commit: string };
    expect(record.files_modified).toEqual(FILES);
    expect(record.commit).toMatchObject({ commit, branch: BRANCH });
    expect(record.run).toMatchObject({ id: done.summary.id, title: TASK.title });
    expect(record.gates.filter(({ step }) => step === "gates")).toMatchObject([
      { name: "lint", required: true, passed: true, exit_code: 0 },
      { name: "types", required: true, passed: true, exit_code: 0 },
      { name: "test", required: true, passed: true, exit_code: 0 },
    ]);
    expect(record.steps.map(({ id, status }) => `${id} ${status}`)).toEqual([
      "workspace succeeded",
      "change succeeded",
      "gates succeeded",
      "commit succeeded",
      "approve skipped",
      "push succeeded",
      "report running",
    ]);
    expect(record.model_calls.length).toBe(7);
    expect(record.security).toMatchObject({ sandbox: "host", kept_out: [], violations: [] });
    const gates = JSON.parse(await artifactText(runner, done, "gates.json"));
    expect(gates).toMatchObject({ change: { passed: true }, gates: { passed: true } });
  });

  it("left the work tree it was asked to work for alone", async () => {
    expect(await git(clone, "rev-parse", "HEAD")).toBe(before);
    expect(await git(clone, "symbolic-ref", "--short", "HEAD")).toBe("work");
    expect(await git(clone, "status", "--porcelain")).toBe("?? NOTES.txt");
    expect(readFileSync(join(clone, "NOTES.txt"), "utf8")).toBe("what somebody was just writing\n");
  });
});
