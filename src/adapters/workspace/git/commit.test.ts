import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  author,
  commitAll,
  committed,
  git,
  must,
  never,
  refused,
  repository,
  started,
  tempFolder,
  workspacesIn,
  write,
} from "./playground.suite.ts";

describe("commit", () => {
  it("commits everything, with identity, date and trailers, on the branch alone", async () => {
    const { repo, workspaces, workspace } = await started();
    write(workspace.root, "a.txt", "changed\n");
    write(workspace.root, "b/new.txt", "x\n");
    const done = must(await committed(workspaces, workspace));
    if (done.kind !== "committed") expect.fail("nothing was committed");
    expect(done.info.files.map(({ path }) => path)).toEqual(["a.txt", "b/new.txt"]);
    expect(done.info.commit).toBe(git(repo, "rev-parse", workspace.branch));
    const format = "--format=%an <%ae>%n%cn <%ce>%n%at %ct%n%B";
    expect(git(repo, "log", "-1", format, workspace.branch).split("\n")).toEqual([
      "Ada Agent <ada@agents.example>",
      "Ada Agent <ada@agents.example>",
      "1790000000 1790000000",
      "Change things",
      "",
      "Because.",
      "",
      "Agent-Runner-Run: run_1",
      "Agent-Runner-Step: implement",
    ]);
    expect(git(workspace.root, "status", "--porcelain")).toBe("");
    expect(git(repo, "rev-parse", "main")).toBe(workspace.baseCommit);
    expect(git(repo, "config", "--list", "--local")).not.toContain("user.");
  });

  it("says `nothing` when there is nothing, and again after a commit", async () => {
    const { workspaces, workspace } = await started();
    expect(must(await committed(workspaces, workspace))).toEqual({ kind: "nothing", keptOut: [] });
    write(workspace.root, "b.txt", "x");
    expect(must(await committed(workspaces, workspace)).kind).toBe("committed");
    expect(must(await committed(workspaces, workspace)).kind).toBe("nothing");
    write(workspace.root, "b.txt", "y");
    expect(must(await committed(workspaces, workspace))).toMatchObject({
      info: { files: [{ path: "b.txt", status: "modified" }] },
    });
  });

  it("takes the agent's own commits into one of ours, wherever it left HEAD", async () => {
    const { repo, workspaces, workspace } = await started();
    commitAll(workspace.root, { "b.txt": "x" }, "wip by the agent");
    git(workspace.root, "checkout", "-q", "-b", "elsewhere");
    commitAll(workspace.root, { "c.txt": "x" }, "more");
    git(workspace.root, "checkout", "-q", "--detach");
    const done = must(await committed(workspaces, workspace));
    expect(done).toMatchObject({ info: { files: [{ path: "b.txt" }, { path: "c.txt" }] } });
    expect(git(repo, "log", "--format=%s", `main..${workspace.branch}`)).toBe("Change things");
    expect(git(workspace.root, "branch", "--show-current")).toBe(workspace.branch);
    expect(git(workspace.root, "status", "--porcelain")).toBe("");
  });

  it("runs no program that the repository names: hooks, filters, monitors, trailers", async () => {
    const { repo, workspaces, workspace } = await started();
    const proof = join(tempFolder("proof"), "ran");
    const evil = `touch '${proof}'; cat`;
    const hooks = join(repo, ".git", "hooks");
    mkdirSync(hooks, { recursive: true });
    for (const hook of [
      "pre-commit",
      "commit-msg",
      "post-commit",
      "post-checkout",
      "reference-transaction",
      "post-index-change",
    ]) {
      writeFileSync(join(hooks, hook), `#!/bin/sh\ntouch '${proof}'\n`);
      chmodSync(join(hooks, hook), 0o755);
    }
    for (const [key, value] of [
      ["core.fsmonitor", evil],
      ["core.hooksPath", hooks],
      ["filter.Evil.clean", evil],
      ["filter.Evil.smudge", evil],
      ["filter.Evil.required", "true"],
      ["diff.Evil.textconv", evil],
      ["diff.Evil.command", evil],
      ["diff.external", evil],
      ["trailer.agent-runner-run.command", evil],
      ["trailer.agent-runner-run.cmd", evil],
      ["core.pager", evil],
      ["core.editor", evil],
      ["gpg.program", evil],
      ["commit.gpgSign", "true"],
      ["log.showSignature", "true"],
    ] as const) {
      git(repo, "config", key, value);
    }
    write(workspace.root, ".gitattributes", "* filter=Evil diff=Evil\n");
    write(workspace.root, "b.txt", "x\n");
    must(await workspaces.changes(workspace, never));
    expect(must(await committed(workspaces, workspace)).kind).toBe("committed");
    must(await workspaces.findCommit(workspace, { key: "Agent-Runner-Run", value: "run_1" }, never));
    must(await workspaces.prepare({ run: "run_2", repo, branch: "two", allowDirty: true }, never));
    expect(existsSync(proof)).toBe(false);
  });

  it("lets the operator's own filters work", async () => {
    const config = join(tempFolder("config"), "gitconfig");
    writeFileSync(config, '[filter "up"]\n\tclean = tr a-z A-Z\n');
    const before = process.env.GIT_CONFIG_GLOBAL;
    process.env.GIT_CONFIG_GLOBAL = config;
    try {
      const { repo, workspaces, workspace } = await started();
      git(repo, "config", "filter.up.clean", "false");
      write(workspace.root, ".gitattributes", "*.up filter=up\n");
      write(workspace.root, "x.up", "shout\n");
      must(await committed(workspaces, workspace));
      expect(git(repo, "show", `${workspace.branch}:x.up`)).toBe("SHOUT");
    } finally {
      process.env.GIT_CONFIG_GLOBAL = before;
    }
  });

  it("refuses a message, an author or a trailer that is none", async () => {
    const { workspaces, workspace } = await started();
    write(workspace.root, "b.txt", "x");
    const good = { workspace, message: "m", author, trailers: {} };
    const bad = [
      { ...good, message: " \n" },
      { ...good, message: "a\0b" },
      { ...good, author: { name: "", email: "x@y" } },
      { ...good, author: { name: "A\nB", email: "x@y" } },
      { ...good, trailers: { "Bad Key": "x" } },
      { ...good, trailers: { Key: "two\nlines" } },
    ];
    for (const request of bad)
      expect(refused(await workspaces.commit(request, never)).code).toBe("invalid_input");
  });
});

