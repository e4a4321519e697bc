import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Json } from "../../src/base/json.ts";
import type { Approval } from "../../src/domain/approval.ts";
import type { Runner } from "../../src/index.ts";
import { listApprovals } from "../../src/operations/approvals/list-approvals.ts";
import { until } from "../support/until.ts";
import {
  ASKED_BY,
  artifactText,
  type Ended,
  ended,
  execute,
  factsOf,
  git,
  Playground,
  ROOT,
  run,
  runRecord,
  type Words,
} from "./playground.ts";

const FILES = {
  "README.md": "# adder\n\nAdds numbers.\n",
  "adder.mjs": "export const add = (a, b) => a - b;\n",
  "adder.test.mjs": `import assert from "node:assert/strict";
import { add } from "./adder.mjs";
assert.equal(add(0, 0), 0);
`,
  ".agent-runner/gates.yaml": `gates: [{ name: test, run: ${JSON.stringify([process.execPath, "adder.test.mjs"])} }]\n`,
};

const repair = [
  { text: "I see.", tool_calls: [{ name: "read", input: { path: "adder.mjs" } }] },
  {
    expect: { tool_result_contains: "a - b" },
    tool_calls: [
      { name: "edit", input: { path: "adder.mjs", old_text: "a - b", new_text: "a + b" } },
      { name: "finish", input: { outcome: "done", summary: "add adds; it subtracted." } },
    ],
  },
];

const look = (answer: string) => [
  {
    tool_calls: [
      { name: "read", input: { path: "adder.mjs" } },
      { name: "git_diff", input: {} },
    ],
  },
  {
    expect: { tool_result_contains: "export const add" },
    tool_calls: [{ name: "finish", input: { outcome: "nothing_to_do", summary: "I have looked.", answer } }],
  },
];

const words: Words = {
  turns: [{ expect: { last_message_contains: "Ada" }, text: "Good morning, Ada!", times: "always" }],
  agents: {
    implement: repair,
    bug_fix: repair,
    analyze: look("`add` subtracts: adder.mjs:1 says `a - b`, and its only test adds zeros."),
    code_review: look(
      "Verdict: request changes, because `add` subtracts.\n\n- adder.mjs:1, blocker: add(1, 1) is 0.",
    ),
    summarise: [
      {
        tool_calls: [
          {
            name: "finish",
            input: { outcome: "nothing_to_do", summary: "Summed up.", answer: "All is well in all three." },
          },
        ],
      },
    ],
    documentation: [
      { tool_calls: [{ name: "read", input: { path: "README.md" } }] },
      {
        tool_calls: [
          {
            name: "edit",
            input: { path: "README.md", old_text: "Adds numbers.", new_text: "`add(1, 2)` adds." },
          },
          { name: "finish", input: { outcome: "done", summary: "The README says how to add." } },
        ],
      },
    ],
    commit_message: [{ text: "fix: what is asked for", times: "always" }],
  },
};

