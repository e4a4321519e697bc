import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Reload, Run, RunDetail, WorkerList } from "../src/http/api.ts";
import { Desk, type Running } from "./support/cli.ts";
import { emptyDatabase, startPostgres, type TestPostgres } from "./support/postgres.ts";
import { until } from "./support/until.ts";

const windows = process.platform === "win32";

const NAP = `name: nap
version: "1"
description: Rests for a moment, then ends.
steps:
  - id: rest
    uses: wait
    with: { for: 200ms }
`;
const SIT = `name: sit
version: "1"
description: Ends when it is asked to.
steps:
  - id: sit
    uses: shell
    with: { run: "echo sitting; while true; do sleep 1; done" }
`;
const STARTED_MS = 30_000;

type Worker = WorkerList["workers"][number];

/** A database with processes of several roles, as people start them. */
class Yard {
  readonly desk = new Desk();
  readonly env: Readonly<Record<string, string>>;

  constructor(databaseUrl: string | null) {
    this.env = {
      AGENT_RUNNER_LOG: "info",
      ...(databaseUrl === null ? {} : { DATABASE_URL: databaseUrl }),
    };
  }

  async start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Running> {
    const running = this.desk.start(args, { env: { ...this.env, ...env } });
    await running.says(/agent-runner .* on |working on |(worker|services) on /);
    return running;
  }

  json<T>(args: readonly string[]): Promise<T> {
    return this.desk.json<T>(args, 0, { env: this.env });
  }

  run(args: readonly string[]) {
    return this.desk.run(args, { env: this.env });
  }

  get url(): string {
    return (JSON.parse(readFileSync(join(this.desk.data, "server.json"), "utf8")) as { url: string }).url;
  }

  async workers(): Promise<readonly Worker[]> {
    return ((await (await fetch(`${this.url}/v1/workers`)).json()) as WorkerList).workers;
  }

  /** The members, once they are as wanted. */
  seen(what: string, wanted: (workers: readonly Worker[]) => boolean): Promise<readonly Worker[]> {
    return until(
      what,
      async () => {
        const workers = await this.workers();
        return wanted(workers) ? workers : null;
      },
      STARTED_MS,
    );
  }

  call(method: string, path: string, body?: object): Promise<Response> {
    const json = body === undefined ? {} : { body: JSON.stringify(body) };
    return fetch(`${this.url}${path}`, { method, headers: { "content-type": "application/json" }, ...json });
  }

  async begin(workflow: string): Promise<string> {
    const answer = await this.call("POST", "/runs", { workflow, inputs: {} });
    return ((await answer.json()) as Run).id;
  }

  detail(id: string): Promise<RunDetail> {
    return this.call("GET", `/runs/${id}`).then((answer) => answer.json() as Promise<RunDetail>);
  }

  async upload(): Promise<void> {
    for (const [name, source] of Object.entries({ nap: NAP, sit: SIT }))
      expect((await this.run(["upload", this.desk.file(`${name}.yaml`, source)])).code).toBe(0);
  }
}

/** The one who keeps house, and who else is there. */
const leader = (workers: readonly Worker[]) => workers.filter(({ leads }) => leads.length > 0);

let server: TestPostgres;
let url: string;
beforeAll(async () => {
  server = await startPostgres();
  url = await server.database();
});
afterAll(() => server.stop());

