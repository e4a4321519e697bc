import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FakeModels, startFakeModels } from "../../src/adapters/models/fake-server/server.ts";
import { parseScript } from "../../src/adapters/models/script/parse.ts";
import { createHttpServer, type HttpServer } from "../../src/http/server.ts";
import { openRunner, type Runner } from "../../src/index.ts";
import { realClock } from "../support/real-clock.ts";

const SCRIPT = `
name: pay
turns:
  - text: Done.
    usage: { input: 1000, output: 500 }
    times: always
`;
const ASK = `
name: ask
version: 1
description: Asks a model once.
steps:
  - { id: say, uses: model, with: { prompt: "Say it.", use: openai/gpt-5-mini } }
`;
const TREE = `
name: tree
version: 1
description: Has somebody else ask.
steps:
  - { id: child, uses: workflow, with: { name: ask } }
`;
const THRIFTY = ASK.replace("name: ask", "name: thrifty").replace("steps:", 'budget: "$0.000002"\nsteps:');
const BUDGETS = `
budgets:
  - { scope: tenant, window: day, limit: $1, warn: 0.000001 }
  - { scope: global, limit: $5 }
`;

let folder: string;
let budgets: string;
let fake: FakeModels;
let runner: Runner;
let server: HttpServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "agent-runner-doors-"));
  budgets = join(folder, "budgets.yaml");
  writeFileSync(budgets, BUDGETS);
  const script = parseScript(SCRIPT, "pay.yaml");
  if (!script.ok) throw new Error(script.failure.message);
  fake = await startFakeModels({ scripts: [script.value], clock: realClock });
  const env = {
    OPENAI_BASE_URL: `${fake.url}/v1`,
    AGENT_RUNNER_BUDGETS: budgets,
    AGENT_RUNNER_LOG: "silent",
  };
  runner = await openRunner({ dataDir: join(folder, "data"), env });
  const logger = pino({ level: "silent" });
  server = createHttpServer({ ...runner.house.operations, version: "1", logger });
  for (const workflow of [ASK, TREE, THRIFTY]) await runner.addWorkflow(workflow);
});
afterAll(async () => {
  await server?.close();
  await runner?.close();
  await fake?.close();
  rmSync(folder, { recursive: true, force: true });
});

const get = async (url: string) => {
  const answer = await server.app.inject({ url });
  return { status: answer.statusCode, body: answer.json() };
};

async function start(body: object): Promise<string> {
  const answer = await server.app.inject({ method: "POST", url: "/runs", payload: body });
  expect(answer.statusCode, answer.body).toBe(202);
  const { id } = answer.json();
  await runner.wait(id);
  return id;
}

describe("a run's budget", () => {
  it("is shown with what was spent, by model and stage too; what its child spends is spent by it", async () => {
    const id = await start({ workflow: "tree", budget: { cost: "$2" } });
    const { body } = await get(`/runs/${id}`);
    expect(body.status, JSON.stringify(body.failure)).toBe("completed");
    const spent = body.budget.spent_usd as number;
    expect(spent).toBeGreaterThan(0);
    expect(body.budget).toMatchObject({ limit_usd: 2, held_usd: 0, unpriced_calls: 0 });
    expect(body.budget.left_usd).toBeCloseTo(2 - spent, 6);
    const child = body.children[0].run as string;
    for (const scope of [`run:${id}`, `task:${id}`, `run:${child}`]) {
      const report = await get(`/v1/spend?scope=${encodeURIComponent(scope)}`);
      expect(report.body, scope).toMatchObject({
        scope,
        total: { calls: 1, spent_usd: spent, input_tokens: 1_000, output_tokens: 500 },
        by_model: [{ model: "openai/gpt-5-mini", stage: "execute" }],
      });
    }
    const bill = fake.billing();
    expect(bill.totals.tokens).toMatchObject({ input: 1_000, output: 500 });
  });

  it("stops a child of it too, and says whose it was", async () => {
    const id = await start({ workflow: "tree", budget: { cost: 0.000001 } });
    const { body } = await get(`/runs/${id}`);
    expect(body.status).toBe("failed");
    const child = await get(`/runs/${body.children[0].run}`);
    expect(child.body.failure.code).toBe("budget_exhausted");
    expect(child.body.failure.message).toContain(`the budget of run ${id} has no room`);
    expect(child.body.failure.message).toContain("limit $0.000001, spent $0.00");
  });

  it("may be a workflow's, which a caller can lower and not raise", async () => {
    const id = await start({ workflow: "thrifty", budget: { cost: "$9" } });
    const { body } = await get(`/runs/${id}`);
    expect(body).toMatchObject({ status: "failed", budget: { limit_usd: 0.000002 } });
  });

  it("is refused when it is no money", async () => {
    const payload = { workflow: "ask", budget: { cost: "two" } };
    const answer = await server.app.inject({ method: "POST", url: "/runs", payload });
    expect(answer.statusCode).toBe(400);
    expect(answer.json().error.message).toContain('budget.cost is "two"; expected US dollars like "$2"');
    const act = { text: "x", workflow: "ask", budget: { cost: "-1" } };
    expect((await server.app.inject({ method: "POST", url: "/v1/act", payload: act })).statusCode).toBe(400);
  });

  it("makes another request under the same idempotency key", async () => {
    const headers = { "idempotency-key": "one" };
    const post = (payload: object) => server.app.inject({ method: "POST", url: "/runs", payload, headers });
    expect((await post({ workflow: "ask", budget: { cost: "$1" } })).statusCode).toBe(202);
    expect((await post({ workflow: "ask", budget: { cost: 1 } })).statusCode).toBe(202);
    expect((await post({ workflow: "ask", budget: { cost: 2 } })).statusCode).toBe(409);
  });
});