describe("a failed commit", () => {
  async function snapshot(repo: string, root: string) {
    return {
      index: readFileSync(join(repo, ".git/worktrees/run_1/index")).toString("hex"),
      head: readFileSync(join(repo, ".git/worktrees/run_1/HEAD"), "utf8"),
      tip: git(repo, "rev-parse", "feature/task-1-fix"),
      status: git(root, "status", "--porcelain"),
      left: readdirSync(join(repo, ".git/worktrees/run_1")).filter((name) => name.endsWith(".lock")),
    };
  }

  it("leaves everything as it was while another git holds the index", async () => {
    const { repo, workspaces, workspace } = await started();
    write(workspace.root, "b.txt", "x");
    git(workspace.root, "add", "b.txt");
    const lock = join(repo, ".git/worktrees/run_1/index.lock");
    writeFileSync(lock, "");
    const failed = refused(await committed(workspaces, workspace));
    expect(failed).toMatchObject({ code: "git_failed", message: expect.stringContaining("index.lock") });
    expect(existsSync(lock)).toBe(true);
    rmSync(lock);
    expect(await snapshot(repo, workspace.root)).toMatchObject({
      tip: workspace.baseCommit,
      status: "A  b.txt",
    });
  });

  it("is taken back when the branch cannot be moved", async () => {
    const { repo, workspaces, workspace } = await started();
    write(workspace.root, "b.txt", "x");
    const before = await snapshot(repo, workspace.root);
    const lock = join(repo, ".git/refs/heads/feature/task-1-fix.lock");
    writeFileSync(lock, "");
    expect(refused(await committed(workspaces, workspace)).code).toBe("git_failed");
    rmSync(lock);
    expect(await snapshot(repo, workspace.root)).toEqual(before);
    expect(
      must(await workspaces.findCommit(workspace, { key: "Agent-Runner-Run", value: "run_1" }, never)),
    ).toBeNull();
    expect(must(await committed(workspaces, workspace)).kind).toBe("committed");
  });

  it("is taken back when HEAD cannot be moved after the branch was", async () => {
    const { repo, workspaces, workspace } = await started();
    git(workspace.root, "checkout", "-q", "--detach");
    write(workspace.root, "b.txt", "x");
    const before = await snapshot(repo, workspace.root);
    const lock = join(repo, ".git/worktrees/run_1/HEAD.lock");
    writeFileSync(lock, "");
    expect(refused(await committed(workspaces, workspace)).code).toBe("git_failed");
    rmSync(lock);
    expect(await snapshot(repo, workspace.root)).toEqual(before);
    expect(must(await committed(workspaces, workspace)).kind).toBe("committed");
  });

  it("is one that was canceled", async () => {
    const { repo, workspaces, workspace } = await started();
    write(workspace.root, "b.txt", "x");
    const before = await snapshot(repo, workspace.root);
    const request = { workspace, message: "m", author, trailers: {} };
    expect(refused(await workspaces.commit(request, AbortSignal.abort())).code).toBe("canceled");
    const abort = new AbortController();
    const underway = workspaces.commit(request, abort.signal);
    abort.abort();
    expect(refused(await underway).code).toBe("canceled");
    expect(await snapshot(repo, workspace.root)).toEqual(before);
  });
});

