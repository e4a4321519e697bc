import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  commitAll,
  committed,
  git,
  must,
  never,
  prepared,
  refused,
  repository,
  started,
  tempFolder,
  workspacesIn,
  write,
} from "./playground.suite.ts";

const [MOUNT, UNMOUNT] = ["mount", "umount"] as const;
const request = { run: "run_1", branch: "feature/task-1-fix", allowDirty: false };

describe("prepare", () => {
  it("makes a worktree under the data folder, on its branch, from HEAD", async () => {
    const { repo, dataDir, workspace } = await started();
    const head = git(repo, "rev-parse", "HEAD");
    expect(workspace).toEqual({
      run: "run_1",
      repo,
      root: join(dataDir, "workspaces", "run_1"),
      branch: "feature/task-1-fix",
      baseRef: "main",
      baseCommit: head,
    });
    expect(readFileSync(join(workspace.root, "a.txt"), "utf8")).toBe("one\ntwo\nthree\n");
    expect(git(workspace.root, "branch", "--show-current")).toBe("feature/task-1-fix");
    expect(git(workspace.root, "status", "--porcelain")).toBe("");
    expect(git(repo, "branch", "--show-current")).toBe("main");
    expect(git(repo, "status", "--porcelain")).toBe("");
  });

  it("gives the same workspace again, with what was written in it", async () => {
    const { repo, workspaces, workspace } = await started();
    write(workspace.root, "new.txt", "kept");
    commitAll(repo, { "b.txt": "x" }, "the base moves on");
    expect(await prepared(workspaces, repo)).toEqual(workspace);
    expect(readFileSync(join(workspace.root, "new.txt"), "utf8")).toBe("kept");
  });

  it("refuses to make one run's workspace into another", async () => {
    const { repo, workspaces } = await started();
    const other = await workspaces.prepare({ ...request, repo, branch: "other" }, never);
    expect(refused(other).code).toBe("conflict");
  });

  it("starts from a branch, a tag or a commit", async () => {
    const repo = repository();
    const first = git(repo, "rev-parse", "HEAD");
    git(repo, "tag", "v1");
    git(repo, "branch", "dev");
    commitAll(repo, { "b.txt": "x" }, "second");
    const workspaces = workspacesIn(tempFolder());
    const from = async (run: string, base: string) =>
      must(await workspaces.prepare({ ...request, run, repo, base }, never));
    expect(await from("r1", "dev")).toMatchObject({ baseRef: "dev", baseCommit: first });
    expect(await from("r2", "v1")).toMatchObject({ baseRef: "refs/tags/v1", baseCommit: first });
    expect(await from("r3", first.slice(0, 12))).toMatchObject({ baseRef: first, baseCommit: first });
    expect(existsSync(join((await from("r4", "main")).root, "b.txt"))).toBe(true);
  });

  it("takes the next name when somebody has the branch, here or on a remote", async () => {
    const repo = repository();
    git(repo, "branch", request.branch);
    git(repo, "update-ref", `refs/remotes/origin/${request.branch}-2`, "HEAD");
    const workspaces = workspacesIn(tempFolder());
    expect((await prepared(workspaces, repo)).branch).toBe("feature/task-1-fix-3");
    expect((await prepared(workspaces, repo, "run_2")).branch).toBe("feature/task-1-fix-4");
    expect((await prepared(workspaces, repo)).branch).toBe("feature/task-1-fix-3");
  });

  it("says so when no name can be had", async () => {
    const repo = repository();
    git(repo, "branch", "feature");
    const result = await workspacesIn(tempFolder()).prepare({ ...request, repo }, never);
    expect(refused(result)).toMatchObject({
      code: "branch_exists",
      message: expect.stringContaining("refs/heads/feature'"),
    });
  });

  it("makes ten at once of one repository", async () => {
    const repo = repository();
    const workspaces = workspacesIn(tempFolder());
    const runs = Array.from({ length: 10 }, (_, i) => `run_${i}`);
    const all = await Promise.all(runs.map((run) => prepared(workspaces, repo, run)));
    expect(new Set(all.map(({ branch }) => branch)).size).toBe(10);
    expect(new Set(all.map(({ root }) => root)).size).toBe(10);
  });

  it("keeps runs apart whose names look alike", async () => {
    const repo = repository();
    const workspaces = workspacesIn(tempFolder());
    const roots = [];
    for (const run of ["a/b", "a:b", "A-B", "a-b", "..", "con"])
      roots.push((await prepared(workspaces, repo, run)).root);
    expect(new Set(roots.map((root) => root.toLowerCase())).size).toBe(6);
  });
});

