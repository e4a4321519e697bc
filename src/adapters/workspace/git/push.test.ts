import { chmodSync, existsSync, writeFileSync } from "node:fs";
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
  refused,
  repository,
  type Started,
  started,
  tempFolder,
  workspacesIn,
  write,
} from "./playground.suite.ts";

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

  it("understands a remote that is written relative to the target", async () => {
    const repo = repository();
    git(repo, "init", "-q", "--bare", "../beside.git");
    git(repo, "remote", "add", "origin", "../beside.git");
    const workspaces = workspacesIn(tempFolder());
    const workspace = await prepared(workspaces, repo);
    write(workspace.root, "b.txt", "x\n");
    must(await committed(workspaces, workspace));
    const { commit } = must(await workspaces.push(workspace, "origin", never));
    expect(must(await workspaces.remoteCommit(workspace, "origin", never))).toBe(commit);
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
