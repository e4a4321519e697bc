import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { guardConfig } from "./config-guard.ts";
import { gitEnvironment } from "./environment.ts";
import { attempt, classify, gitFailure, redactUrls } from "./failures.ts";
import { createGit } from "./git.ts";
import { never, refused, tempFolder } from "./playground.suite.ts";
import { sensitiveName } from "./sensitive.ts";

describe("the git runner", () => {
  const script = (body: string) => {
    const path = join(tempFolder(), "git");
    writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    return createGit({ program: path, noHooks: tempFolder(), environment: process.env });
  };
  const scope = { cwd: process.cwd() };

  it.skipIf(process.platform === "win32")(
    "ends a command and its children at the time limit and at abort",
    async () => {
      const git = script("sleep 60 & echo $! ; wait");
      const late = refused(await attempt(() => git.run(["x"], { scope, signal: never, timeoutMs: 100 })));
      expect(late.code).toBe("command_timeout");
      const abort = new AbortController();
      const running = attempt(() => git.run(["x"], { scope, signal: abort.signal }));
      abort.abort();
      expect(refused(await running).code).toBe("canceled");
    },
  );

  it.skipIf(process.platform === "win32")("bounds what it reads, by failing or by cutting", async () => {
    const git = script("i=0; while [ $i -lt 2000 ]; do echo 0123456789; i=$((i+1)); done");
    const call = { scope, signal: never, maxBytes: 4_096 };
    expect(refused(await attempt(() => git.run(["x"], call))).code).toBe("limit_exceeded");
    const cut = await git.run(["x"], { ...call, clip: true });
    expect(cut).toMatchObject({ clipped: true, bytes: { length: 4_096 } });
  });

  it.skipIf(process.platform === "win32")("passes arguments as they are: no shell reads them", async () => {
    const git = script('for a in "$@"; do last="$a"; done; printf %s "$last"');
    const odd = "$(touch /tmp/x) `id` \"' ; & | \n*";
    expect((await git.run(["x", odd], { scope, signal: never })).text).toBe(odd);
  });

  it.skipIf(process.platform === "win32")("survives a command that does not read its input", async () => {
    const git = script("exec 0<&-; exit 3");
    const input = "x".repeat(2_000_000);
    expect(await git.run(["x"], { scope, signal: never, stdin: input, okCodes: [3] })).toMatchObject({
      code: 3,
    });
  });
});

describe("the environment", () => {
  it("passes what git needs, and nothing that points it elsewhere", () => {
    const env = gitEnvironment({
      PATH: "/bin",
      HOME: "/home/ada",
      GIT_DIR: "/elsewhere",
      GIT_INDEX_FILE: "x",
      GIT_CONFIG_PARAMETERS: "'core.editor=evil'",
      GIT_EXTERNAL_DIFF: "evil",
      ANTHROPIC_API_KEY: "secret",
      SSH_AUTH_SOCK: "/sock",
      LC_ALL: "de_DE",
    });
    expect(env).toMatchObject({ PATH: "/bin", HOME: "/home/ada", SSH_AUTH_SOCK: "/sock", LC_ALL: "C" });
    expect(
      Object.keys(env).filter((key) =>
        /^GIT_(DIR|INDEX_FILE|CONFIG_PARAMETERS|EXTERNAL_DIFF)$|KEY/.test(key),
      ),
    ).toEqual([]);
  });
});

describe("guardConfig", () => {
  const listing = (...entries: readonly [string, string, string][]) =>
    entries.map(([scope, key, value]) => `${scope}\0${key}\n${value}\0`).join("");

  it("lets program-naming settings count from the operator alone", () => {
    const { overrides } = guardConfig(
      listing(
        ["global", "filter.lfs.clean", "git-lfs clean"],
        ["global", "credential.helper", "store"],
        ["local", "filter.lfs.clean", "evil"],
        ["local", "filter.Own.smudge", "evil"],
        ["local", "credential.helper", "!evil"],
        ["worktree", "merge.x.driver", "evil"],
        ["local", "user.name", "Ada"],
      ),
    );
    const set = overrides.filter((part) => part !== "-c");
    expect(set).toEqual([
      "core.sshcommand=ssh -oBatchMode=yes",
      "core.askpass=",
      "filter.lfs.clean=git-lfs clean",
      "filter.Own.smudge=",
      "credential.helper=",
      "credential.helper=store",
      "merge.x.driver=false",
    ]);
  });

  it("refuses a name that no override can reach", () => {
    expect(() => guardConfig(listing(["local", "filter.a=b.clean", "evil"]))).toThrow(/cannot be overridden/);
  });

  it("knows which addresses the repository rewrites", () => {
    const { rewrites } = guardConfig(
      listing(["local", "url.https://evil/.insteadof", "https://good/"], ["global", "url.x.insteadof", "y"]),
    );
    expect(rewrites).toEqual(["https://good/"]);
  });
});

describe("failures", () => {
  it("know a full and a read-only disk by their words", () => {
    expect(classify("error: unable to write file x: No space left on device", "git_failed")).toBe(
      "disk_full",
    );
    expect(classify("fatal: Unable to create '/x/index.lock': Permission denied", "git_failed")).toBe(
      "read_only",
    );
    expect(classify("fatal: cannot mkdir /x: Read-only file system", "git_failed")).toBe("read_only");
    expect(classify("git@host: Permission denied (publickey).", "push_failed")).toBe("push_failed");
  });

  it("show git's words in one line, without credentials", () => {
    const told = gitFailure(
      "push",
      "hint: x\nfatal: unable to access 'https://u:p@h@host/x?access_token=abc': no\n",
    );
    expect(told.message).toBe(
      "git push failed: fatal: unable to access 'https://***@host/x?access_token=***': no",
    );
    expect(redactUrls("git@github.com:o/r.git ssh://git@h/x mail a@b.c")).toBe(
      "git@github.com:o/r.git ssh://***@h/x mail a@b.c",
    );
  });

  it("turn whatever was thrown into a value", async () => {
    expect(refused(await attempt(async () => mkdirSync("/proc/x/y"))).code).toBe("git_failed");
    const defect = await attempt(() => Promise.reject(new TypeError("x is undefined")));
    expect(refused(defect)).toMatchObject({ code: "internal", message: "TypeError: x is undefined" });
  });
});

describe("sensitiveName", () => {
  it("knows sensitive files by their names, in any folder and case", () => {
    for (const path of [
      ".env",
      "a/.ENV",
      ".env.production",
      ".envrc",
      "prod.env",
      "x/id_ed25519",
      "k.PEM",
      "a.p12",
      "credentials",
      "aws/credentials.json",
      ".netrc",
      "x.tfstate",
      ".ssh/config",
      "a/.aws/config",
      "client_secret_1.json",
      ".git-credentials",
      "home/.docker/config.json",
    ]) {
      expect(sensitiveName(path), path).not.toBeNull();
    }
    for (const path of [
      ".env.example",
      ".env.sample",
      "env.ts",
      "src/environment.ts",
      "id_rsa.pub",
      "keys.ts",
      "src/credentials/form.tsx",
      "monkey",
      "README.md",
      "docker/config.json",
      ".github/workflows/x.yml",
      "example.env.template",
    ]) {
      expect(sensitiveName(path), path).toBeNull();
    }
  });
});