describe("prepare refuses", () => {
  const prepare = async (repo: string, over: object = {}, dataDir = tempFolder()) =>
    refused(await workspacesIn(dataDir).prepare({ ...request, repo, ...over }, never));

  it("what is not a repository, and a folder inside one", async () => {
    const plain = tempFolder();
    expect((await prepare(plain)).code).toBe("not_a_repository");
    expect((await prepare(join(plain, "missing"))).code).toBe("not_a_repository");
    expect((await prepare("relative/path")).code).toBe("not_a_repository");
    const repo = repository({ "sub/a.txt": "x" });
    expect(await prepare(join(repo, "sub"))).toMatchObject({
      code: "not_a_repository",
      message: expect.stringContaining("folder inside the repository"),
    });
    expect((await prepare(join(repo, ".git"))).code).toBe("not_a_repository");
  });

  it("an empty repository, and a base that is not there", async () => {
    const empty = tempFolder();
    git(empty, "init", "-q");
    expect((await prepare(empty)).code).toBe("empty_repository");
    const repo = repository();
    git(repo, "update-ref", "refs/remotes/origin/develop", "HEAD");
    expect(await prepare(repo, { base: "develop" })).toMatchObject({
      code: "invalid_input",
      message: expect.stringContaining('Did you mean "origin/develop"?'),
    });
    for (const base of ["", "--output=x", "a\nb"])
      expect((await prepare(repo, { base })).code).toBe("invalid_input");
    git(repo, "symbolic-ref", "HEAD", "refs/heads/unborn");
    expect(await prepare(repo)).toMatchObject({
      code: "invalid_input",
      message: expect.stringContaining("main"),
    });
  });

  it("a branch name that git or a file system cannot hold", async () => {
    const repo = repository();
    for (const branch of ["a b", "-x", "a..b", "x.lock"])
      expect((await prepare(repo, { branch })).code).toBe("invalid_input");
  });

  it("a dirty target unless it is allowed, and never touches it", async () => {
    const repo = repository();
    write(repo, "a.txt", "changed");
    write(repo, "new.txt", "untracked");
    const failed = await prepare(repo);
    expect(failed).toMatchObject({
      code: "dirty_target",
      message: expect.stringContaining("a.txt, new.txt"),
    });
    const workspaces = workspacesIn(tempFolder());
    const workspace = must(await workspaces.prepare({ ...request, repo, allowDirty: true }, never));
    expect(readFileSync(join(workspace.root, "a.txt"), "utf8")).toContain("two");
    expect(existsSync(join(workspace.root, "new.txt"))).toBe(false);
    expect(readFileSync(join(repo, "a.txt"), "utf8")).toBe("changed");
  });

  it("does not take its own data folder inside the target for dirt", async () => {
    const repo = repository();
    const workspaces = workspacesIn(join(repo, ".data"));
    await prepared(workspaces, repo);
    await prepared(workspaces, repo, "run_2");
  });

  it("a missing git, an old git, a data folder that is a file", async () => {
    const repo = repository();
    const missing = workspacesIn(tempFolder(), "no-such-git-anywhere");
    expect(refused(await missing.prepare({ ...request, repo }, never)).code).toBe("git_missing");
    if (process.platform !== "win32") {
      const old = join(tempFolder(), "git");
      writeFileSync(old, "#!/bin/sh\necho git version 2.29.1\n", { mode: 0o755 });
      const failed = refused(await workspacesIn(tempFolder(), old).prepare({ ...request, repo }, never));
      expect(failed).toMatchObject({ code: "git_missing", message: expect.stringContaining("2.30") });
    }
    const file = join(tempFolder(), "file");
    writeFileSync(file, "");
    expect((await prepare(repo, {}, file)).code).toBe("git_failed");
  });

  it("a folder in its place that nobody knows", async () => {
    const { repo, dataDir, workspace } = await started();
    write(workspace.root, "precious.txt", "x");
    rmSync(join(dataDir, "workspaces", ".state"), { recursive: true });
    expect((await prepare(repo, {}, dataDir)).code).toBe("conflict");
    expect(existsSync(join(workspace.root, "precious.txt"))).toBe(true);
  });

  it("an aborted call, and leaves nothing behind", async () => {
    const repo = repository();
    const dataDir = tempFolder();
    const result = await workspacesIn(dataDir).prepare({ ...request, repo }, AbortSignal.abort());
    expect(refused(result).code).toBe("canceled");
    expect(git(repo, "branch", "--list", "feature/*")).toBe("");
  });
});

