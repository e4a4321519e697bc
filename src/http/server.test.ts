// Long because the door is one: every route, every refusal, over the same server.

import type { InjectOptions } from "fastify";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Door, openDoor } from "../../tests/support/door.suite.ts";
import { GREET, sha256 } from "../../tests/support/house.suite.ts";
import { ERRORS, type ErrorCode, FailureError, failure } from "../domain/errors.ts";
import { LIMITS } from "../domain/limits.ts";
import { createHttpServer } from "./server.ts";

let door: Door;
beforeAll(async () => {
  door = await openDoor();
});
afterAll(() => door.close());

const call = (options: InjectOptions) => door.server.app.inject(options);
const get = (url: string, headers = {}) => call({ url, headers });
const post = (url: string, payload?: object | string, headers = {}) =>
  call({ method: "POST", url, headers, ...(payload === undefined ? {} : { payload }) });
const start = async (more = {}, headers = {}) =>
  post("/runs", { workflow: "greet", inputs: { who: "Ann" }, ...more }, headers);
const startId = async () => (await start()).json().id as string;

/** Expects the one shape, with the status and the remedy of the catalogue. */
function expectError(answer: Awaited<ReturnType<typeof call>>, code: ErrorCode, message?: RegExp) {
  const body = answer.json();
  expect(Object.keys(body)).toEqual(["error"]);
  expect(body.error).toMatchObject({ code, remedy: ERRORS[code].remedy });
  expect(body.error.request_id).toMatch(/^req_/);
  expect(answer.headers["x-request-id"]).toBe(body.error.request_id);
  expect(answer.statusCode).toBe(ERRORS[code].status);
  expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
  expect(answer.headers["retry-after"] !== undefined).toBe(ERRORS[code].retryable);
  if (message) expect(body.error.message).toMatch(message);
  return body.error;
}

describe("POST /runs", () => {
  it("accepts a run and says where it is", async () => {
    const answer = await start({ title: "Say hello", deadline: "2h", priority: 3 });
    const run = answer.json();
    expect(answer.statusCode).toBe(202);
    expect(answer.headers.location).toBe(`/runs/${run.id}`);
    expect(run).toMatchObject({
      status: "queued",
      title: "Say hello",
      priority: 3,
      workflow: "greet",
      output: null,
    });
    expect(run.created_at).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(Date.parse(run.deadline_at) - Date.parse(run.created_at)).toBe(7_200_000);
    const detail = (await get(answer.headers.location as string)).json();
    expect(detail).toMatchObject({ ...run, inputs: { who: "Ann", times: 1 }, workflow_version: "1" });
    expect(detail.steps).toMatchObject([{ id: "prepare", status: "pending" }, { id: "speak" }]);
    expect(detail.progress).toMatchObject({ phase: "queued", percent: 0, steps_total: 2 });
  });

  it("starts one run per idempotency key", async () => {
    const headers = { "idempotency-key": "order-7" };
    const first = await start({}, headers);
    const again = await start({}, headers);
    expect(again.statusCode).toBe(202);
    expect(again.json().id).toBe(first.json().id);
    expect([first, again].map((one) => one.headers["idempotency-replayed"])).toEqual([undefined, "true"]);
    expectError(await start({ title: "another" }, headers), "idempotency_conflict");
    expectError(await start({}, { "idempotency-key": "a b" }), "invalid_request", /idempotency-key/);
  });

  it("names field, value and what was expected", async () => {
    const error = expectError(
      await post("/runs", { workflow: 7, inputs: [], prioriti: 1, priority: "high" }),
      "invalid_request",
    );
    expect(error.message).toContain("body.workflow is 7; expected a string");
    expect(error.message).toContain("body.inputs is a list of 0; expected a record");
    expect(error.message).toContain('body.priority is "high"; expected a number');
    expect(error.message).toContain("body.prioriti is unknown here; expected priority, if that was meant");
    expect(error.details.fields).toContainEqual({
      field: "body.workflow",
      value: "7",
      expected: "a string",
    });
    expectError(await post("/runs", {}), "invalid_request", /body.workflow is missing; expected a string/);
    expectError(await post("/runs"), "invalid_request", /body is missing; expected an object/);
    expectError(await start({ priority: 99 }), "invalid_request", /body.priority is 99; expected at most 9/);
    expectError(await start({ inputs: {} }), "invalid_input", /who/);
    expectError(await start({ workflow: "great" }), "not_found", /Did you mean "greet"/);
    expectError(await start({ deadline: "soon" }), "invalid_request", /deadline is "soon"/);
  });

  it("says where a body stops being JSON, and refuses what is too large, too deep or no JSON", async () => {
    const json = { "content-type": "application/json" };
    expectError(
      await post("/runs", '{"workflow": }', json),
      "invalid_request",
      /unexpected "}" at line 1, column 14 \(position 13\)/,
    );
    expectError(await post("/runs", '{"a": {"__proto__": 1}}', json), "invalid_request", /__proto__/);
    expectError(
      await post("/runs", "workflow: greet", { "content-type": "application/yaml" }),
      "unsupported_media_type",
    );
    expectError(await post("/runs", "x", { "content-type": "text/plain" }), "unsupported_media_type");
    const large = JSON.stringify({ workflow: "x".repeat(LIMITS.requestBytes) });
    expectError(await post("/runs", large, json), "payload_too_large", /1048576/);
    const deep = `{"workflow":"greet","inputs":{"who":${"[".repeat(200_000)}${"]".repeat(200_000)}}}`;
    expectError(await post("/runs", deep, json), "payload_too_large", /nested deeper/);
    const wide = `{"workflow":"greet","inputs":{"who":[${"0,".repeat(500_000)}0]}}`;
    expectError(await post("/runs", wide, json), "invalid_input");
  });
});

