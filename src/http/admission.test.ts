import type { InjectOptions } from "fastify";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Door, openDoor } from "../../tests/support/door.suite.ts";
import { until } from "../../tests/support/until.ts";
import type { QueueLoad } from "../contracts/run-store.ts";
import { DEFAULT_RULES } from "../domain/admission-rules.ts";

let door: Door;
beforeEach(async () => {
  door = await openDoor(undefined, { trustIdentityHeaders: true });
});
afterEach(() => door.close());

const call = (options: InjectOptions) => door.server.app.inject(options);
const start = (more: object = {}, headers: object = {}) =>
  call({
    method: "POST",
    url: "/runs",
    headers: { ...headers },
    payload: { workflow: "greet", inputs: { who: "Ann" }, ...more },
  });
const as = (tenant: string, principal?: string) => ({
  "x-agent-runner-tenant": tenant,
  ...(principal === undefined ? {} : { "x-agent-runner-principal": principal }),
});
const rules = (more: Partial<typeof DEFAULT_RULES>) => {
  door.rules.current = { ...DEFAULT_RULES, ...more };
};
const any = DEFAULT_RULES.anyTenant;
/** So slow that nothing comes back while a test runs. */
const rarely = (burst: number) => ({ count: 1, perMs: 3_600_000, burst });

describe("who asks", () => {
  it("is told by headers, where they are trusted, and runs are listed by it", async () => {
    const run = (await start({}, as("acme", "ann"))).json();
    expect(run.tenant).toBe("acme");
    expect((await call({ url: `/runs/${run.id}` })).json()).toMatchObject({ principal: "ann" });
    await start();
    const listed = (await call({ url: "/runs?tenant=acme" })).json().runs;
    expect(listed.map((one: { id: string }) => one.id)).toEqual([run.id]);
    const bad = await start({}, as("not a name"));
    expect(bad.statusCode).toBe(400);
    expect(bad.json().error.message).toContain('header x-agent-runner-tenant is "not a name"');
    expect((await start({}, as("acme", "-"))).json().error.message).toContain("x-agent-runner-principal");
  });

  it("is not believed otherwise", async () => {
    const plain = await openDoor();
    try {
      for (const headers of [as("acme"), { "x-agent-runner-principal": "ann" }]) {
        const answer = await plain.server.app.inject({ url: "/runs", headers });
        expect(answer.statusCode).toBe(403);
        expect(answer.json().error.code).toBe("identity_not_trusted");
      }
    } finally {
      await plain.close();
    }
  });

  it("is believed when he knows the server's key, which is in its data folder; then what he does bears his name", async () => {
    const keyed = await openDoor(undefined, { key: "secret" });
    try {
      const say = (headers: object) =>
        keyed.server.app.inject({ url: "/runs", headers: { ...as("acme", "ann"), ...headers } });
      expect((await say({ "x-agent-runner-key": "secret" })).statusCode).toBe(200);
      for (const key of ["Secret", "secret2", ""])
        expect((await say({ "x-agent-runner-key": key })).json().error.code).toBe("identity_not_trusted");
      const made = await keyed.server.app.inject({
        method: "POST",
        url: "/runs",
        payload: { workflow: "greet", inputs: { who: "Ann" } },
      });
      const { id } = made.json();
      for (const headers of [{}, { "x-agent-runner-principal": "ann", "x-agent-runner-key": "secret" }])
        await keyed.server.app.inject({
          method: "POST",
          url: `/runs/${id}/signals`,
          headers,
          payload: { name: "go", body: null },
        });
      const messages = await keyed.sqlite.store.inbox([1]);
      expect(messages.map(({ from }) => from)).toEqual(["api", "ann"]);
    } finally {
      await keyed.close();
    }
  });

  it("has idempotency keys of its own", async () => {
    const key = { "idempotency-key": "k" };
    const acme = await start({}, { ...as("acme"), ...key });
    const other = await start({ title: "Another" }, { ...as("other"), ...key });
    expect([acme.statusCode, other.statusCode]).toEqual([202, 202]);
    expect((await start({}, { ...as("acme"), ...key })).json().id).toBe(acme.json().id);
    const conflict = await start({ title: "Third" }, { ...as("acme"), ...key });
    expect(conflict.statusCode).toBe(409);
    expect(conflict.json().error.details).toEqual({ run: acme.json().id });
    const act = (text: string, tenant: string) =>
      call({
        method: "POST",
        url: "/v1/act",
        headers: { ...as(tenant), "idempotency-key": "a" },
        payload: { text, workflow: "greet", inputs: { who: "Ann" } },
      });
    const first = (await act("greet her", "acme")).json();
    expect((await act("greet her", "acme")).json().id).toBe(first.id);
    expect((await act("greet her", "other")).json().id).not.toBe(first.id);
    expect((await act("greet him", "acme")).statusCode).toBe(409);
  });
});

