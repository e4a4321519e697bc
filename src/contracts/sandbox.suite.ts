import { mkdtemp, realpath, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Command, CommandResult, Sandbox } from "./sandbox.ts";

export interface SandboxSuite {
  readonly open: () => Promise<Sandbox> | Sandbox;
  /** A folder that commands may write to; by default one in the system's temporary folder. */
  readonly makeFolder?: () => Promise<string>;
  /** Ends even a process that made a session of its own. */
  readonly endsEscapedProcesses: boolean;
}

const POSIX = process.platform !== "win32";
const GRACE_MS = 300;

/** A grandchild that listens on a socket file for as long as it lives, holding the command's pipes open. */
const LISTENER = `
  const { spawn } = require("node:child_process");
  const [socket, detached, stay] = process.argv.slice(1);
  const code = 'require("node:net").createServer(() => {}).listen(process.argv[1], () => console.log("listening"));' +
    'process.on("SIGTERM", () => {})';
  const child = spawn(process.execPath, ["-e", code, socket], {
    stdio: ["ignore", "pipe", "inherit"], detached: detached === "detached",
  });
  child.stdout.once("data", () => { console.log("up"); if (stay !== "stay") process.exit(0); });
`;

/** What every sandbox promises. Run it from the test of each implementation. */
export function sandboxLaws(suite: SandboxSuite): void {
  describe("the laws of sandboxes", () => laws(suite));
}

