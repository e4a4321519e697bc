import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openGroupRegistry, reapOrphans } from "./group-registry.ts";
import { createHostSandbox } from "./host-sandbox.ts";
import { bootId, identityOf } from "./process-identity.ts";

const LINUX = process.platform === "linux";
const POSIX = process.platform !== "win32";

let dir: string;
const started: ChildProcess[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "registry-"));
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

/** A server that runs one command through the sandbox, and stays until it is killed. */
async function serverRunning(shell: string): Promise<ChildProcess> {
  const here = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  const code = `
    import { createHostSandbox } from ${here("./host-sandbox.ts")};
    import { openGroupRegistry } from ${here("./group-registry.ts")};
    const sandbox = createHostSandbox({ registry: openGroupRegistry(${JSON.stringify(dir)}), owner: "run_1" });
    const command = { run: { shell: ${JSON.stringify(shell)} }, cwd: process.cwd(), timeoutMs: 60000, maxOutputBytes: 1000 };
    await sandbox.run(command, { signal: new AbortController().signal, onOutput: (text) => process.stdout.write(text) });
  `;
  const server = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  started.push(server);
  return server;
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = "";
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n"));
  }
  throw new Error("the server ended without a line");
}

async function killHard(server: ChildProcess): Promise<void> {
  const gone = once(server, "exit");
  server.kill("SIGKILL");
  await gone;
}

function isAlive(pid: number): boolean {
  if (LINUX) {
    try {
      return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
    } catch {
      return false;
    }
  }
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function expectDead(pid: number): Promise<void> {
  for (let look = 0; look < 250; look += 1) {
    if (!isAlive(pid)) return;
    await wait(20);
  }
  throw new Error(`process ${pid} is still alive`);
}

function writeNote(name: string, note: object, leader?: object): void {
  const lines = [note, ...(leader === undefined ? [] : [leader])].map((line) => `${JSON.stringify(line)}\n`);
  writeFileSync(join(dir, `${name}.group`), lines.join(""));
}

const DEAD_SERVER = { pid: 2 ** 22 + 1, startTick: `${bootId() ?? "unknown"}:1`, startedAtMs: 0 };
const note = {
  mark: "mark-nobody-has",
  owner: "run_9",
  host: hostname(),
  boot: bootId(),
  server: DEAD_SERVER,
};

describe("the registry of process groups", () => {
  it("holds a note for exactly as long as the command runs", async () => {
    const sandbox = createHostSandbox({ registry: openGroupRegistry(dir), owner: "run_1" });
    let during: string[] = [];
    const command = { run: { shell: "echo up" }, cwd: dir, timeoutMs: 5_000, maxOutputBytes: 100 };
    await sandbox.run(command, {
      signal: new AbortController().signal,
      onOutput: () => {
        during = readdirSync(dir);
      },
    });
    expect(during).toHaveLength(1);
    expect(readdirSync(dir)).toEqual([]);
  });

  it("leaves no note of a command that could not start", async () => {
    const sandbox = createHostSandbox({ registry: openGroupRegistry(dir) });
    const command = {
      run: { program: "no-such-program-7", args: [] },
      cwd: dir,
      timeoutMs: 5_000,
      maxOutputBytes: 9,
    };
    await sandbox.run(command, { signal: new AbortController().signal });
    expect(readdirSync(dir)).toEqual([]);
  });

  it.runIf(POSIX)("lets the next start end what a killed server left behind, grandchildren too", async () => {
    const server = await serverRunning(`sleep 300 & echo $$ $!; sleep 301`);
    const pids = (await firstLine(server)).split(" ").map(Number);
    await killHard(server);
    expect(pids.map(isAlive)).toEqual([true, true]);
    const report = await reapOrphans(dir);
    expect(report).toMatchObject({ orphans: [{ owner: "run_1", pid: pids[0], fate: "ended" }], live: 0 });
    for (const pid of pids) await expectDead(pid);
    expect(readdirSync(dir)).toEqual([]);
    expect((await reapOrphans(dir)).orphans).toEqual([]);
  });

  it.runIf(LINUX)("finds a process that left the group, and outlived the command", async () => {
    const server = await serverRunning(`setsid sleep 302 & echo $!; exec sleep 303`);
    const escaped = Number(await firstLine(server));
    await killHard(server);
    const [file = ""] = readdirSync(dir);
    const [first] = readFileSync(join(dir, file), "utf8").split("\n");
    // As after a kill between the start and its note: the second line is missing.
    writeFileSync(join(dir, file), `${first}\n`);
    expect((await reapOrphans(dir)).orphans).toEqual([{ owner: "run_1", pid: null, fate: "ended" }]);
    await expectDead(escaped);
  });

  it.runIf(POSIX)("leaves the commands of a living server alone", async () => {
    const server = await serverRunning(`echo $$; sleep 304`);
    const pid = Number(await firstLine(server));
    expect(await reapOrphans(dir)).toMatchObject({ orphans: [], live: 1 });
    expect(isAlive(pid)).toBe(true);
    await killHard(server);
    await reapOrphans(dir);
    await expectDead(pid);
  });

  it.runIf(POSIX)("never signals a process that only has the same pid", async () => {
    const stranger = spawn("sleep", ["305"], { detached: true, stdio: "ignore" });
    started.push(stranger);
    const pid = stranger.pid as number;
    const leader = identityOf(pid, Date.now() - 3_600_000);
    writeNote("reused", note, { ...leader, startTick: leader.startTick === null ? null : `${bootId()}:12` });
    expect((await reapOrphans(dir)).orphans).toEqual([{ owner: "run_9", pid, fate: "gone" }]);
    expect(isAlive(pid)).toBe(true);
    expect(readdirSync(dir)).toEqual([]);
  });

  it("signals nothing that was noted before the machine started anew", async () => {
    const stranger = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
    started.push(stranger);
    writeNote("old", { ...note, boot: "another-boot" }, identityOf(stranger.pid as number, Date.now()));
    expect((await reapOrphans(dir)).orphans).toMatchObject([{ fate: "gone" }]);
    expect(isAlive(stranger.pid as number)).toBe(true);
  });

  it("leaves the notes of other machines alone", async () => {
    writeNote("far", { ...note, host: "another-machine" });
    expect(await reapOrphans(dir)).toEqual({ orphans: [], live: 1, unreadable: [] });
    expect(readdirSync(dir)).toEqual(["far.group"]);
  });

  it("reports and removes what it cannot read, and does not care for other files", async () => {
    writeFileSync(join(dir, "torn.group"), '{"mark":"x","own');
    writeFileSync(join(dir, "low.group"), JSON.stringify({ ...note, server: { pid: 1 } }));
    writeFileSync(join(dir, "README"), "not ours");
    const report = await reapOrphans(dir);
    expect([...report.unreadable].sort()).toEqual(["low.group", "torn.group"]);
    expect(readdirSync(dir)).toEqual(["README"]);
  });

  it("has nothing to do in a folder that does not exist", async () => {
    expect(await reapOrphans(join(dir, "missing"))).toEqual({ orphans: [], live: 0, unreadable: [] });
  });
});
