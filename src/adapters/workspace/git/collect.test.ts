import { spawn } from "node:child_process";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  bareRemote,
  commitAll,
  committed,
  git,
  must,
  never,
  prepared,
  repository,
  started,
  tempFolder,
  workspacesIn,
  write,
} from "./playground.suite.ts";

describe("collect", () => {
  const all = async () => true;

  it("removes what is pushed, merged or without commits, and keeps the rest with its reason", async () => {
    const repo = repository();
    bareRemote(repo);
    const dataDir = tempFolder();
    const workspaces = workspacesIn(dataDir);
    const make = async (run: string) => {
      const workspace = await prepared(workspaces, repo, run);
      const commit = async (name: string) => {
        write(workspace.root, name, "x\n");
        must(await committed(workspaces, workspace));
      };
      return { workspace, commit };
    };
    const empty = await make("empty");
    const pushed = await make("pushed");
    await pushed.commit("p.txt");
    must(await workspaces.push(pushed.workspace, "origin", never));
    const merged = await make("merged");
    await merged.commit("m.txt");
    git(repo, "merge", "-q", "--ff", merged.workspace.branch);
    const unpushed = await make("unpushed");
    await unpushed.commit("u.txt");
    const dirty = await make("dirty");
    write(dirty.workspace.root, "d.txt", "x");
    const later = await make("later");
    await later.commit("p.txt");
    must(await workspaces.push(later.workspace, "origin", never));
    await later.commit("after the push.txt");
    const agents = await make("agents");
    git(agents.workspace.root, "checkout", "-q", "--detach");
    commitAll(agents.workspace.root, { "x.txt": "x" }, "detached work");
    const staged = await make("staged");
    git(staged.workspace.root, "rm", "-q", "--cached", "a.txt");
    const running = await make("running");
    await make("merging");
    writeFileSync(join(repo, ".git/worktrees/merging/MERGE_HEAD"), "x");

    const { removed, kept } = must(await workspaces.collect(async (run) => run !== "running", never));
    expect(removed.map((path) => path.split(/[\\/]/).at(-1)).sort()).toEqual([
      "empty",
      "merged",
      "pushed",
      "staged",
    ]);
    expect(Object.fromEntries(kept.map(({ path, reason }) => [path.split(/[\\/]/).at(-1), reason]))).toEqual({
      unpushed: "1 commit(s) not pushed",
      dirty: "uncommitted changes",
      later: "1 commit(s) not pushed",
      agents: "uncommitted changes",
      merging: "a git operation is underway (MERGE_HEAD)",
    });
    for (const { workspace } of [empty, pushed, merged]) expect(existsSync(workspace.root)).toBe(false);
    for (const { workspace } of [unpushed, dirty, later, agents, running])
      expect(existsSync(workspace.root)).toBe(true);
    const branches = git(repo, "branch", "--format=%(refname:short)").split("\n");
    expect(branches).not.toContain(empty.workspace.branch);
    for (const { workspace } of [pushed, merged, unpushed, later])
      expect(branches).toContain(workspace.branch);
    expect(git(repo, "worktree", "list").split("\n")).toHaveLength(7);
    expect(git(repo, "worktree", "prune", "--dry-run", "--verbose")).toBe("");
  });

  it("keeps a detached commit that is nowhere else", async () => {
    const { workspaces, workspace } = await started();
    git(workspace.root, "checkout", "-q", "--detach");
    commitAll(workspace.root, { "x.txt": "x" }, "detached work");
    git(workspace.root, "rm", "-q", "x.txt");
    const { kept } = must(await workspaces.collect(all, never));
    expect(kept).toEqual([{ path: workspace.root, reason: "1 commit(s) not pushed" }]);
  });

  it("removes ignored files with the worktree, and makes the workspace anew when asked", async () => {
    const { repo, workspaces, workspace } = await started({ ".gitignore": "node_modules/\n" });
    write(workspace.root, "node_modules/x/index.js", "x");
    expect(must(await workspaces.collect(all, never)).removed).toEqual([workspace.root]);
    expect(await prepared(workspaces, repo)).toEqual(workspace);
  });

  it("keeps what it cannot judge: a repository that is gone, a stranger's folder", async () => {
    const { repo, dataDir, workspaces, workspace } = await started();
    const stray = join(dataDir, "workspaces", "somebody-elses");
    write(stray, "x", "x");
    const away = `${repo} moved away`;
    renameSync(repo, away);
    const { removed, kept } = must(await workspaces.collect(all, never));
    renameSync(away, repo);
    expect(removed).toEqual([]);
    expect(kept.map(({ path }) => path)).toEqual([workspace.root, stray]);
  });

  it("clears what a crash left half-made, and administration without files", async () => {
    const { repo, dataDir, workspaces, workspace } = await started();
    const stateFile = join(dataDir, "workspaces/.state/run_1/workspace.json");
    const state = JSON.parse(readFileSync(stateFile, "utf8")) as object;
    writeFileSync(stateFile, JSON.stringify({ ...state, ready: false }));
    expect(must(await workspaces.collect(all, never)).removed).toEqual([workspace.root]);
    expect(existsSync(join(repo, ".git/worktrees/run_1"))).toBe(false);
    expect(must(await workspaces.collect(all, never))).toEqual({ removed: [], kept: [] });
  });

  it.skipIf(process.platform !== "linux")("keeps what a process works in", async () => {
    const { workspaces, workspace } = await started();
    const child = spawn("cat", { cwd: workspace.root, stdio: ["pipe", "pipe", "ignore"] });
    try {
      await new Promise((resolve) => child.once("spawn", resolve));
      const { kept } = must(await workspaces.collect(all, never));
      expect(kept).toEqual([{ path: workspace.root, reason: `the process ${child.pid} works in it` }]);
    } finally {
      child.kill();
      await new Promise((resolve) => child.once("exit", resolve));
    }
    expect(must(await workspaces.collect(all, never)).removed).toEqual([workspace.root]);
  });
});