describe("every built-in workflow runs to its end", () => {
  const play = new Playground();
  let runner: Runner;
  let repo = "";
  let remote = "";
  const tried = new Set<string>();

  beforeAll(async () => {
    repo = await play.repository("repo", FILES);
    remote = await play.remote(repo);
    runner = await play.runner({ words });
  });
  afterAll(() => play.close());

  async function completes(workflow: string, inputs: Json): Promise<Ended> {
    tried.add(workflow);
    const done = await run(runner, workflow, inputs);
    expect(done.summary.failure).toBeNull();
    expect(done.summary.status).toBe("completed");
    return done;
  }
  const branches = () => git(remote, "for-each-ref", "--format=%(refname:short)");

  it("hello", async () => {
    const done = await completes("hello", { name: "Ada" });
    expect(done.summary.output).toEqual({ greeting: "Good morning, Ada!" });
  });

  it("analyze answers and changes nothing", async () => {
    const done = await completes("analyze", { repo, question: "Does add add?" });
    expect(done.summary.output).toMatchObject({ answer: expect.stringContaining("`add` subtracts") });
    const record = await runRecord(runner, done);
    expect(record).toMatchObject({ files_modified: [], commit: null });
    expect(await artifactText(runner, done, "report.md")).toContain("its only test adds zeros");
    expect(await artifactText(runner, done, "diff.patch")).toBe("");
  });

  it("ask-agent asks one agent, on a repository or without one", async () => {
    const onIt = await completes("ask-agent", { agent: "analyze", task: "Does add add?", repo });
    expect(onIt.summary.output).toMatchObject({ answer: expect.stringContaining("`add` subtracts") });
    const without = await completes("ask-agent", { agent: "summarise", task: "Three long reports." });
    expect(without.summary.output).toMatchObject({
      outcome: "nothing_to_do",
      answer: expect.stringContaining("All is well"),
    });
  });

  it("code-review compares a branch and leaves its findings", async () => {
    await git(repo, "branch", "topic");
    const done = await completes("code-review", { repo, ref: "topic", against: "main" });
    expect(done.summary.output).toMatchObject({ answer: expect.stringMatching(/^Verdict: request changes/) });
    expect((await runRecord(runner, done)).files_modified).toEqual([]);
  });

  it("documentation leaves a branch with a commit", async () => {
    const done = await completes("documentation", { repo, task: "Say how to add" });
    const { branch } = done.summary.output as { branch: string };
    expect(done.summary.output).toMatchObject({ files: ["README.md"], pushed: false });
    expect(await git(repo, "show", `${branch}:README.md`)).toContain("`add(1, 2)` adds.");
    expect(await branches()).toBe("main");
  });

  it("bug-fix leaves a repair whose gates are green", async () => {
    const done = await completes("bug-fix", { repo, task: { id: "7", title: "add subtracts" } });
    expect(done.summary.output).toMatchObject({
      branch: expect.stringContaining("task-7-add-subtracts"),
      files: ["adder.mjs"],
      pushed: false,
    });
  });

  it("quarkus-bootstrap-v1 scaffolds a project and checks it offline", async () => {
    const done = await completes("quarkus-bootstrap-v1", { repo, artifact_id: "corner-shop" });
    const { branch, files } = done.summary.output as { branch: string; files: readonly string[] };
    expect(done.summary.output).toMatchObject({ check: "structure: ok" });
    expect(files).toContain("pom.xml");
    const fresh = play.path("fresh");
    await git(play.root, "clone", "--quiet", "--branch", branch, repo, fresh);
    const again = await execute(process.execPath, ["scripts/check-structure.mjs"], { cwd: fresh });
    expect(again).toEqual({ code: 0, stdout: "structure: ok\n", stderr: "" });
    expect(readFileSync(join(fresh, "pom.xml"), "utf8")).toContain("<artifactId>corner-shop</artifactId>");
  });

  describe("code-change with an approval", () => {
    const asked = (id: string): Promise<Approval> =>
      until("the question", async () => {
        const page = await listApprovals(runner.house.operations, { run: id, status: "pending" });
        return (page.ok && page.value.approvals[0]) || null;
      });
    const start = (title: string) => {
      tried.add("code-change");
      return runner.start("code-change", { repo, task: title, remote: "origin", approve: true });
    };

    it("that is given pushes", async () => {
      const { id } = await start("Given");
      const approval = await asked(id);
      expect(approval).toMatchObject({
        title: expect.stringMatching(/^Push feature\/task-\w+-given to origin\?$/),
        risk: "high",
        details: { files: ["adder.mjs"], message: "fix: what is asked for\n", conflicts: [] },
      });
      expect(await branches()).not.toContain("given");
      await runner.answer(approval.id, "approved", "go ahead");
      const done = await ended(runner, id);
      const { branch, commit } = done.summary.output as { branch: string; commit: string };
      expect(done.summary).toMatchObject({ status: "completed", output: { pushed: true } });
      expect(await git(remote, "rev-parse", branch)).toBe(commit);
      expect(factsOf(done.facts, "approval_answered")).toMatchObject([
        { answer: "approved", by: ASKED_BY, comment: "go ahead" },
      ]);
      await expect(runner.answer(approval.id, "denied")).rejects.toMatchObject({
        failure: { code: "already_answered" },
      });
    });

    it("that is denied does not push, and the run says who and why", async () => {
      const { id } = await start("Denied");
      await runner.answer((await asked(id)).id, "denied", "not before the release");
      const done = await ended(runner, id);
      expect(done.summary).toMatchObject({ status: "failed", failure: { code: "approval_denied" } });
      expect(done.summary.failure?.message).toMatch(
        new RegExp(`${ASKED_BY} denied "Push .*denied.*": not before the release`),
      );
      expect(await branches()).not.toContain("denied");
      expect(factsOf(done.facts, "step_skipped").map(({ step }) => step)).toEqual(["push"]);
      expect(await artifactText(runner, done, "report.md")).toContain("not before the release");
      expect((await runRecord(runner, done)).commit?.branch).toContain("denied");
    });

    it("that nobody gives expires, and does not push", async () => {
      const source = readFileSync(join(ROOT, "workflows/code-change.yaml"), "utf8");
      expect(source).toContain("timeout: 24h");
      await runner.addWorkflow(
        source.replace("name: code-change", "name: impatient").replace("timeout: 24h", "timeout: 300ms"),
      );
      const done = await run(runner, "impatient", { repo, task: "Silence", remote: "origin", approve: true });
      expect(done.summary).toMatchObject({ status: "failed", failure: { code: "approval_expired" } });
      expect(factsOf(done.facts, "approval_expired")).toHaveLength(1);
      expect(await branches()).not.toContain("silence");
      const [{ id = "" } = {}] = factsOf(done.facts, "approval_requested").map(({ approval }) => approval);
      await expect(runner.answer(id, "approved")).rejects.toMatchObject({
        failure: { code: "answer_too_late", message: expect.stringContaining("expired") },
      });
      expect(await branches()).not.toContain("silence");
    });
  });

  it("and none is left out", () => {
    const all = readdirSync(join(ROOT, "workflows")).map((file) => file.replace(".yaml", ""));
    expect([...tried].sort()).toEqual(all.sort());
  });
});
