// One process that answers and several that work, as people start them, behind the face of a library's runner.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Failure, FailureError } from "../../src/domain/errors.ts";
import { openRunner, type Runner } from "../../src/index.ts";
import { findRun } from "../../src/operations/runs/find-run.ts";
import { Desk, type Running } from "../support/cli.ts";

const DRAIN = "2s";

export interface FleetOptions {
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly workers: number;
}

export interface Fleet extends Runner {
  readonly workers: readonly Running[];
}

/**
 * What is asked for goes to the process that answers, over HTTP, and is done by the others; facts are read from the
 * database, which is all that they have in common.
 */
export async function openFleet({ dataDir, env, workers }: FleetOptions): Promise<Fleet> {
  const desk = new Desk();
  const given = Object.entries(env).filter((one): one is [string, string] => one[1] !== undefined);
  const settings = {
    ...Object.fromEntries(given),
    AGENT_RUNNER_LOG: "warn",
    AGENT_RUNNER_DRAIN: DRAIN,
  };
  const start = async (...args: readonly string[]): Promise<Running> => {
    const running = desk.start(["--data", dataDir, ...args], { env: settings });
    await running.says(/agent-runner .* on |working on /);
    return running;
  };
  try {
    // The first one makes the database.
    const door = await start("start", "--http", "--port", "0");
    const many = await Promise.all(Array.from({ length: workers }, () => start("worker")));
    const { url } = JSON.parse(readFileSync(join(dataDir, "server.json"), "utf8")) as {
      readonly url: string;
    };
    const eye = await openRunner({ dataDir, env: { ...env, AGENT_RUNNER_LOG: "silent" }, work: false });
    return { ...byHttp(eye, url), workers: many, close: () => close({ desk, eye, all: [...many, door] }) };
  } catch (error) {
    await desk.close();
    throw error;
  }
}

async function close(of: {
  readonly desk: Desk;
  readonly eye: Runner;
  readonly all: readonly Running[];
}): Promise<void> {
  for (const { child } of of.all) child.kill("SIGTERM");
  await Promise.all(of.all.map(({ ended }) => ended));
  await of.eye.close();
  await of.desk.close();
}

function byHttp(eye: Runner, url: string): Runner {
  const ask = async (method: string, path: string, body?: object): Promise<Response> => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(url + path, {
      method,
      ...(body === undefined ? {} : { headers, body: JSON.stringify(body) }),
    });
    if (answer.ok) return answer;
    const { error } = (await answer.json()) as { readonly error: Failure };
    throw new FailureError(error);
  };
  const call = async (path: string, body: object) => (await ask("POST", path, body)).json();
  return {
    ...eye,
    house: eye.house,
    async addWorkflow(source, file) {
      const { workflow } = (await call("/workflows", {
        source,
        ...(file === undefined ? {} : { file }),
      })) as {
        readonly workflow: { readonly name: string; readonly hash: string };
      };
      return { name: workflow.name, hash: workflow.hash };
    },
    async start(workflow, inputs, options = {}) {
      if (Object.keys(options).length > 0) throw new Error("no flow starts a run with options yet");
      const { id } = (await call("/runs", { workflow, inputs })) as { readonly id: string };
      const found = await findRun(eye.house.operations, id);
      if (!found.ok) throw new FailureError(found.failure);
      return found.value;
    },
    async signal(run, name, body = null) {
      await call(`/runs/${run}/signals`, { name, body });
    },
    async cancel(run, reason) {
      await call(`/runs/${run}/cancel`, reason === undefined ? {} : { reason });
    },
    async answer(approval, answer, comment) {
      await call(`/approvals/${approval}/answer`, { answer, ...(comment === undefined ? {} : { comment }) });
    },
    async artifact(run, id) {
      return new Uint8Array(await (await ask("GET", `/runs/${run}/artifacts/${id}/download`)).arrayBuffer());
    },
  };
}
