import { afterAll, beforeAll, expect, it } from "vitest";
import { LoadClient } from "../../bench/overload/load.ts";
import { type OverloadServer, startOverloadServer } from "../../bench/overload/server.ts";
import { until } from "../support/until.ts";

// The small form of bench/overload.ts: what is measured there is only counted here.

interface Run {
  readonly id: string;
  readonly status: string;
  readonly failure: object | null;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly sla: {
    readonly start_by: string | null;
    readonly deadline_at: string | null;
    readonly state: string;
  };
}

let server: OverloadServer;
let client: LoadClient;

beforeAll(async () => {
  server = await startOverloadServer({ slots: 2, serviceMs: 100, databaseUrl: undefined });
  client = new LoadClient(server.url);
});
afterAll(async () => {
  client.close();
  await server.stop();
});

const get = async (path: string) => JSON.parse((await client.ask("GET", path)).body);

it("more work than a server can do is refused in time, or done in time, or reported", async () => {
  // So that the service time is known before the flood.
  for (let n = 0; n < 3; n += 1) {
    const body = { workflow: "overload", class: "batch" };
    expect((await client.ask("POST", "/v1/act", body, { prefer: "wait=30" })).status).toBe(200);
  }
  const flood = client.offer({ perSecond: 150, seconds: 2 });
  const health = await client.ask("GET", "/healthz");
  const answers = await flood;
  expect(health.status).toBe(200);
  const accepted = answers.filter(({ status }) => status === 202).map(({ body }) => JSON.parse(body).id);
  const refused = answers.filter(({ status }) => status === 503);
  expect(accepted.length + refused.length).toBe(answers.length);
  expect(accepted.length).toBeGreaterThan(0);
  expect(refused.length).toBeGreaterThan(0);
  for (const { retryAfter, body } of refused) {
    expect(Number(retryAfter)).toBeGreaterThanOrEqual(1);
    expect(JSON.parse(body).error.code).toBe("deadline_unmeetable");
  }
  await until(
    "the queue is empty",
    async () => {
      const { queued, leased } = await get("/v1/queue");
      return queued + leased === 0 ? true : null;
    },
    60_000,
  );
  const runs = new Map<string, Run>();
  for (let after = ""; ; ) {
    const page = await get(`/runs?limit=200${after}`);
    for (const run of page.runs) runs.set(run.id, run);
    if (page.next_after === null) break;
    after = `&after=${page.next_after}`;
  }
  for (const id of accepted) {
    const run = runs.get(id);
    if (run === undefined) throw new Error(`${id} is lost`);
    const { status, failure, ended_at, started_at } = run;
    const { start_by, deadline_at, state } = run.sla;
    const late = (promised: string | null, met: string | null) =>
      promised !== null && (met ?? "") >= promised;
    const missed = late(start_by, started_at ?? ended_at) || late(deadline_at, ended_at);
    expect([id, state === "breached"]).toEqual([id, missed]);
    if (!missed) expect([id, status, failure]).toEqual([id, "completed", null]);
  }
  const figures = (await client.ask("GET", "/metrics")).body;
  const total = [...figures.matchAll(/^agent_runner_refusals_total\{.*\} (\d+)$/gm)].map(([, n]) =>
    Number(n),
  );
  expect(total.reduce((sum, n) => sum + n, 0)).toBe(refused.length);
});