describe("prepare of unusual repositories", () => {
  it("one whose commits are empty", async () => {
    const repo = repository({});
    const workspaces = workspacesIn(tempFolder());
    const workspace = await prepared(workspaces, repo);
    expect(must(await workspaces.changes(workspace, never)).files).toEqual([]);
    write(workspace.root, "first.txt", "x");
    expect(must(await committed(workspaces, workspace)).kind).toBe("committed");
  });

  it("bare, detached, linked and shallow ones", async () => {
    const repo = repository();
    commitAll(repo, { "a.txt": "2" }, "second");
    const bare = join(tempFolder(), "bare.git");
    git(repo, "clone", "-q", "--bare", repo, bare);
    const workspaces = workspacesIn(tempFolder());
    const inBare = await prepared(workspaces, bare, "bare");
    write(inBare.root, "b.txt", "x");
    expect(must(await committed(workspaces, inBare)).kind).toBe("committed");

    const linked = join(tempFolder(), "linked");
    git(repo, "worktree", "add", "-q", "-b", "side", linked);
    expect(await prepared(workspaces, linked, "linked")).toMatchObject({ baseRef: "side" });

    const head = git(repo, "rev-parse", "HEAD");
    git(repo, "checkout", "-q", "--detach");
    expect(await prepared(workspaces, repo, "detached")).toMatchObject({ baseRef: head, baseCommit: head });

    const shallow = join(tempFolder(), "shallow");
    git(repo, "clone", "-q", "--depth=1", "--branch=main", `file://${repo}`, shallow);
    const inShallow = await prepared(workspaces, shallow, "shallow");
    write(inShallow.root, "c.txt", "x");
    expect(must(await committed(workspaces, inShallow)).kind).toBe("committed");
  });

  it("a sparse one: what is not checked out is not deleted", async () => {
    const repo = repository({ "in/a.txt": "a", "out/b.txt": "b" });
    git(repo, "sparse-checkout", "set", "in");
    const workspaces = workspacesIn(tempFolder());
    const workspace = await prepared(workspaces, repo);
    write(workspace.root, "in/a.txt", "changed");
    const { files } = must(await workspaces.changes(workspace, never));
    expect(files.map(({ path }) => path)).toEqual(["in/a.txt"]);
  });

  it("one with a submodule: its folder stays empty, and the commit leaves it as it is", async () => {
    const inner = repository();
    const repo = repository();
    git(repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", inner, "sub");
    git(repo, "commit", "-q", "-m", "with a submodule");
    const workspaces = workspacesIn(tempFolder());
    const workspace = await prepared(workspaces, repo);
    write(workspace.root, "b.txt", "x");
    const done = must(await committed(workspaces, workspace));
    expect(done).toMatchObject({ kind: "committed", info: { files: [{ path: "b.txt" }] } });
    expect(git(workspace.root, "ls-tree", "HEAD", "sub")).toContain("160000 commit");
  });
});

describe("prepare after a crash", () => {
  it("breaks the locks of a git that was killed, and finds the work as it was", async () => {
    const { repo, workspaces, workspace } = await started();
    write(workspace.root, "b.txt", "x");
    const lock = join(repo, ".git", "worktrees", "run_1", "index.lock");
    writeFileSync(lock, "");
    writeFileSync(join(repo, ".git", "refs", "heads", `${workspace.branch}.lock`), "");
    expect(refused(await committed(workspaces, workspace))).toMatchObject({ code: "git_failed" });
    expect(await prepared(workspaces, repo)).toEqual(workspace);
    expect(existsSync(lock)).toBe(false);
    expect(must(await committed(workspaces, workspace)).kind).toBe("committed");
  });

  it("makes a half-made worktree anew, on the branch it had made", async () => {
    const { repo, dataDir, workspace } = await started();
    const stateFile = join(dataDir, "workspaces", ".state", "run_1", "workspace.json");
    const state = JSON.parse(readFileSync(stateFile, "utf8")) as object;
    writeFileSync(stateFile, JSON.stringify({ ...state, branch: "feature/task-1-fix", ready: false }));
    rmSync(join(workspace.root, "a.txt"));
    rmSync(join(repo, ".git", "worktrees", "run_1", "index"));
    const again = await prepared(workspacesIn(dataDir), repo);
    expect(again).toEqual(workspace);
    expect(existsSync(join(workspace.root, "a.txt"))).toBe(true);
    expect(git(repo, "branch", "--list", "feature/*").split("\n")).toHaveLength(1);
  });

  it("does not take over a branch that another run made first", async () => {
    const { repo, dataDir } = await started();
    const other = join(dataDir, "workspaces", ".state", "run_2");
    const mine = join(dataDir, "workspaces", ".state", "run_1", "workspace.json");
    const state = JSON.parse(readFileSync(mine, "utf8")) as object;
    mkdirSync(other, { recursive: true });
    const root = join(dataDir, "workspaces", "run_2");
    writeFileSync(
      join(other, "workspace.json"),
      JSON.stringify({ ...state, run: "run_2", root, ready: false }),
    );
    expect((await prepared(workspacesIn(dataDir), repo, "run_2")).branch).toBe("feature/task-1-fix-2");
  });

  it("brings back a worktree whose folder, or whose administration, is gone", async () => {
    const { repo, workspaces, workspace } = await started();
    write(workspace.root, "b.txt", "x");
    must(await committed(workspaces, workspace));
    rmSync(workspace.root, { recursive: true });
    expect(refused(await workspaces.changes(workspace, never)).code).toBe("not_found");
    expect(await prepared(workspaces, repo)).toEqual(workspace);
    expect(existsSync(join(workspace.root, "b.txt"))).toBe(true);
    git(repo, "worktree", "remove", "--force", workspace.root);
    expect(await prepared(workspaces, repo)).toEqual(workspace);
    expect(must(await workspaces.changes(workspace, never)).files).toHaveLength(1);
  });

  it("mends a .git file that was written over, and never follows it", async () => {
    const { repo, workspaces, workspace } = await started();
    const trap = repository({ "trap.txt": "x" });
    writeFileSync(join(workspace.root, ".git"), `gitdir: ${join(trap, ".git")}\n`);
    expect(must(await workspaces.changes(workspace, never)).files).toEqual([]);
    await prepared(workspaces, repo);
    expect(git(workspace.root, "branch", "--show-current")).toBe(workspace.branch);
  });

  it.skipIf(process.platform !== "linux" || process.getuid?.() !== 0)(
    "names a full and a read-only disk",
    async () => {
      const repo = repository({ "big.bin": "0123456789".repeat(300_000) });
      const mounted = (options: string) => {
        const path = tempFolder();
        execFileSync(MOUNT, ["-t", "tmpfs", "-o", options, "tmpfs", path], { stdio: "ignore" });
        return path;
      };
      for (const [options, code] of [
        ["size=1m", "disk_full"],
        ["ro", "read_only"],
      ] as const) {
        let path: string;
        try {
          path = mounted(options);
        } catch {
          return; // A container that may not mount.
        }
        try {
          expect(refused(await workspacesIn(path).prepare({ ...request, repo }, never)).code).toBe(code);
        } finally {
          execFileSync(UNMOUNT, [path]);
        }
      }
    },
  );
});