describe("GET /runs", () => {
  it("filters and pages", async () => {
    const ids = [await startId(), await startId(), await startId()];
    const first = (await get("/runs?limit=2&status=queued,running&workflow=greet")).json();
    expect(first.runs.map((run: { id: string }) => run.id)).toEqual([ids[2], ids[1]]);
    expect(first.runs[0]).not.toHaveProperty("output");
    const second = (await get(`/runs?limit=2&status=queued&status=running&after=${first.next_after}`)).json();
    expect(second.runs[0].id).toBe(ids[0]);
    expect((await get("/runs?status=completed")).json()).toEqual({ runs: [], next_after: null });
    expect((await get("/runs?parent=run_none")).json().runs).toEqual([]);
  });

  it("refuses queries that it does not understand", async () => {
    expectError(await get("/runs?limit=0"), "invalid_request", /query.limit is "0"; expected at least 1/);
    expectError(await get("/runs?limit=many"), "invalid_request", /query.limit is "many"/);
    expectError(await get("/runs?status=done"), "invalid_request", /expected one of queued, running/);
    expectError(await get("/runs?stauts=queued"), "invalid_request", /status, if that was meant/);
    expectError(await get("/runs?after=run_x"), "invalid_request", /after is "run_x"/);
    expectError(await get("/runs/run_x"), "not_found", /no run "run_x"/);
  });
});

describe("messages", () => {
  it("are accepted with and without a body", async () => {
    const id = await startId();
    for (const [verb, body] of [
      ["pause", undefined],
      ["resume", {}],
      ["signals", { name: "go", body: { n: 1 }, id: "s1" }],
      ["replies", { text: "yes" }],
      ["cancel", undefined],
      ["cancel", { reason: "enough" }],
    ] as const) {
      const answer = await post(`/runs/${id}/${verb}`, body);
      expect([verb, answer.statusCode, answer.json().id]).toEqual([verb, 202, id]);
    }
    const hand = await door.take(id);
    const inbox = await door.store.inbox([hand.claim.no]);
    expect(inbox.map(({ kind, from }) => `${kind} ${from}`)).toEqual([
      "pause api",
      "resume api",
      "signal api",
      "reply api",
      "cancel api",
      "cancel api",
    ]);
  });

  it("are refused when they are wrong, or the run is not there or over", async () => {
    const id = await startId();
    expectError(await post(`/runs/${id}/signals`, {}), "invalid_request", /body.name is missing/);
    expectError(await post(`/runs/${id}/pause`, { now: true }), "invalid_request", /body.now is unknown/);
    expectError(await post("/runs/run_x/cancel"), "not_found");
    const hand = await door.take(id);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    await hand.complete();
    expectError(await post(`/runs/${id}/replies`, { text: "more" }), "run_ended", /start a new run/);
  });
});