describe.each([{ kind: "SQLite" }, { kind: "PostgreSQL" }])(
  "processes of several roles on $kind",
  ({ kind }) => {
    let yard: Yard;
    beforeEach(() => {
      yard = new Yard(kind === "SQLite" ? null : url);
    });
    afterEach(async () => {
      await yard.desk.close();
      if (kind !== "SQLite") await emptyDatabase(url);
    });

    it("each does its own: one answers, one drives, one keeps house", async () => {
      await yard.start(["start", "--http", "--port", "0"]);
      await yard.upload();
      expect(await yard.workers()).toMatchObject([{ roles: ["http"], slots: 0, labels: [], self: true }]);
      const id = await yard.begin("nap");
      await yard.start(["start", "--worker", "--slots", "2", "--label", "gpu", "--label", "zone=eu"]);
      await until("the run to rest", async () => ((await yard.detail(id)).waiting.length > 0 ? true : null));
      // Nobody keeps house yet, so nobody wakes it.
      expect(leader(await yard.workers())).toEqual([]);
      await yard.start(["start", "--services"]);
      const workers = await yard.seen(
        "three processes",
        (all) => all.length === 3 && leader(all).length === 1,
      );
      expect(workers.map(({ roles, slots }) => ({ roles, slots }))).toEqual([
        { roles: ["http"], slots: 0 },
        { roles: ["worker"], slots: 2 },
        { roles: ["services"], slots: 0 },
      ]);
      expect(workers[1]?.labels).toEqual(expect.arrayContaining(["gpu", "zone=eu", "tool=node"]));
      expect(leader(workers)[0]?.roles).toEqual(["services"]);
      await until("the run's end", async () =>
        (await yard.detail(id)).status === "completed" ? true : null,
      );
      expect((await yard.run(["workers"])).stdout).toMatch(/services \*/);
    });

    it.skipIf(kind === "PostgreSQL")(
      "a worker is resized from another process, and told by name what is wrong",
      async () => {
        await yard.start(["start", "--http", "--port", "0"]);
        await yard.start(["worker", "--slots", "2"]);
        const [first, second] = await yard.seen("a worker", (all) => all.length === 2);
        const resized = await yard.run(["workers", "resize", second?.id ?? "", "7"]);
        expect(resized).toMatchObject({ code: 0, stdout: expect.stringContaining("7 slots") });
        await yard.seen("its new size", (all) => all[1]?.slots === 7);
        const wrong = await yard.call("PATCH", `/v1/workers/${second?.id}`, { slots: 0 });
        expect({ status: wrong.status, body: await wrong.json() }).toMatchObject({
          status: 400,
          body: { error: { code: "invalid_request" } },
        });
        const idle = await yard.call("PATCH", `/v1/workers/${first?.id}`, { slots: 3 });
        expect(await idle.json()).toMatchObject({
          error: { code: "conflict", message: expect.stringContaining("drives no runs") },
        });
        expect((await yard.call("PATCH", "/v1/workers/wrk_none", { slots: 3 })).status).toBe(404);
        expect((await yard.call("POST", "/v1/workers/wrk_none/reload")).status).toBe(404);
      },
    );

    it.skipIf(windows || kind === "SQLite")(
      "keeps house by exactly one, also after that one was killed",
      async () => {
        await yard.start(["start", "--http", "--port", "0"]);
        const running = [await yard.start(["worker"]), await yard.start(["worker"])];
        for (let kill = 0; kill < 2; kill += 1) {
          const [one] = leader(await yard.seen("a leader", (all) => leader(all).length === 1));
          const process = running.find(({ child }) => child.pid === one?.pid);
          process?.child.kill("SIGKILL");
          await process?.ended;
          const [next] = leader(
            await yard.seen("another leader", (all) => leader(all).some(({ id }) => id !== one?.id)),
          );
          expect(next?.id).not.toBe(one?.id);
          running.push(await yard.start(["worker"]));
        }
      },
    );
  },
);