describe("promises", () => {
  it("are a class's, or the request's own, and told with every answer", async () => {
    const slow = { name: "slow", priority: 7, startByMs: 60_000, deadlineMs: null, targetMs: 5_000 };
    rules({ classes: [...DEFAULT_RULES.classes.filter(({ priority }) => priority !== 7), slow] });
    const run = (await start({ class: "slow", deadline: "2h" })).json();
    const at = Date.parse(run.created_at);
    expect(run).toMatchObject({
      priority: 7,
      sla: {
        class: "slow",
        start_by: new Date(at + 60_000).toISOString(),
        deadline_at: new Date(at + 7_200_000).toISOString(),
        target_ms: 5_000,
        state: "ok",
        breaches: [],
        estimated_wait_ms: null,
        note: "no worker is at work; the run waits until one is",
      },
    });
    expect((await call({ url: "/runs" })).json().runs[0].sla).toMatchObject({ class: "slow" });
    expect((await call({ url: `/runs/${run.id}` })).json().sla).toMatchObject({ target_ms: 5_000 });
    const acted = await call({
      method: "POST",
      url: "/v1/act",
      payload: { workflow: "greet", inputs: { who: "Ann" }, start_by: "5s", priority: 3 },
    });
    expect(acted.json().run).toMatchObject({ priority: 3, sla: { class: "high" } });
    const [queued] = (await call({ url: `/runs/${run.id}/events` })).json().events;
    expect(queued.data.request.sla).toEqual({
      class: "slow",
      start_by: run.sla.start_by,
      target_ms: 5_000,
    });
  });

  it("that cannot be read are refused by name", async () => {
    const said = async (more: object) => (await start(more)).json().error.message;
    expect(await said({ class: "fast" })).toBe(
      'class is "fast"; expected one of urgent, high, normal, low, batch.',
    );
    expect(await said({ class: "high", priority: 2 })).toContain("class and priority are both given");
    expect(await said({ start_by: "soon" })).toContain('start_by is "soon"');
    expect(await said({ start_by: "0s" })).toContain("has passed");
  });

  it("that were missed are told as soon as their moment is over", async () => {
    const run = (await start({ start_by: "1ms" })).json();
    const late = await until("a missed start", async () => {
      const { sla } = (await call({ url: `/runs/${run.id}` })).json();
      return sla.state === "breached" ? sla : null;
    });
    expect(late.breaches).toMatchObject([{ what: "start_by", due_at: run.sla.start_by }]);
  });
});