describe("events as pages", () => {
  it("tell the journal in snake_case, other people's words untouched", async () => {
    const id = await startId();
    const hand = await door.take(id);
    await hand.write([
      { kind: "run_started", worker: "w" },
      { kind: "step_started", step: "prepare", attempt: 1, input: { camelCase: 1 } },
      { kind: "step_waiting", step: "prepare", attempt: 1, waits: [{ key: "k", on: "timer", until: 0 }] },
      { kind: "step_woken", step: "prepare", attempt: 1, key: "k", by: "timer", signal: null },
      {
        kind: "effect_recorded",
        step: "prepare",
        attempt: 1,
        key: "k",
        requestHash: "h",
        result: { ok: true, value: { camelCase: 1 } },
        label: "l",
        ms: 1,
      },
      {
        kind: "step_retrying",
        step: "prepare",
        attempt: 1,
        failure: failure("tool_failed", "no"),
        nextAt: 0,
      },
      { kind: "noted", step: "prepare", name: "turn_finished", data: { camelCase: 1 } },
    ]);
    await hand.save("a.txt", "a");
    await hand.complete();
    const all = (await get(`/runs/${id}/events`)).json();
    expect(all).toMatchObject({ ended: true, next_after: 10 });
    const [queued, , startedStep, waiting, , recorded, retrying, noted, saved] = all.events;
    expect(queued).toMatchObject({ seq: 1, kind: "run_queued", step: null, text: "queued: greet" });
    expect(queued.data.request).toMatchObject({ title: "greet", deadline_at: null });
    expect(startedStep).toMatchObject({ step: "prepare", data: { attempt: 1, input: { camelCase: 1 } } });
    expect(waiting.data.waits).toEqual([
      { step: "prepare", on: "timer", name: "", until: "1970-01-01T00:00:00.000Z" },
    ]);
    expect(recorded.data).toMatchObject({ request_hash: "h", result: { value: { camelCase: 1 } } });
    expect(recorded.text).toBeNull();
    expect(retrying.data.next_at).toBe("1970-01-01T00:00:00.000Z");
    expect(noted.data).toEqual({ name: "turn_finished", data: { camelCase: 1 } });
    expect(saved.data.artifact).toMatchObject({ media_type: "text/plain" });
    const page = (await get(`/runs/${id}/events?after=8&limit=1`)).json();
    expect(page).toMatchObject({ events: [{ seq: 9 }], next_after: 9, ended: false });
    expectError(await get("/runs/run_x/events"), "not_found");
    expectError(await get(`/runs/${id}/events?after=-1`), "invalid_request");
  });
});

describe("artifacts", () => {
  it("are listed and downloaded, never shown as a page of ours", async () => {
    const id = await startId();
    const hand = await door.take(id);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    await hand.save("page.html", "<script>1</script>", { mediaType: "text/html", name: 'a/b "ü".html' });
    await hand.save("odd", "x", { mediaType: "text/html\r\nset-cookie: a=b", name: "\r\n" });
    const { artifacts } = (await get(`/runs/${id}/artifacts`)).json();
    expect(artifacts).toMatchObject([
      { id: "page.html", media_type: "text/html", step: "speak" },
      { id: "odd" },
    ]);
    const url = `/runs/${id}/artifacts/page.html/download`;
    const answer = await get(url);
    expect(answer.body).toBe("<script>1</script>");
    expect(answer.headers).toMatchObject({
      "content-type": "text/html",
      "content-disposition": `attachment; filename="b ___.html"; filename*=UTF-8''b%20%22%C3%BC%22.html`,
      "x-content-type-options": "nosniff",
      "content-security-policy": "sandbox; default-src 'none'",
      etag: `"${sha256("<script>1</script>")}"`,
    });
    const cached = await get(url, { "if-none-match": `"x", ${answer.headers.etag}` });
    expect([cached.statusCode, cached.body]).toEqual([304, ""]);
    const odd = await get(`/runs/${id}/artifacts/odd/download`);
    expect(odd.headers["content-type"]).toBe("application/octet-stream");
    expect(odd.headers["content-disposition"]).toContain('filename="artifact"');
    expect(odd.headers["set-cookie"]).toBeUndefined();
  });

  it("that are not there, lost or broken say so", async () => {
    const id = await startId();
    const hand = await door.take(id);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    const saved = await hand.save("one", "content of one");
    const url = `/runs/${id}/artifacts/one/download`;
    expectError(await get(`/runs/${id}/artifacts/two/download`), "not_found");
    expectError(await get(`/runs/${id}/artifacts/..%2f..%2fetc%2fpasswd/download`), "not_found");
    door.artifacts.kept.set(saved.sha256, Buffer.from("other"));
    expectError(await get(url), "content_corrupt");
    door.artifacts.kept.delete(saved.sha256);
    expectError(await get(url), "content_missing");
    expectError(await get(`/runs/${id}/artifacts/${"x".repeat(301)}/download`), "not_found");
  });
});