describe.skipIf(windows)("a process", () => {
  let yard: Yard;
  beforeEach(() => {
    yard = new Yard(null);
  });
  afterEach(() => yard.desk.close());

  it("reads its settings again on three ways, says what changed, and keeps them when one is wrong", async () => {
    const settings = yard.desk.file("settings.env", "AGENT_RUNNER_SLOTS=2\n");
    const running = await yard.start(["start", "--port", "0", "--env-file", settings]);
    writeFileSync(settings, "AGENT_RUNNER_SLOTS=3\nAGENT_RUNNER_LABELS=gpu\nAGENT_RUNNER_PORT=1234\n");
    const reloaded = await yard.json<Reload>(["reload"]);
    expect(reloaded).toEqual({
      changed: [
        { setting: "AGENT_RUNNER_LABELS", from: null, to: "gpu" },
        { setting: "AGENT_RUNNER_SLOTS", from: "2", to: "3" },
      ],
      // The port was given on the command line, which wins.
      needs_restart: [],
    });
    await yard.seen("slots and label", ([one]) => one?.slots === 3 && one.labels.includes("gpu"));
    writeFileSync(settings, "AGENT_RUNNER_SLOTS=lots\n");
    const wrong = await yard.run(["reload"]);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("AGENT_RUNNER_SLOTS") });
    running.child.kill("SIGHUP");
    await running.says(/settings kept as they were: .*lots/);
    expect((await yard.workers())[0]).toMatchObject({ slots: 3 });
    writeFileSync(settings, "AGENT_RUNNER_SLOTS=4\nAGENT_RUNNER_INTENT_MODEL=ollama/x\n");
    expect((await yard.run(["reload", "--pid", String(running.child.pid)])).code).toBe(0);
    await running.says("settings read again: AGENT_RUNNER_LABELS gpu → default, AGENT_RUNNER_SLOTS 3 → 4");
    await running.says("in force at the next start: AGENT_RUNNER_INTENT_MODEL");
    writeFileSync(settings, "AGENT_RUNNER_SLOTS=5\n");
    expect(await yard.run(["reload", "--all"])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("one process"),
    });
    await yard.seen("five slots", ([one]) => one?.slots === 5);
  });

  it("with nobody to tell, reload says whom it could tell", async () => {
    const nobody = await yard.run(["reload"]);
    expect(nobody).toMatchObject({ code: 3, stderr: expect.stringContaining("--worker") });
    expect(await yard.run(["reload", "--pid", "2147483646"])).toMatchObject({ code: 2 });
  });

  it("drains at SIGTERM: takes nothing new, answers what is read, hands over what does not end", async () => {
    const draining = await yard.start(["start", "--port", "0"], { AGENT_RUNNER_DRAIN: "3s" });
    await yard.upload();
    const id = await yard.begin("sit");
    await yard.seen("the run", ([one]) => one?.held === 1);
    draining.child.kill("SIGTERM");
    await draining.says("stopping; the steps of 1 run get up to 3.0s");
    const refused = await yard.call("POST", "/runs", { workflow: "nap", inputs: {} });
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).not.toBeNull();
    expect(await refused.json()).toMatchObject({
      error: { code: "unavailable", message: expect.stringContaining("draining") },
    });
    expect((await yard.call("GET", "/healthz")).status).toBe(200);
    const ready = await yard.call("GET", "/readyz");
    expect({ status: ready.status, body: await ready.json() }).toMatchObject({
      status: 503,
      body: { ready: false, checks: expect.arrayContaining([expect.objectContaining({ name: "drain" })]) },
    });
    expect(await yard.detail(id)).toMatchObject({ status: "running" });
    expect((await yard.workers())[0]).toMatchObject({ draining: true, held: 1 });
    expect((await draining.ended).code).toBe(0);
    // Handed over, not lost: of a command that was cut short nobody knows what it did, so a person is asked.
    await yard.start(["start", "--port", "0"]);
    await until("the question", async () => ((await yard.detail(id)).waiting.length > 0 ? true : null));
    await yard.call("POST", `/runs/${id}/cancel`, {});
    await until("its end", async () => ((await yard.detail(id)).status === "canceled" ? true : null));
  });

  it("ends at once at the second signal", async () => {
    const draining = await yard.start(["start", "--port", "0"], { AGENT_RUNNER_DRAIN: "10m" });
    await yard.upload();
    await yard.begin("sit");
    await yard.seen("the run", ([one]) => one?.held === 1);
    draining.child.kill("SIGTERM");
    await draining.says("stopping");
    draining.child.kill("SIGTERM");
    expect((await draining.ended).code).toBe(143);
  });
});
