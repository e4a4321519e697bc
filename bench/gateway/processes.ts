import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Pinned, so that the figures can be repeated. */
const PORTKEY = "@portkey-ai/gateway@1.15.2";
/** It adds headers to what fetch has answered, which Node does not allow: without this every call through it fails. */
const MUTABLE_HEADERS = `data:text/javascript,${encodeURIComponent(`
  const native = globalThis.fetch;
  globalThis.fetch = async (...asked) => {
    const { body, status, statusText, headers } = await native(...asked);
    return new Response(body, { status, statusText, headers: new Headers(headers) });
  };
`)}`;
const START_TRIES = 100;
const START_PAUSE_MS = 100;

export interface Process {
  readonly url: string;
  /** On its stdin. */
  tell(text: string): void;
  stop(): Promise<void>;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

/** A process of this folder that says its port and ends with its stdin. */
export async function startScript(script: string, args: readonly (string | number)[]): Promise<Process> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(process.execPath, [path, ...args.map(String)], { stdio: ["pipe", "pipe", "inherit"] });
  const [port] = (await once(child.stdout, "data")) as [Buffer];
  const tell = (text: string) => void child.stdin.write(text);
  return { url: `http://127.0.0.1:${String(port).trim()}`, tell, stop: () => end(child) };
}

/** Portkey's gateway from npm, in a folder of its own, as its documentation starts it; `null` when it cannot be had. */
export async function startPortkey(installed: string | undefined): Promise<Omit<Process, "tell"> | null> {
  const folder = installed ?? mkdtempSync(join(tmpdir(), "agent-runner-portkey-"));
  const remove = () => {
    if (installed === undefined) rmSync(folder, { recursive: true, force: true });
  };
  if (installed === undefined) {
    const args = ["install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", PORTKEY];
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    const made = spawnSync(npm, args, { stdio: "ignore", shell: process.platform === "win32" });
    if (made.status !== 0) {
      remove();
      return null;
    }
  }
  const port = await freePort();
  const main = join(folder, "node_modules", "@portkey-ai", "gateway", "build", "start-server.js");
  const child = spawn(process.execPath, ["--import", MUTABLE_HEADERS, main, "--headless", `--port=${port}`], {
    stdio: "ignore",
  });
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    await end(child);
    remove();
  };
  for (let tried = 0; tried < START_TRIES; tried += 1) {
    if (
      await fetch(url).then(
        () => true,
        () => false,
      )
    )
      return { url, stop };
    await new Promise((resolve) => setTimeout(resolve, START_PAUSE_MS));
  }
  await stop();
  return null;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