describe("approvals", () => {
  it("are listed and answered", async () => {
    const id = await startId();
    const hand = await door.take(id);
    const approval = {
      id: "apr_1",
      title: "Push?",
      details: { toBranch: 1 },
      risk: "high",
      expiresAt: Date.UTC(2100, 0),
    } as const;
    const late = { ...approval, id: "apr_0", expiresAt: 0 };
    await hand.write(
      [
        { kind: "run_started", worker: "w" },
        { kind: "approval_requested", step: "speak", approval: late },
        { kind: "approval_requested", step: "speak", approval },
      ],
      {
        approvals: [
          { step: "speak", request: late },
          { step: "speak", request: approval },
        ],
      },
    );
    expectError(
      await post("/approvals/apr_0/answer", { answer: "approved" }),
      "answer_too_late",
      /apr_0 expired at 1970-01-01T00:00:00.000Z; it is no longer asked/,
    );
    const { approvals } = (await get(`/approvals?status=pending&run=${id}`)).json();
    expect(approvals).toMatchObject([
      {
        id: "apr_1",
        run: id,
        step: "speak",
        details: { toBranch: 1 },
        expires_at: "2100-01-01T00:00:00.000Z",
      },
      { id: "apr_0", status: "pending" },
    ]);
    expect((await get(`/runs/${id}`)).json().approvals).toMatchObject([
      { id: "apr_0" },
      { id: "apr_1", run: id, status: "pending" },
    ]);
    expectError(
      await post("/approvals/apr_1/answer", { answer: "yes" }),
      "invalid_request",
      /approved, denied/,
    );
    const answered = await post("/approvals/apr_1/answer", { answer: "denied", comment: "not today" });
    expect(answered.json()).toMatchObject({ status: "denied", answered_by: "api", comment: "not today" });
    expect((await post("/approvals/apr_1/answer", { answer: "denied" })).statusCode).toBe(200);
    expectError(await post("/approvals/apr_1/answer", { answer: "approved" }), "already_answered");
    expectError(await post("/approvals/apr_x/answer", { answer: "approved" }), "not_found");
  });
});

