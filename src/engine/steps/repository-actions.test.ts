import { describe, expect, it } from "vitest";
import type { Json, JsonObject } from "../../base/json.ts";
import { output, use, worldOf } from "./actions.suite.ts";
import { Journal, RUN } from "./harness.suite.ts";
import { agent } from "./world.suite.ts";

describe("workspace", () => {
  it("prepares a branch named after the task", async () => {
    const world = worldOf();
    const task = { id: "T-7", title: "Fix the login page" };
    const made = output(await use("workspace", { repo: world.root, task }, { world }));
    expect(made).toMatchObject({ run: RUN, repo: world.root, branch: "feature/task-t-7-fix-the-login-page" });
    const text = output(await use("workspace", { repo: world.root, task: "Fix it\nnow" }, { world }));
    expect(text.branch).toBe(`feature/task-${RUN.slice(-6)}-fix-it`);
  });

  it("gives a name of its own another ending when it is taken, but keeps one that was asked for", async () => {
    const world = worldOf();
    const asked = await use("workspace", { repo: world.root, task: "x", branch: "taken" }, { world });
    expect(asked).toMatchObject({ failure: { code: "branch_exists" } });
    const { parts } = world;
    const prepare: typeof parts.workspaces.prepare = async (request, signal) =>
      request.branch.endsWith("-x")
        ? { ok: false, failure: { code: "branch_exists", message: "taken", retryable: false } }
        : world.workspaces.prepare(request, signal);
    const full = { ...world, parts: { ...parts, workspaces: { ...parts.workspaces, prepare } } };
    const made = output(await use("workspace", { repo: world.root, task: "x" }, { world: full }));
    expect(made.branch).toBe(`feature/task-${RUN.slice(-6)}-x-${RUN.slice(-6)}`);
  });

  it("wants an absolute path", async () => {
    expect(await use("workspace", { repo: "here", task: "x" })).toMatchObject({
      failure: { code: "invalid_input", message: expect.stringContaining('"here"') },
    });
  });
});

describe("gates", () => {
  it("says what the gates found; red ones are an output, not a failure", async () => {
    const world = worldOf({ gates: () => ({ good: "node -e 0", bad: "echo broken; exit 2" }) });
    const verdict = output(await use("gates", { workspace: world.wire }, { world }));
    expect(verdict).toMatchObject({
      passed: false,
      gates: [
        { name: "good", passed: true },
        { name: "bad", passed: false, exit_code: 2, output: "broken\n" },
      ],
    });
    const none = worldOf();
    const journal = new Journal();
    expect(output(await use("gates", { workspace: none.wire }, { world: none, journal }))).toMatchObject({
      passed: true,
      gates: [],
    });
    expect(journal.notes("gates_absent")).toHaveLength(1);
  });
});

describe("commit", () => {
  const writer = { ...agent({ name: "commit_message" }), prompt: "Write a commit message." };

  // Four boundaries an effect: tree, conflicts, diff and message before it, then the commit itself.
  it.each([2, 7, 11, 15, 17, 18, 19, 20, 0])(
    "commits once, with a message of a model, and finds it again after a crash at boundary %i",
    async (crashAt) => {
      const world = worldOf({
        agents: [writer],
        script: [{ text: "Add the answer\n\nBecause it was asked for." }],
      });
      world.write("answer.txt", "42\n");
      const input = { workspace: world.wire, task: "The answer" };
      const journal = new Journal();
      if (crashAt > 0) {
        await expect(use("commit", input, { world, journal, life: { crashAt } })).rejects.toThrow("boundary");
      }
      expect(output(await use("commit", input, { world, journal }))).toMatchObject({
        kind: "committed",
        branch: "main",
        files: ["answer.txt"],
        message: "Add the answer\n\nBecause it was asked for.\n",
      });
      expect(world.workspaces.commits).toBe(1);
    },
  );

  it("names the run and the step in trailers", async () => {
    const world = worldOf({ agents: [] });
    world.write("answer.txt", "42\n");
    await use("commit", { workspace: world.wire, message: "Mine" }, { world, life: { step: "save" } });
    for (const trailer of [
      { key: "Agent-Runner-Run", value: RUN },
      { key: "Agent-Runner-Step", value: `${RUN}/save` },
    ]) {
      const found = await world.workspaces.findCommit(world.workspace, trailer, new AbortController().signal);
      expect(found.ok && found.value?.files).toMatchObject([{ path: "answer.txt" }]);
    }
  });

  it.each([
    ["there is no such agent", { agents: [] }],
    ["the model fails", { agents: [writer], script: [{ fails: "model_unavailable" as const }] }],
    ["the model babbles", { agents: [writer], script: [{ text: "{}" }] }],
    ["the model is cut off", { agents: [writer], script: [{ text: "Add", finish: "length" as const }] }],
  ])("has a message by rule when %s", async (_name, options) => {
    const world = worldOf(options);
    world.write("answer.txt", "42\n");
    const done = output(await use("commit", { workspace: world.wire }, { world }));
    expect(done.message).toMatch(/^feat: add answer\.txt\n/);
  });

  it("has nothing to commit when nothing was changed", async () => {
    const world = worldOf();
    const done = output(await use("commit", { workspace: world.wire }, { world }));
    expect(done).toMatchObject({ kind: "nothing", commit: null, message: null, files: [] });
    world.write("a", "1");
    await use("commit", { workspace: world.wire, message: "One" }, { world });
    const again = await use("commit", { workspace: world.wire, message: "Two" }, { world });
    expect(output(again).kind).toBe("nothing");
  });

  it("takes a verdict only about this very tree, and only a green one", async () => {
    let green = false;
    const world = worldOf({ gates: () => ({ test: green ? "node -e 0" : "exit 1" }) });
    world.write("answer.txt", "42\n");
    const judge = async () => output(await use("gates", { workspace: world.wire }, { world }));
    const commit = (verdict: Json) =>
      use("commit", { workspace: world.wire, message: "M", verdict }, { world });
    expect(await commit(await judge())).toMatchObject({ failure: { code: "gates_failed" } });
    green = true;
    const verdict = await judge();
    world.write("answer.txt", "43\n");
    expect(await commit(verdict)).toMatchObject({
      failure: { code: "stale_verdict", details: { judged: verdict.tree_hash } },
    });
    world.write("answer.txt", "42\n");
    expect(output(await commit(verdict)).kind).toBe("committed");
    expect(world.workspaces.commits).toBe(1);
  });

  it("fails for a secret in the change", async () => {
    const world = worldOf();
    world.write("key.txt", "AKIAABCDEFGHIJKLMNOP\n");
    expect(await use("commit", { workspace: world.wire, message: "M" }, { world })).toMatchObject({
      failure: { code: "secret_found" },
    });
  });

  it("reports that the base moved and what would conflict", async () => {
    const world = worldOf();
    world.write("a", "1");
    const conflicts = async () => ({ ok: true, value: { baseMoved: true, paths: ["a"] } }) as const;
    const moved = {
      ...world,
      parts: { ...world.parts, workspaces: { ...world.parts.workspaces, conflicts } },
    };
    const journal = new Journal();
    const done = output(
      await use("commit", { workspace: world.wire, message: "M" }, { world: moved, journal }),
    );
    expect(done).toMatchObject({ kind: "committed", base_moved: true, conflicts: ["a"] });
    expect(journal.notes("base_moved")).toMatchObject([{ conflicts: ["a"] }]);
  });
});