describe("what is turned away", () => {
  it("less urgent work first, newest first, when the queue is full", async () => {
    rules({ maxQueued: 3 });
    const batch = [];
    for (const name of ["one", "two"]) batch.push((await start({ class: "batch", title: name })).json());
    const low = (await start({ class: "low" })).json();
    const status = async (id: string) => (await call({ url: `/runs/${id}` })).json();
    for (const urgent of ["two", "one", "low"]) {
      expect((await start({ class: "urgent" })).statusCode, urgent).toBe(202);
    }
    expect((await start({ class: "urgent" })).json().error.code).toBe("queue_full");
    expect((await start({ class: "high" })).statusCode).toBe(503);
    for (const { id } of [...batch, low]) {
      const ended = await status(id);
      expect(ended).toMatchObject({ status: "failed", failure: { code: "dropped_low_priority" } });
    }
    const order = await Promise.all(
      [batch[1], batch[0], low].map(async ({ id }) => (await status(id)).ended_at),
    );
    expect(order).toEqual([...order].sort());
    const { here, dropped } = (await call({ url: "/v1/queue" })).json();
    expect([here.dropped, dropped]).toEqual([3, 3]);
    expect(door.events.filter(({ kind }) => kind === "dropped_low_priority").map(({ runs }) => runs)).toEqual(
      [[batch[1].id], [batch[0].id], [low.id]],
    );
    expect((await call({ url: "/metrics" })).body).toContain("agent_runner_dropped_low_priority_total 3");
  });

  it("by rate: of the tenant, of the principal; others are not touched", async () => {
    rules({ anyTenant: { ...any, rate: rarely(3), principalRate: rarely(2) } });
    expect((await start({}, as("acme", "ann"))).statusCode).toBe(202);
    expect((await start({}, as("acme", "ann"))).statusCode).toBe(202);
    const ann = await start({}, as("acme", "ann"));
    expect(ann.statusCode).toBe(429);
    expect(ann.json().error).toMatchObject({
      code: "rate_limited",
      details: { scope: "principal", tenant: "acme", principal: "ann", rate: { count: 1, burst: 2 } },
    });
    const exact = ann.json().error.details.retry_after_ms;
    expect(Number(ann.headers["retry-after"])).toBe(Math.ceil(exact / 1_000));
    expect((await start({}, as("acme", "bob"))).statusCode).toBe(202);
    const bob = await start({}, as("acme", "bob"));
    expect(bob.json().error.details).toMatchObject({ scope: "tenant" });
    expect((await start({}, as("other", "ann"))).statusCode).toBe(202);
    const act = {
      method: "POST",
      url: "/v1/act",
      headers: as("acme", "bob"),
      payload: { text: "hi" },
    } as const;
    expect((await call(act)).json().error.code).toBe("rate_limited");
    expect((await call({ url: "/healthz", headers: as("acme", "ann") })).statusCode).toBe(200);
  });

  it("by cap, without the store, and answered all the same to who asked before", async () => {
    rules({ anyTenant: { ...any, maxQueued: 2 } });
    const key = { ...as("acme"), "idempotency-key": "k" };
    const first = await start({}, key);
    await start({}, as("acme"));
    const full = await until("a full tenant", async () => {
      const answer = await start({}, as("acme"));
      return answer.statusCode === 429 ? answer : null;
    });
    expect(full.headers["retry-after"]).toBe("1");
    expect(full.json().error).toMatchObject({
      code: "tenant_queue_full",
      message: "tenant acme has 2 runs waiting; its cap is 2",
      details: { scope: "tenant", queued: 2, cap: 2, retry_after_ms: 1_000 },
    });
    const again = await start({}, key);
    expect(again.json().id).toBe(first.json().id);
    expect((await start({}, as("other"))).statusCode).toBe(202);
  });

  it("by a full queue, which the answer, the queue, the figures and the events say", async () => {
    rules({ maxQueued: 1 });
    await start();
    const place = new AbortController();
    const stream = await call({
      url: "/v1/queue/events",
      payloadAsStream: true,
      signal: place.signal,
    });
    // The door's picture of the queue is some moments old; from then on it refuses by itself.
    const full = await until("a full queue", async () => {
      const answer = await start();
      return answer.statusCode === 503 ? answer : null;
    });
    expect(full.statusCode).toBe(503);
    expect(full.json().error).toMatchObject({ code: "queue_full", details: { scope: "queue", cap: 1 } });
    const queue = (await call({ url: "/v1/queue" })).json();
    expect(queue).toMatchObject({
      queued: 1,
      max_queued: 1,
      workers: 0,
      here: { admitted: 1, refused: [{ scope: "queue", class: "normal", count: 1 }] },
    });
    expect(queue.classes).toContainEqual({
      class: "normal",
      priority: 5,
      queued: 1,
      estimated_wait_ms: null,
    });
    const figures = await call({ url: "/metrics" });
    expect(figures.headers["content-type"]).toContain("text/plain");
    expect(figures.body).toContain('agent_runner_queue_runs{class="normal"} 1');
    expect(figures.body).toContain(
      'agent_runner_refusals_total{scope="queue",class="normal",code="queue_full"} 1',
    );
    expect(figures.body).toContain('agent_runner_admissions_total{class="normal"} 1');
    expect(figures.body).toContain('agent_runner_runs{status="queued"} 1');
    let text = "";
    for await (const chunk of stream.stream()) {
      text += String(chunk);
      if (text.includes("queue_full")) break;
    }
    expect(text).toContain("event: throttled");
    place.abort();
  });

  it("what could not begin in time, by what is ahead of it", async () => {
    const load = (real: QueueLoad) => ({ ...real, slots: 1, leased: 1, serviceMs: 60_000 });
    const busy = await openDoor(undefined, { load });
    try {
      const go = (more: object) =>
        busy.server.app.inject({
          method: "POST",
          url: "/runs",
          payload: { workflow: "greet", inputs: { who: "Ann" }, ...more },
        });
      const first = await go({});
      expect(first.json().sla.estimated_wait_ms).toBeGreaterThanOrEqual(60_000);
      const late = await go({ start_by: "10s" });
      expect(late.statusCode).toBe(503);
      expect(late.json().error).toMatchObject({
        code: "deadline_unmeetable",
        details: { scope: "deadline", what: "start_by" },
      });
      expect(Number(late.headers["retry-after"])).toBeGreaterThan(1);
      expect((await go({ start_by: "10m" })).statusCode).toBe(202);
      const risky = await go({ deadline: "1h", class: "urgent" });
      expect(risky.json().sla).toMatchObject({ state: "ok", class: "urgent" });
    } finally {
      await busy.close();
    }
  });
});
