import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { commitAll, git, must, never, started, write } from "./playground.suite.ts";

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
      {
        path: "new name.txt",
        from: "old name.txt",
        status: "renamed",
        insertions: 0,
        deletions: 0,
        binary: false,
      },
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