function laws(suite: SandboxSuite): void {
  let sandbox: Sandbox;
  let folder: string;

  beforeEach(async () => {
    sandbox = await suite.open();
    folder = await realpath(await (suite.makeFolder?.() ?? mkdtemp(join(tmpdir(), "sandbox-law-"))));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const defaults = () => ({ cwd: folder, timeoutMs: 20_000, maxOutputBytes: 65_536 });
  const node = (code: string, ...args: string[]): Command["run"] => ({
    program: process.execPath,
    args: ["-e", code, ...args],
  });
  async function run(
    command: Partial<Command> & Pick<Command, "run">,
    options: Partial<Parameters<Sandbox["run"]>[1]> = {},
  ): Promise<CommandResult> {
    const signal = options.signal ?? new AbortController().signal;
    const answer = await sandbox.run(
      { ...defaults(), ...command },
      { graceMs: GRACE_MS, ...options, signal },
    );
    if (!answer.ok) throw new Error(`${answer.failure.code}: ${answer.failure.message}`);
    return answer.result;
  }

  describe("running", () => {
    it("keeps the two streams and the exit code apart", async () => {
      const result = await run({
        run: node(`console.log("out"); console.error("err"); process.exitCode = 3`),
      });
      expect(result).toMatchObject({ exitCode: 3, signal: null, stdout: "out\n", stderr: "err\n" });
      expect(result).toMatchObject({ elidedBytes: 0, timedOut: false, canceled: false });
    });

    it("hands arguments over as they are: no shell looks at them", async () => {
      const args = ["$HOME; echo no", "`id`", "a b", "*", "'\"", "ä€🦊", ""];
      const result = await run({ run: node("console.log(JSON.stringify(process.argv.slice(1)))", ...args) });
      expect(JSON.parse(result.stdout)).toEqual(args);
    });

    it("gives a line to the system's shell", async () => {
      expect((await run({ run: { shell: "echo one && echo two" } })).stdout).toMatch(/^one *\r?\ntwo\r?\n$/);
    });

    it.runIf(POSIX)("gives a line that begins with a dash to the shell as well", async () => {
      expect((await run({ run: { shell: "-nope; echo after" } })).stdout).toBe("after\n");
    });

    it("runs in the folder it is given", async () => {
      expect((await run({ run: node("console.log(process.cwd())") })).stdout.trim()).toBe(folder);
    });

    it.runIf(POSIX)("lets a script open its own output by name", async () => {
      const result = await run({
        run: { shell: "echo one > /dev/stdout && echo two > /dev/stderr && echo three | tee /dev/fd/2" },
      });
      expect(result).toMatchObject({ exitCode: 0, stdout: "one\nthree\n", stderr: "two\nthree\n" });
    });

    it("passes standard input, and closes it", async () => {
      const echo = node("process.stdin.pipe(process.stdout)");
      expect((await run({ run: echo, stdin: "given ä" })).stdout).toBe("given ä");
      expect((await run({ run: echo })).stdout).toBe("");
    });

    it("lets a command end without reading its input", async () => {
      const result = await run({ run: node("process.exit(0)"), stdin: "x".repeat(5_000_000) });
      expect(result.exitCode).toBe(0);
    });

    it("keeps many commands at the same time apart", async () => {
      const numbers = Array.from({ length: 8 }, (_, i) => i);
      const results = await Promise.all(
        numbers.map((i) =>
          run({ run: node("console.log(process.argv[1]); process.exit(+process.argv[1])", `${i}`) }),
        ),
      );
      expect(results.map((r) => [r.exitCode, r.stdout])).toEqual(numbers.map((i) => [i, `${i}\n`]));
    });
  });

  describe("environment", () => {
    it("keeps the server's secrets and passes what the command brings", async () => {
      process.env.LAW_API_KEY = "sk-secret";
      process.env.LAW_TOKEN = "secret-token";
      try {
        const result = await run({
          run: node("console.log(JSON.stringify(process.env))"),
          env: { BROUGHT: "yes" },
        });
        expect(result.stdout).not.toMatch(/LAW_API_KEY|LAW_TOKEN|sk-secret|secret-token/);
        const seen = JSON.parse(result.stdout);
        expect(seen).toMatchObject({
          BROUGHT: "yes",
          CI: "1",
          GIT_TERMINAL_PROMPT: "0",
          TERM: "dumb",
          PAGER: "cat",
        });
        expect(seen.PATH ?? seen.Path).toBeTruthy();
      } finally {
        delete process.env.LAW_API_KEY;
        delete process.env.LAW_TOKEN;
      }
    });
  });

  describe("what cannot be started", () => {
    it("names the program that does not exist", async () => {
      const command = { ...defaults(), run: { program: "no-such-program-7", args: [] } };
      const answer = await sandbox.run(command, { signal: new AbortController().signal });
      expect(answer).toMatchObject({ ok: false, failure: { code: "command_not_started", retryable: false } });
      expect(!answer.ok && answer.failure.message).toContain("no-such-program-7");
    });

    it("names the folder that does not exist", async () => {
      const command = { ...defaults(), cwd: join(folder, "missing"), run: node("0") };
      const answer = await sandbox.run(command, { signal: new AbortController().signal });
      expect(answer).toMatchObject({ ok: false, failure: { code: "command_not_started" } });
      expect(!answer.ok && answer.failure.message).toContain(join(folder, "missing"));
    });

    it("refuses a NUL in an argument as a value, not by a throw", async () => {
      const command = { ...defaults(), run: node("0", "a\0b") };
      const answer = await sandbox.run(command, { signal: new AbortController().signal });
      expect(answer).toMatchObject({ ok: false, failure: { code: "command_not_started" } });
    });
  });

  describe("output", () => {
    it("keeps head and tail of long output and says exactly how much is left out", async () => {
      const code = `for (let i = 0; i < 20000; i += 1) process.stdout.write(String(i).padStart(9, "0") + "\\n")`;
      const result = await run({ run: node(code), maxOutputBytes: 1_000 });
      expect(result.elidedBytes).toBe(200_000 - 1_000);
      expect(result.stdout.startsWith("000000000\n000000001\n")).toBe(true);
      expect(result.stdout.endsWith("000019998\n000019999\n")).toBe(true);
      expect(result.stdout).toContain("[199000 bytes left out]");
    });

    it("never cuts through a character", async () => {
      const result = await run({
        run: node(`process.stdout.write("a" + "🦊€ä".repeat(5000))`),
        maxOutputBytes: 1_001,
      });
      expect(result.stdout).not.toContain("\uFFFD");
      const [head = "", tail = ""] = result.stdout.split(/\n… \[\d+ bytes left out] …\n/);
      expect(Buffer.byteLength(head) + Buffer.byteLength(tail) + result.elidedBytes).toBe(1 + 9 * 5_000);
    });

    it("survives bytes that are no text", async () => {
      const code =
        "process.stdout.write(Buffer.from(Array.from({ length: 100000 }, (_, i) => (i * 7919) % 256)))";
      const result = await run({ run: node(code), maxOutputBytes: 512 });
      expect(result.elidedBytes).toBeGreaterThanOrEqual(100_000 - 512);
      expect(result.elidedBytes).toBeLessThanOrEqual(100_000 - 512 + 6);
    });

    it("reports output while the command runs, whole characters only", async () => {
      const chunks: string[] = [];
      const stop = new AbortController();
      const code = `const b = Buffer.from("live 🦊"); process.stdout.write(b.subarray(0, 7));
        setTimeout(() => process.stdout.write(b.subarray(7)), 30); setInterval(() => {}, 1000)`;
      const result = await run(
        { run: node(code) },
        {
          signal: stop.signal,
          onOutput: (chunk) => {
            chunks.push(chunk);
            if (chunks.join("").includes("🦊")) stop.abort();
          },
        },
      );
      expect(result.canceled).toBe(true);
      expect(chunks.join("")).toBe("live 🦊");
    });

    it("turns a reader that throws into a failure", async () => {
      const command = { ...defaults(), run: node("console.log(1)") };
      const onOutput = (): never => {
        throw new Error("reader broke");
      };
      const answer = await sandbox.run(command, { signal: new AbortController().signal, onOutput });
      expect(answer).toMatchObject({ ok: false, failure: { code: "internal" } });
    });
  });

  describe("ending", () => {
    const stubborn = `process.on("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1000)`;

    it("ends a command at its time limit", async () => {
      const result = await run({ run: node("setInterval(() => {}, 1000)"), timeoutMs: 200 });
      expect(result).toMatchObject({ timedOut: true, canceled: false, exitCode: POSIX ? null : 1 });
      expect(result.ms).toBeGreaterThanOrEqual(190);
    });

    it.runIf(POSIX)("asks politely first, and keeps what is said then", async () => {
      const stop = new AbortController();
      const code = `process.on("SIGTERM", () => { console.log("bye"); process.exit(7) });
        console.log("up"); setInterval(() => {}, 1000)`;
      const result = await run({ run: node(code) }, { signal: stop.signal, onOutput: () => stop.abort() });
      expect(result).toMatchObject({ canceled: true, timedOut: false, exitCode: 7, stdout: "up\nbye\n" });
    });

    it("kills, after the grace, what does not listen", async () => {
      const stop = new AbortController();
      const result = await run(
        { run: node(stubborn) },
        { signal: stop.signal, onOutput: () => stop.abort() },
      );
      expect(result.canceled).toBe(true);
      if (POSIX) expect(result).toMatchObject({ exitCode: null, signal: "SIGKILL" });
      expect(result.ms).toBeLessThan(10_000);
    });

    it("does not start what is canceled already", async () => {
      const code = `require("node:fs").writeFileSync("started", "")`;
      const result = await run({ run: node(code) }, { signal: AbortSignal.abort() });
      expect(result).toMatchObject({ canceled: true, exitCode: null });
      await expect(stat(join(folder, "started"))).rejects.toThrow("ENOENT");
    });

    it.runIf(POSIX)("ends with its grandchildren at the time limit", async () => {
      const result = await run({ run: node(LISTENER, "alive", "same", "stay"), timeoutMs: 1_500 });
      expect(result).toMatchObject({ timedOut: true, stdout: "up\n" });
      await expectDead(join(folder, "alive"));
    });

    it.runIf(POSIX)(
      "ends grandchildren that a finished command left behind, and does not wait for them",
      async () => {
        const result = await run({ run: node(LISTENER, "alive", "same", "leave") });
        expect(result).toMatchObject({ exitCode: 0, timedOut: false, stdout: "up\n" });
        await expectDead(join(folder, "alive"));
      },
    );

    it.runIf(POSIX)(
      "is not held up by a grandchild in a session of its own that holds the pipe",
      async () => {
        const result = await run({ run: node(LISTENER, "alive", "detached", "leave") });
        expect(result).toMatchObject({ exitCode: 0, timedOut: false, stdout: "up\n" });
        if (suite.endsEscapedProcesses) await expectDead(join(folder, "alive"));
      },
    );
  });
}

const DEATH_MS = 5_000;
const LOOK_AGAIN_MS = 20;

/** No system tells a stranger that a process ended: look again until nobody listens on its socket. */
async function expectDead(socket: string): Promise<void> {
  const until = Date.now() + DEATH_MS;
  await stat(socket);
  while (await listens(socket)) {
    if (Date.now() > until) throw new Error(`a process still listens on ${socket}`);
    await wait(LOOK_AGAIN_MS);
  }
}

function listens(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.once("connect", () => {
      connection.destroy();
      resolve(true);
    });
    connection.once("error", () => resolve(false));
  });
}
