import { spawn } from "node:child_process";
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createGit } from "./git.ts";
import { mergeByIndex } from "./merge.ts";
import {
  bareRemote,
  commitAll,
  committed,
  git,
  must,
  never,
  prepared,
  refused,
  repository,
  type Started,
  started,
  tempFolder,
  workspacesIn,
  write,
} from "./playground.suite.ts";
import { open } from "./stage.ts";
import { placesOf } from "./state.ts";

async function withRemote(): Promise<Started & { readonly bare: string }> {
  const repo = repository();
  const bare = bareRemote(repo);
  const dataDir = tempFolder("data dir");
  const workspaces = workspacesIn(dataDir);
  const workspace = await prepared(workspaces, repo);
  write(workspace.root, "b.txt", "x\n");
  must(await committed(workspaces, workspace));
  return { repo, bare, dataDir, workspaces, workspace };
}

describe("conflicts", () => {
  const both = async (files: Readonly<Record<string, string>>, ours: object, theirs: object) => {
    const start = await started(files);
    const { repo, workspaces, workspace } = start;
    for (const [path, content] of Object.entries(ours)) write(workspace.root, path, content as string);
    must(await committed(workspaces, workspace));
    commitAll(repo, theirs as Readonly<Record<string, string>>, "the base moves on");
    return { ...start, found: must(await workspaces.conflicts(workspace, never)) };
  };
  const lines = (n: number, at?: number, text = "") =>
    Array.from({ length: n }, (_, i) => `${i === at ? text : `line ${i}`}\n`).join("");

  it("are none while the base stands still", async () => {
    const { workspaces, workspace } = await started();
    write(workspace.root, "a.txt", "x");
    must(await committed(workspaces, workspace));
    expect(must(await workspaces.conflicts(workspace, never))).toEqual({ baseMoved: false, paths: [] });
  });

  it("are none where both sides fit together", async () => {
    const { found } = await both(
      { "a.txt": lines(30) },
      { "a.txt": lines(30, 2, "ours") },
      { "a.txt": lines(30, 25, "theirs") },
    );
    expect(found).toEqual({ baseMoved: true, paths: [] });
  });

  it("are named where they do not, and old gits find the same", async () => {
    const ours = { "a.txt": lines(9, 4, "ours"), "ü b.txt": "ours\n", "c.txt": lines(30, 2, "ours") };
    const theirs = {
      "a.txt": lines(9, 4, "theirs"),
      "ü b.txt": "theirs\n",
      "c.txt": lines(30, 25, "theirs"),
    };
    const start = await both({ "a.txt": lines(9), "c.txt": lines(30) }, ours, theirs);
    expect(start.found).toEqual({ baseMoved: true, paths: ["a.txt", "ü b.txt"] });
    const places = placesOf(start.dataDir);
    const context = {
      git: createGit({ program: "git", noHooks: places.noHooks }),
      cwd: places.states,
      signal: never,
    };
    const opened = await open(context, places, start.workspace);
    const [base, head] = [
      git(start.repo, "rev-parse", "main"),
      git(start.repo, "rev-parse", start.workspace.branch),
    ];
    expect([...(await mergeByIndex(opened, base, head))].sort()).toEqual(["a.txt", "ü b.txt"]);
    const untouched = git(start.repo, "status", "--porcelain");
    expect(untouched).toBe("");
  });

  it("run no merge program that the repository names", async () => {
    const start = await started({ "a.txt": lines(9), ".gitattributes": "*.txt merge=evil\n" });
    const proof = join(tempFolder("proof"), "ran");
    git(start.repo, "config", "merge.evil.driver", `touch '${proof}'`);
    write(start.workspace.root, "a.txt", lines(9, 1, "ours"));
    must(await committed(start.workspaces, start.workspace));
    commitAll(start.repo, { "a.txt": lines(9, 7, "theirs") }, "moves on");
    must(await start.workspaces.conflicts(start.workspace, never));
    expect(existsSync(proof)).toBe(false);
  });

  it("say so when the base is gone", async () => {
    const { repo, workspaces, workspace } = await started();
    git(repo, "checkout", "-q", "-b", "other");
    git(repo, "branch", "-D", "main");
    expect(refused(await workspaces.conflicts(workspace, never))).toMatchObject({ code: "git_failed" });
  });
});

