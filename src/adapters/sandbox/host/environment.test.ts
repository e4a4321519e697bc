import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { commandEnvironment, MARK_VARIABLE } from "./environment.ts";

const base = { platform: "linux", mark: "m1" } as const;
const secrets = [
  "ANTHROPIC_API_KEY",
  "OPENAI_API_KEY",
  "GITHUB_TOKEN",
  "AWS_SECRET_ACCESS_KEY",
  "DATABASE_URL",
  "SSH_AUTH_SOCK",
  "NODE_OPTIONS",
  "LD_PRELOAD",
  "GIT_DIR",
  "BASH_ENV",
  "HTTPS_PROXY",
];

describe("the environment of a command", () => {
  it.each(secrets)("keeps %s with the server", (name) => {
    for (const platform of ["linux", "darwin", "win32"] as const) {
      expect(commandEnvironment({ ...base, platform, server: { [name]: "x" } })).not.toHaveProperty(name);
    }
  });

  it("passes no value of the server under a name that nobody listed", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (name) => {
        const listed = commandEnvironment({ ...base, server: {}, passNames: [] });
        const result = commandEnvironment({ ...base, server: { [`X_${name}`]: "server-value" } });
        expect(result).toEqual(listed);
      }),
    );
  });

  it("passes what tool chains need", () => {
    const server = { PATH: "/bin", HOME: "/home/me", LC_ALL: "C.UTF-8", TMPDIR: "/t", JAVA_HOME: "/j" };
    expect(commandEnvironment({ ...base, server })).toMatchObject(server);
  });

  it("finds Windows variables however they are written", () => {
    const server = { Path: "C:\\bin", SystemRoot: "C:\\Windows", "ProgramFiles(x86)": "C:\\P" };
    expect(commandEnvironment({ ...base, platform: "win32", server })).toMatchObject(server);
  });

  it("never asks, pages or opens an editor, unless the command says otherwise", () => {
    const quiet = commandEnvironment({ ...base, server: { PAGER: "less", EDITOR: "vi", TERM: "xterm" } });
    expect(quiet).toMatchObject({
      PAGER: "cat",
      EDITOR: "true",
      TERM: "dumb",
      GIT_TERMINAL_PROMPT: "0",
      CI: "1",
    });
    expect(commandEnvironment({ ...base, server: {}, added: { CI: "" } })).toMatchObject({ CI: "" });
  });

  it("passes what the operator names", () => {
    const server = { HTTPS_PROXY: "http://proxy:3128" };
    expect(commandEnvironment({ ...base, server, passNames: ["HTTPS_PROXY"] })).toMatchObject(server);
  });

  it("keeps the mark of an outer command beside its own", () => {
    expect(commandEnvironment({ ...base, server: { [MARK_VARIABLE]: "m0" } })[MARK_VARIABLE]).toBe("m0,m1");
  });
});