describe("workflows", () => {
  const mine = GREET.replace("name: greet", "name: mine");
  const yaml = { "content-type": "application/yaml" };

  it("are listed, shown with graph and source, by name and by hash", async () => {
    const [listed] = (await get("/workflows")).json().workflows;
    expect(listed).toMatchObject({ name: "greet", version: "1", origin: "built-in", steps: 2 });
    const shown = (await get("/workflows/greet")).json();
    expect(shown).toMatchObject({ source: GREET, inputs: { required: ["who"] } });
    expect(shown.steps[1]).toMatchObject({
      id: "speak",
      uses: "noop",
      needs: ["prepare"],
      on_failure: "fail",
    });
    expect((await get(`/workflows/${shown.hash}`)).json()).toEqual(shown);
    expectError(await get("/workflows/gret"), "not_found", /Did you mean "greet"/);
    expect((await get("/workflows/schema")).json()).toMatchObject({ type: "object" });
  });

  it("are validated with line and column, as YAML or in JSON", async () => {
    expect((await post("/workflows/validate", mine, yaml)).json()).toMatchObject({
      valid: true,
      name: "mine",
    });
    const wrong = mine.replace("needs: prepare", "needs: prepar");
    const answer = (await post("/workflows/validate", { source: wrong, file: "my.yaml" })).json();
    expect(answer).toMatchObject({ valid: false, hash: null });
    expect(answer.diagnostics).toMatchObject([{ file: "my.yaml", line: 12, suggestion: "prepare" }]);
    expectError(await post("/workflows/validate", "", yaml), "invalid_request", /source/);
  });

  it("are uploaded, once per definition, and never over a built-in one", async () => {
    const answer = await post("/workflows", mine, { "content-type": "text/yaml; charset=utf-8" });
    expect([answer.statusCode, answer.headers.location]).toEqual([201, "/workflows/mine"]);
    expect(answer.json()).toMatchObject({ created: true, workflow: { origin: "uploaded", source: mine } });
    expect((await post("/workflows", { source: mine })).statusCode).toBe(200);
    expectError(await post("/workflows", GREET.replace("somebody", "x"), yaml), "conflict", /built in/);
    const bad = expectError(await post("/workflows", "name: [", yaml), "invalid_workflow");
    expect(bad.details.diagnostics[0]).toMatchObject({
      line: expect.any(Number),
      column: expect.any(Number),
    });
    expectError(await post("/workflows", `#${"x".repeat(LIMITS.workflowBytes)}`, yaml), "payload_too_large");
  });
});

describe("agents, providers, health", () => {
  it("are told", async () => {
    expect((await get("/agents")).json().agents).toMatchObject([
      { name: "bug_fix", stage: "execute", model: null },
    ]);
    expect((await get("/agents/bug_fix")).json()).toMatchObject({
      prompt: "Mend it.",
      limits: { turns: 10 },
    });
    expectError(await get("/agents/bug_fixx"), "not_found", /Did you mean "bug_fix"/);
    expect((await get("/providers")).json()).toEqual({
      providers: [
        {
          name: "scripted",
          status: "ok",
          detail: "ready",
          models: ["one"],
          is_default: true,
          live: [{ model: "one", health: expect.objectContaining({ state: "open", ttft_ms: 420 }) }],
        },
      ],
    });
    expect((await get("/models")).json()).toEqual({
      models: [
        {
          provider: "scripted",
          model: "one",
          available: true,
          stages: ["plan"],
          tools: true,
          json: true,
          context_tokens: null,
          quality: 2,
          price: { input: 1, cache_read: 2, cache_write: 3, output: 4 },
          health: {
            state: "open",
            detail: "next probe in 5.0s",
            ttft_ms: 420,
            ttft_p95_ms: 900,
            gap_ms: null,
            error_rate: 0.5,
            in_flight: 1,
            concurrency_limit: 8,
            samples: 12,
            from: "wrk_other",
          },
        },
      ],
    });
    expect((await get("/healthz")).json()).toMatchObject({ status: "ok", version: "1.2.3" });
  });

  it("is not ready, and says why, until all is well", async () => {
    await door.take(await startId());
    expect((await get("/readyz")).json()).toMatchObject({ ready: true });
    door.probes.push({ name: "disk", check: async () => "no space" });
    const answer = await get("/readyz");
    door.probes.pop();
    expect(answer.statusCode).toBe(503);
    expect(answer.headers["retry-after"]).toBe("1");
    expect(answer.json().checks).toContainEqual({ name: "disk", ok: false, detail: "no space" });
  });
});

describe("paths and methods", () => {
  it("that do not exist say so in the one shape", async () => {
    expectError(await get("/nowhere?token=secret"), "not_found", /^There is nothing at \/nowhere\.$/);
    const answer = await call({ method: "DELETE", url: "/runs/run_1" });
    expectError(answer, "method_not_allowed", /takes GET, HEAD/);
    expect(answer.headers.allow).toBe("GET, HEAD");
    expect((await call({ method: "PUT", url: "/runs" })).headers.allow).toBe("GET, HEAD, POST");
    expectError(await call({ method: "GET", url: "/runs/run_1/cancel" }), "method_not_allowed");
    expect((await call({ method: "HEAD", url: "/runs/x/events" })).statusCode).toBe(405);
    expectError(await get("/runs/%ff"), "invalid_request");
  });
});