describe("findCommit", () => {
  it("answers whether it happened", async () => {
    const { dataDir, workspaces, workspace } = await started();
    const ask = (value: string) =>
      workspaces.findCommit(workspace, { key: "Agent-Runner-Step", value }, never);
    expect(must(await ask("one"))).toBeNull();
    write(workspace.root, "b.txt", "x");
    write(workspace.root, ".env", "x");
    const first = must(await committed(workspaces, workspace, "one"));
    write(workspace.root, "c.txt", "x");
    const second = must(await committed(workspaces, workspace, "two"));
    if (first.kind !== "committed" || second.kind !== "committed") expect.fail("nothing was committed");
    expect(must(await ask("two"))).toEqual(second.info);
    expect(must(await ask("one"))?.commit).toBe(first.info.commit);
    expect(must(await ask("three"))).toBeNull();
    const anew = workspacesIn(dataDir);
    expect(
      must(await anew.findCommit(workspace, { key: "Agent-Runner-Step", value: "one" }, never))?.commit,
    ).toBe(first.info.commit);
  });

  it("does not believe a commit that is not ours", async () => {
    const { workspaces, workspace } = await started();
    commitAll(workspace.root, { "b.txt": "x" }, "lie\n\nAgent-Runner-Step: one");
    expect(
      must(await workspaces.findCommit(workspace, { key: "Agent-Runner-Step", value: "one" }, never)),
    ).toBeNull();
  });

  it("finds the commit of a server that fell right after it", async () => {
    const { repo, dataDir, workspaces, workspace } = await started();
    const stateFile = join(dataDir, "workspaces/.state/run_1/workspace.json");
    const before = JSON.parse(readFileSync(stateFile, "utf8")) as object;
    write(workspace.root, "b.txt", "x");
    const done = must(await committed(workspaces, workspace, "one"));
    if (done.kind !== "committed") expect.fail("nothing was committed");
    const { commit } = done.info;
    writeFileSync(stateFile, JSON.stringify({ ...before, pending: { commit, keptOut: [] } }));
    const anew = workspacesIn(dataDir);
    must(await anew.prepare({ run: "run_1", repo, branch: workspace.branch, allowDirty: false }, never));
    const found = must(await anew.findCommit(workspace, { key: "Agent-Runner-Step", value: "one" }, never));
    expect(found?.commit).toBe(commit);
    expect(must(await committed(anew, workspace, "one")).kind).toBe("nothing");
  });
});

describe("history", () => {
  it("is what git itself finds sound", async () => {
    const { repo, workspaces, workspace } = await started();
    write(workspace.root, "b.txt", "x");
    must(await committed(workspaces, workspace));
    expect(
      execFileSync("git", ["fsck", "--strict"], { cwd: repo, encoding: "utf8", stdio: "pipe" }),
    ).not.toMatch(/error|missing/);
    expect(repository()).toBeTruthy();
  });
});