describe("push", () => {
  it("brings the branch to a real remote, by name and by address, once and again", async () => {
    const { repo, bare, workspaces, workspace } = await withRemote();
    expect(must(await workspaces.remoteCommit(workspace, "origin", never))).toBeNull();
    const commit = git(repo, "rev-parse", workspace.branch);
    const expected = { remote: "origin", ref: `refs/heads/${workspace.branch}`, commit };
    expect(must(await workspaces.push(workspace, "origin", never))).toEqual(expected);
    expect(must(await workspaces.push(workspace, "origin", never))).toEqual(expected);
    expect(must(await workspaces.push(workspace, bare, never)).commit).toBe(commit);
    expect(git(bare, "rev-parse", workspace.branch)).toBe(commit);
    expect(must(await workspaces.remoteCommit(workspace, "origin", never))).toBe(commit);
    expect(must(await workspaces.remoteCommit(workspace, bare, never))).toBe(commit);
    expect(git(repo, "config", "--list", "--local")).not.toContain(`branch.${workspace.branch}`);
  });

  it("pushes the next commit on top", async () => {
    const { bare, workspaces, workspace } = await withRemote();
    must(await workspaces.push(workspace, "origin", never));
    write(workspace.root, "c.txt", "x");
    must(await committed(workspaces, workspace));
    const { commit } = must(await workspaces.push(workspace, "origin", never));
    expect(git(bare, "rev-parse", workspace.branch)).toBe(commit);
    expect(git(bare, "rev-list", "--count", `main..${workspace.branch}`)).toBe("2");
  });

  it("never overwrites what is there", async () => {
    const { repo, bare, workspaces, workspace } = await withRemote();
    const foreign = commitAll(repo, { "z.txt": "z" }, "somebody else's");
    git(repo, "push", "-q", bare, `${foreign}:refs/heads/${workspace.branch}`);
    const failed = refused(await workspaces.push(workspace, "origin", never));
    expect(failed).toMatchObject({
      code: "push_failed",
      retryable: false,
      message: expect.stringContaining("does not push by force"),
    });
    expect(git(bare, "rev-parse", workspace.branch)).toBe(foreign);
  });

  it("does not push what it has not committed itself", async () => {
    const { bare, workspaces, workspace } = await withRemote();
    const ours = git(workspace.root, "rev-parse", "HEAD");
    commitAll(workspace.root, { ".env": "SECRET=1" }, "by the agent");
    must(await workspaces.push(workspace, "origin", never));
    expect(git(bare, "rev-parse", workspace.branch)).toBe(ours);
    const fresh = await started();
    commitAll(fresh.workspace.root, { "x.txt": "1" }, "by the agent");
    const nothing = refused(await fresh.workspaces.push(fresh.workspace, bare, never));
    expect(nothing.message).toContain("nothing was committed");
  });

  it("is told by the other side's hook why it was refused", async () => {
    const { bare, workspaces, workspace } = await withRemote();
    const hook = join(bare, "hooks", "pre-receive");
    writeFileSync(hook, "#!/bin/sh\necho branch names need a ticket >&2\nexit 1\n");
    chmodSync(hook, 0o755);
    expect(refused(await workspaces.push(workspace, "origin", never))).toMatchObject({
      code: "push_failed",
      retryable: false,
      message: expect.stringContaining("branch names need a ticket"),
    });
  });

  it("goes only where the run began to point", async () => {
    const { repo, bare, workspaces, workspace } = await withRemote();
    const elsewhere = join(tempFolder(), "elsewhere.git");
    git(repo, "init", "-q", "--bare", elsewhere);
    git(repo, "config", "remote.origin.pushurl", elsewhere);
    expect(refused(await workspaces.push(workspace, "origin", never)).message).toContain("points to");
    git(repo, "config", "--unset", "remote.origin.pushurl");
    git(repo, "config", `url.${elsewhere}.insteadOf`, bare);
    expect(refused(await workspaces.push(workspace, "origin", never)).message).toContain("points to");
    expect(refused(await workspaces.push(workspace, bare, never)).message).toContain("insteadOf");
    git(repo, "config", "--unset", `url.${elsewhere}.insteadOf`);
    git(repo, "remote", "add", "late", elsewhere);
    expect(refused(await workspaces.push(workspace, "late", never)).message).toContain("(origin)");
    expect(git(elsewhere, "for-each-ref")).toBe("");
  });

  it("starts no program that the repository or the address names", async () => {
    const { repo, workspaces, workspace } = await withRemote();
    const proof = join(tempFolder("proof"), "ran");
    git(repo, "config", "remote.origin.receivepack", `touch '${proof}'; git-receive-pack`);
    git(repo, "config", "remote.origin.uploadpack", `touch '${proof}'; git-upload-pack`);
    git(repo, "config", "credential.helper", `!touch '${proof}'`);
    git(repo, "config", "core.sshCommand", `touch '${proof}'`);
    git(repo, "config", "protocol.ext.allow", "always");
    must(await workspaces.push(workspace, "origin", never));
    for (const remote of [
      `ext::touch ${proof}`,
      "--receive-pack=touch",
      "-o",
      "ssh://-oProxyCommand=touch/x",
      "",
    ]) {
      const failed = refused(await workspaces.push(workspace, remote, never));
      expect(failed.code).toBe("push_failed");
    }
    refused(await workspaces.push(workspace, "ssh://127.0.0.1:1/x", never));
    expect(existsSync(proof)).toBe(false);
  });

  it("shows no credentials of an address", async () => {
    const { workspaces, workspace } = await withRemote();
    const address = "http://ada:s3cret-t0ken@127.0.0.1:1/x.git";
    const failed = await workspaces.push(workspace, address, never);
    expect(refused(failed).code).toBe("push_failed");
    expect(refused(failed).retryable).toBe(true);
    expect(JSON.stringify(failed)).not.toMatch(/s3cret|ada:/);
    expect(JSON.stringify(await workspaces.remoteCommit(workspace, address, never))).not.toMatch(/s3cret/);
  });

  it("says so when the remote is not there", async () => {
    const { workspaces, workspace } = await withRemote();
    expect(refused(await workspaces.push(workspace, "nowhere", never)).message).toContain(
      '"nowhere" is no remote',
    );
    const gone = join(tempFolder(), "gone.git");
    expect(refused(await workspaces.push(workspace, gone, never))).toMatchObject({
      code: "push_failed",
      retryable: false,
    });
    expect(refused(await workspaces.remoteCommit(workspace, gone, never)).code).toBe("push_failed");
  });
});

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