describe("who may call", () => {
  const ok = { host: "localhost:7070" };
  it.each<[string, Record<string, string>, number]>([
    ["a loopback name", ok, 200],
    ["a loopback address", { host: "127.0.0.1:7070" }, 200],
    ["a loopback address of IPv6", { host: "[::1]:7070" }, 200],
    ["the same origin", { ...ok, origin: "http://localhost:7070" }, 200],
    [
      "a link from another site",
      { ...ok, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" },
      200,
    ],
    ["a page of our own", { ...ok, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors" }, 200],
    ["a name that was rebound to us", { host: "evil.example:7070" }, 403],
    ["a name that begins like ours", { host: "localhost.evil.example:7070" }, 403],
    ["a name that ends like ours", { host: "evil.localhost:7070" }, 403],
    ["user info before ours", { host: "evil@localhost" }, 403],
    ["another address of this machine", { host: "192.168.1.7:7070" }, 403],
    ["a host with nothing but a port", { host: ":7070" }, 403],
    ["a page of another site", { ...ok, origin: "https://evil.example" }, 403],
    ["a page on another port", { ...ok, origin: "http://localhost:3000" }, 403],
    ["a page of a sandbox", { ...ok, origin: "null" }, 403],
    [
      "a script of another site without origin",
      { ...ok, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" },
      403,
    ],
    [
      "a script of another port without origin",
      { ...ok, "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors" },
      403,
    ],
  ])("%s", async (_name, headers, status) => {
    const answer = await get("/healthz", headers);
    expect(answer.statusCode).toBe(status);
    if (status === 403) expectError(answer, "forbidden_host");
  });

  it("learns nothing when it may not, not even what exists", async () => {
    const headers = { host: "evil.example" };
    expectError(await get("/nowhere", headers), "forbidden_host");
    expectError(await post("/runs", { workflow: "greet" }, headers), "forbidden_host");
    expectError(await get("/openapi.json", headers), "forbidden_host");
  });
});

describe("failures and the log", () => {
  it("a store that is away is unavailable with Retry-After; a defect tells nothing of itself", async () => {
    const reader = {
      ...door.parts.reader,
      run: () =>
        Promise.reject(new FailureError(failure("unavailable", "closed", { retry_after_ms: 2_500 }))),
      runs: () => Promise.reject(new Error("the secret is 42")),
    };
    const logger = { ...door.parts, reader };
    const { default: pino } = await import("pino");
    const lines: string[] = [];
    const sink = pino({}, { write: (line) => void lines.push(line) });
    const server = createHttpServer({ ...logger, version: "1", logger: sink });
    const away = await server.app.inject({ url: "/runs/run_1" });
    expectError(away, "unavailable");
    expect(away.headers["retry-after"]).toBe("3");
    const defect = await server.app.inject({ url: "/runs" });
    expectError(defect, "internal");
    expect(defect.body).not.toContain("42");
    expect(lines.join("")).toContain("the secret is 42");
    await server.close();
    await server.close();
  });

  it("logs each request by its route, without query, headers and body", async () => {
    const secret = "s3cr3t-value";
    await get(`/runs?workflow=${secret}`, { authorization: `Bearer ${secret}` });
    await post("/runs", { workflow: "greet", inputs: { who: secret } }, { "idempotency-key": secret });
    await post("/runs", `{"${secret}`, { "content-type": "application/json" });
    const lines = door.log.map((line) => JSON.parse(line));
    expect(lines).toContainEqual(
      expect.objectContaining({ msg: "request", method: "GET", route: "/runs", status: 200 }),
    );
    expect(door.log.join("")).not.toContain(secret);
  });

  it("every answer carries its id and keeps browsers in their place", async () => {
    const answer = await get("/healthz");
    expect(answer.headers).toMatchObject({
      "x-request-id": expect.stringMatching(/^req_/),
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "cross-origin-resource-policy": "same-origin",
    });
    expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
  });
});