describe("configured budgets", () => {
  it("are listed with what became of them", async () => {
    await start({ workflow: "ask" });
    const { body } = await get("/v1/budgets");
    expect(body).toMatchObject({
      unknown_price: "deny",
      on_refusal: "cheaper",
      at_cap: "finish",
      hold_ms: 60_000,
    });
    const of = (scope: string, name: string | null) =>
      body.budgets.find(
        (one: { scope: string; name: string | null }) => one.scope === scope && one.name === name,
      );
    expect(of("global", null)).toMatchObject({ limit_usd: 5, window: "total", resets_at: null, state: "ok" });
    expect(of("tenant", null)).toMatchObject({ limit_usd: 1, spent_usd: 0, window: "day" });
    const mine = of("tenant", "default");
    expect(mine).toMatchObject({ limit_usd: 1, warn_usd: 0.000001, held_usd: 0, state: "warned" });
    expect(mine.spent_usd).toBeGreaterThan(0);
    expect(mine.left_usd).toBeCloseTo(1 - mine.spent_usd, 6);
    expect(mine.resets_at).toMatch(/T00:00:00\.000Z$/);
  });

  it("tell a soft cap in the story of the run that crossed it, and of no other", async () => {
    const { runs } = (await get("/runs?limit=200")).body;
    const notes: string[] = [];
    for (const { id } of runs) {
      for await (const fact of runner.facts(id)) {
        if (fact.kind === "noted" && fact.name === "budget_warned") notes.push(String(fact.data.text));
      }
    }
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain("the day's budget of tenant default has passed $0.000001");
  });

  it("are read again; what is wrong changes nothing and is told with its place", async () => {
    writeFileSync(budgets, BUDGETS.replace("$5", "$-5"));
    const wrong = await runner.house.reload();
    expect(wrong).toMatchObject({ ok: false, failure: { code: "invalid_config" } });
    if (!wrong.ok) expect(wrong.failure.message).toContain("budgets.yaml:4:29: budgets[1].limit");
    await start({ workflow: "ask" });
    writeFileSync(budgets, BUDGETS.replace("$5", "0"));
    expect(await runner.house.reload()).toMatchObject({ ok: true });
    const id = await start({ workflow: "ask" });
    const { body } = await get(`/runs/${id}`);
    expect(body).toMatchObject({ status: "failed", failure: { code: "budget_exhausted" } });
    rmSync(budgets);
    expect(await runner.house.reload()).toMatchObject({
      ok: false,
      failure: { code: "invalid_config" },
    });
  });
});

describe("GET /v1/spend", () => {
  it("takes a tenant, a user and a time", async () => {
    const all = (await get("/v1/spend")).body;
    expect(all).toMatchObject({ scope: "global", since: null });
    const since = (await get("/v1/spend?scope=tenant:default&since=1h")).body;
    expect(since.total).toEqual(all.total);
    expect((await get("/v1/spend?since=2999-01-01")).body.total.calls).toBe(0);
    expect((await get("/v1/spend?scope=user:default/ann")).body.by_model).toEqual([]);
  });

  it.each([
    ["scope=planet:x", 400, 'scope is "planet:x"; expected global, tenant:NAME'],
    ["scope=user:ann", 400, 'scope is "user:ann"'],
    ["scope=tenant:", 400, 'scope is "tenant:"'],
    ["scope=run:run_nobody", 404, "run_nobody"],
    ["since=yesterday", 400, 'since is "yesterday"; expected a duration back from now'],
    ["until=soon", 400, 'until is "soon"'],
  ])("refuses %s", async (query, status, message) => {
    const answer = await get(`/v1/spend?${query}`);
    expect(answer.status).toBe(status);
    expect(answer.body.error.message).toContain(message);
  });
});
