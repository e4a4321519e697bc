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

describe("changes", () => {
  it("sees committed, staged, unstaged and untracked work together", async () => {
    const { workspaces, workspace } = await started({
      "a.txt": "1\n",
      "b.txt": "1\n",
      "gone.txt": "1\n",
      "old name.txt": "same\n".repeat(9),
      ".gitignore": "ignored/\n",
    });
    const { root } = workspace;
    commitAll(root, { "a.txt": "1\n2\n" }, "by the agent itself");
    write(root, "b.txt", "2\n3\n");
    git(root, "add", "b.txt");
    write(root, "ü new.txt", "x\ny\n");
    write(root, "bin.dat", Buffer.from([0, 1, 2]));
    write(root, "ignored/x", "x");
    git(root, "mv", "old name.txt", "new name.txt");
    rmSync(join(root, "gone.txt"));
    const { files, patch } = must(await workspaces.changes(workspace, never));
    expect(files).toEqual([
      { path: "a.txt", status: "modified", insertions: 1, deletions: 0, binary: false },
      { path: "b.txt", status: "modified", insertions: 2, deletions: 1, binary: false },
      { path: "bin.dat", status: "added", insertions: 0, deletions: 0, binary: true },
      { path: "gone.txt", status: "deleted", insertions: 0, deletions: 1, binary: false },
      { path: "new name.txt", status: "renamed", insertions: 0, deletions: 0, binary: false },
      { path: "ü new.txt", status: "added", insertions: 2, deletions: 0, binary: false },
    ]);
    expect(patch).toContain("+++ b/ü new.txt\t\n@@ -0,0 +1,2 @@\n+x\n+y\n");
    expect(patch).toContain("Binary files /dev/null and b/bin.dat differ");
    expect(patch).not.toContain("ignored");
  });

  it("leaves index and objects of the repository as they were", async () => {
    const { repo, workspaces, workspace } = await started();
    write(workspace.root, "new.txt", "never seen before");
    const index = readFileSync(join(repo, ".git/worktrees/run_1/index"));
    const objects = git(repo, "count-objects");
    must(await workspaces.changes(workspace, never));
    expect(readFileSync(join(repo, ".git/worktrees/run_1/index")).equals(index)).toBe(true);
    expect(git(repo, "count-objects")).toBe(objects);
  });

  it("has one hash for one content, another for another", async () => {
    const { workspaces, workspace } = await started();
    const hash = async () => must(await workspaces.changes(workspace, never)).treeHash;
    const before = await hash();
    write(workspace.root, "a.txt", "one\ntwo\nTHREE\n");
    const after = await hash();
    expect(after).not.toBe(before);
    git(workspace.root, "add", "-A");
    expect(await hash()).toBe(after);
    write(workspace.root, "a.txt", "one\ntwo\nthree\n");
    expect(await hash()).toBe(before);
  });

  it("is not deceived by flags and marks in the worktree's own index", async () => {
    const { workspaces, workspace } = await started({ "a.txt": "1\n", ".gitignore": "*.log\n" });
    git(workspace.root, "update-index", "--assume-unchanged", "a.txt");
    write(workspace.root, "a.txt", "2\n");
    write(workspace.root, "x.log", "forced\n");
    git(workspace.root, "add", "-f", "x.log");
    const { files } = must(await workspaces.changes(workspace, never));
    expect(files.map(({ path }) => path)).toEqual(["a.txt", "x.log"]);
  });

  it("bounds the patch at whole files, and says so", async () => {
    const { workspaces, workspace } = await started();
    for (const name of ["b", "c", "d"])
      write(workspace.root, `${name}.txt`, `${"0123456789".repeat(10)}\n`.repeat(20_000));
    const { files, patch } = must(await workspaces.changes(workspace, never));
    expect(files).toHaveLength(3);
    expect(patch.length).toBeLessThan(4_300_000);
    expect(patch.slice(-100)).toMatch(/0123456789\n# 1 of 3 files are not shown/);
    write(workspace.root, "b.txt", Buffer.alloc(20_000_000, "line of text\n"));
    const huge = must(await workspaces.changes(workspace, never)).files.find(({ path }) => path === "b.txt");
    expect(huge).toMatchObject({ binary: true, status: "added" });
  });

  it("sees through folders that became files, and files that became folders", async () => {
    const { workspaces, workspace } = await started({ "x/y.txt": "1\n", z: "1\n" });
    rmSync(join(workspace.root, "x"), { recursive: true });
    write(workspace.root, "x", "file\n");
    rmSync(join(workspace.root, "z"));
    write(workspace.root, "z/q.txt", "other\n");
    const { files } = must(await workspaces.changes(workspace, never));
    expect(files.map(({ path, status }) => `${status} ${path}`).sort()).toEqual([
      "added x",
      "added z/q.txt",
      "deleted x/y.txt",
      "deleted z",
    ]);
  });
});

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

describe("sensitive files and secrets", () => {
  it("keeps sensitive files out and commits the rest", async () => {
    const { repo, workspaces, workspace } = await started({
      ".env": "A=1\n",
      "old.pem": "x\n",
      "a.txt": "1\n",
    });
    const account = { type: "service_account", private_key: "-----BEGIN" };
    for (const [path, content] of Object.entries({
      ".env": "A=2\n",
      ".env.local": "B=1\n",
      ".env.example": "B=\n",
      "deploy/id_rsa": "x",
      "deploy/id_rsa.pub": "ssh-rsa AAAA",
      "server.key": "x",
      ".npmrc": "//registry.example/:_authToken=abc\n",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: npm's own way to name a variable
      "sub/.npmrc": "save-exact=true\n//r.example/:_authToken=${NPM_TOKEN}\n",
      "gcp.json": JSON.stringify(account),
      "package.json": "{}",
      ".aws/credentials": "x",
      "src/credentials.ts": "export const a = 1;\n",
    })) {
      write(workspace.root, path, content);
    }
    rmSync(join(workspace.root, "old.pem"));
    const done = must(await committed(workspaces, workspace));
    if (done.kind !== "committed") expect.fail("nothing was committed");
    expect(done.info.files.map(({ path }) => path)).toEqual([
      ".env.example",
      "deploy/id_rsa.pub",
      "old.pem",
      "package.json",
      "src/credentials.ts",
      "sub/.npmrc",
    ]);
    expect(done.info.keptOut.map(({ path }) => path)).toEqual([
      ".aws/credentials",
      ".env",
      ".env.local",
      ".npmrc",
      "deploy/id_rsa",
      "gcp.json",
      "server.key",
    ]);
    expect(git(repo, "show", `${workspace.branch}:.env`)).toBe("A=1");
    expect(readFileSync(join(workspace.root, ".env"), "utf8")).toBe("A=2\n");
    expect(must(await committed(workspaces, workspace))).toMatchObject({
      kind: "nothing",
      keptOut: { length: 7 },
    });
  });

  it("keeps them out when the agent staged or committed them itself", async () => {
    const { repo, workspaces, workspace } = await started({ "a.txt": "1", ".gitignore": ".env\n" });
    commitAll(workspace.root, { ".env": "SECRET=1\n", "b.txt": "x\n" }, "oops");
    const done = must(await committed(workspaces, workspace));
    expect(done).toMatchObject({ info: { files: [{ path: "b.txt" }], keptOut: [{ path: ".env" }] } });
    expect(git(repo, "log", "--format=%H", "--", ".env", workspace.branch, "--")).toBe("");
    expect(git(repo, "ls-tree", "-r", "--name-only", workspace.branch)).not.toContain(".env");
  });

  it("keeps git repositories inside the workspace out, even ones without a commit", async () => {
    const { workspaces, workspace } = await started();
    for (const name of ["with", "without"]) {
      mkdirSync(join(workspace.root, name));
      git(join(workspace.root, name), "init", "-q");
      write(workspace.root, `${name}/x.txt`, "x");
    }
    commitAll(join(workspace.root, "with"), {}, "inner");
    write(workspace.root, "b.txt", "x");
    const done = must(await committed(workspaces, workspace));
    expect(done).toMatchObject({
      info: { files: [{ path: "b.txt" }], keptOut: [{ path: "with/" }, { path: "without/" }] },
    });
  });

  it("blocks on a secret in an added line, names the place and not the secret", async () => {
    const { repo, workspaces, workspace } = await started({ "src/x.ts": "// one\n// two\n" });
    const secret = `ghp_${"aB3dE7gH1jK9mN5pQ2sT8vW4xY6zC0fG2hJ4"}`;
    write(workspace.root, "src/x.ts", `// one\nconst t = "${secret}"; // secretlint-disable-line\n// two\n`);
    const failed = await committed(workspaces, workspace);
    expect(refused(failed)).toMatchObject({
      code: "secret_found",
      message: expect.stringContaining("src/x.ts:2 (github token)"),
    });
    expect(JSON.stringify(failed)).not.toContain(secret.slice(4, 20));
    expect(git(repo, "rev-parse", workspace.branch)).toBe(workspace.baseCommit);
  });

  it("finds one that attributes or the agent's own commits would hide", async () => {
    const { workspaces, workspace } = await started();
    const secret = `sk-ant-api03-${"aB3dE7gH1j".repeat(9)}abcAA`;
    commitAll(workspace.root, { ".gitattributes": "* -diff\n", "b.txt": `x\n${secret}\n` }, "hidden");
    const failed = refused(await committed(workspaces, workspace));
    expect(failed).toMatchObject({ code: "secret_found", message: expect.stringContaining("b.txt:2") });
  });

  it("lets a secret go that was there before, or is only taken out", async () => {
    const secret = `AIza${"aB3dE7gH1jK9mN5pQ2sT8vW4xY6zC0fG2hJ"}`;
    const { workspaces, workspace } = await started({ "a.txt": `1\n${secret}\n3\n`, "b.txt": `${secret}\n` });
    write(workspace.root, "a.txt", `0\n1\n${secret}\n3\n`);
    write(workspace.root, "b.txt", "\n");
    expect(must(await committed(workspaces, workspace)).kind).toBe("committed");
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