describe("push", () => {
  it("pushes the branch, and after a crash finds that it did", async () => {
    const remote = worldOf();
    const world = worldOf();
    world.write("a", "1");
    await use("commit", { workspace: world.wire, message: "M" }, { world });
    const workspace = { ...(world.wire as JsonObject), branch: "feature/x" };
    let pushes = 0;
    const push: typeof world.parts.workspaces.push = (...given) => {
      pushes += 1;
      return world.workspaces.push(...given);
    };
    const counted = { ...world, parts: { ...world.parts, workspaces: { ...world.parts.workspaces, push } } };
    const input = { workspace, remote: remote.root };
    const journal = new Journal();
    await expect(use("push", input, { world: counted, journal, life: { crashAt: 3 } })).rejects.toThrow(
      "boundary",
    );
    const done = output(await use("push", input, { world: counted, journal }));
    expect(done).toMatchObject({ remote: remote.root, ref: "refs/heads/feature/x" });
    expect(pushes).toBe(1);
    const failed = await use("push", { workspace, remote: "/nowhere" }, { world: counted }).catch(String);
    expect(String(failed)).toContain("nowhere");
  });
});

describe("report", () => {
  it("leaves the diff, the gates, a page for people and a record for programs", async () => {
    const world = worldOf({ parts: { redact: (text) => text.replaceAll("hunter2", "[redacted]") } });
    world.write("answer.txt", "42\n");
    const journal = new Journal();
    journal.add({ kind: "step_started", step: "fix", attempt: 1, input: null });
    const verdict = {
      passed: true,
      tree_hash: "t",
      gates: [{ name: "test", passed: true, required: true, ms: 5 }],
    };
    const said = { outcome: "done", summary: "It was hunter2.", answer: "42", verdict };
    journal.add({ kind: "step_succeeded", step: "fix", attempt: 1, output: said });
    const done = output(await use("report", { workspace: world.wire, title: "The fix" }, { world, journal }));
    expect(done).toEqual({ artifacts: ["diff.patch", "gates.json", "report.md", "run.json"] });
    expect(journal.contents.get("diff.patch")).toContain("+42");
    expect(JSON.parse(journal.contents.get("gates.json") ?? "")).toEqual({ fix: verdict });
    const page = journal.contents.get("report.md") ?? "";
    for (const part of [
      "# The fix",
      "It was [redacted].",
      "| answer.txt | added |",
      "| fix | test | passed |",
    ]) {
      expect(page).toContain(part);
    }
    expect(JSON.parse(journal.contents.get("run.json") ?? "")).toMatchObject({
      schema: "agent-runner/run",
      version: 1,
      run: { id: RUN, status: "running" },
      files_modified: ["answer.txt"],
      security: { sandbox: "host", guarded_write: false, allowlist_root: world.root },
    });
  });

  it("says when nothing was changed and nothing was checked", async () => {
    const world = worldOf();
    const journal = new Journal();
    await use("report", {}, { world, journal });
    expect(journal.contents.get("report.md")).toMatch(/No file was changed.*No gate was run/s);
    expect(journal.contents.has("diff.patch")).toBe(false);
  });
});
