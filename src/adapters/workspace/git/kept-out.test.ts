import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { commitAll, committed, git, must, refused, started, write } from "./playground.suite.ts";

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
