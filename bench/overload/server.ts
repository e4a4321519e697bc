import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const START_MS = 60_000;

export interface OverloadServer {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const WORKFLOW = `name: overload
version: "1"
description: One call of a model that takes its time.
steps:
  - id: ask
    uses: model
    with: { use: scripted/overload, prompt: Say something. }
`;

const LIMITS = `classes:
  urgent: { priority: 0, start_by: 2s, deadline: 6s }
  normal: { priority: 5, start_by: 4s, deadline: 8s }
  batch:  { priority: 9 }
queue: { max_queued: 2000 }
`;

const script = (ms: number) => `name: overload
turns:
  - { text: "done", delay_ms: ${ms}, times: always }
`;

/** A real server process on a folder of its own, with so many slots and a model that takes so long. */
export async function startOverloadServer(of: {
  readonly slots: number;
  readonly serviceMs: number;
  readonly databaseUrl: string | undefined;
}): Promise<OverloadServer> {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-overload-"));
  const at = (name: string, content: string) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const env = {
    ...process.env,
    AGENT_RUNNER_DATA: join(folder, "data"),
    AGENT_RUNNER_PORT: "0",
    AGENT_RUNNER_SLOTS: String(of.slots),
    AGENT_RUNNER_SCRIPT: at("script.yaml", script(of.serviceMs)),
    AGENT_RUNNER_LIMITS: at("limits.yaml", LIMITS),
    AGENT_RUNNER_LOG: "error",
    ...(of.databaseUrl === undefined ? {} : { DATABASE_URL: of.databaseUrl }),
  };
  const child = spawn(process.execPath, [MAIN, "start", "--json"], {
    env,
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const url = await urlOf(child);
  const answer = await fetch(`${url}/workflows`, {
    method: "POST",
    headers: { "content-type": "application/yaml" },
    body: WORKFLOW,
  });
  if (!answer.ok) throw new Error(`the workflow was refused: ${await answer.text()}`);
  return {
    url,
    pid: child.pid ?? 0,
    async stop() {
      const gone = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGTERM");
      await gone;
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function urlOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("the server did not start")), START_MS);
    let said = "";
    child.stdout?.on("data", (chunk) => {
      said += String(chunk);
      const url = /"url":\s*"([^"]+)"/.exec(said)?.[1];
      if (url === undefined) return;
      clearTimeout(late);
      resolve(url);
    });
    child.once("close", (code) => reject(new Error(`the server ended with ${code}: ${said}`)));
  });
}
