import { once } from "node:events";
import type { InjectOptions } from "fastify";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Door, openDoor } from "../../tests/support/door.suite.ts";
import { ERRORS, type ErrorCode, fail, ok } from "../domain/errors.ts";
import type { IntentQuestion } from "../operations/intake/judge.ts";
import { readPrefer } from "./prefer.ts";
import { createHttpServer } from "./server.ts";

const BAKE = `name: bake
version: 1
description: Bakes bread.
examples: [Bake a loaf of bread, Bake rolls for breakfast]
inputs:
  task: { type: string, required: true }
  loaves: { type: integer, default: 1 }
steps: [{ id: mix, uses: noop }]
`;
const WASH = `name: wash
version: 1
description: Washes clothes.
examples: [Wash my shirts]
inputs: { repo: { type: string, required: true } }
steps: [{ id: soak, uses: noop }]
`;
const FOLD = `name: fold
version: 1
description: Folds clothes.
examples: [Fold my shirts]
steps: [{ id: lay, uses: noop }]
`;
const ASK = `name: ask
version: 1
description: Gives an agent a task.
inputs: { agent: { type: string, required: true }, task: { type: string } }
steps: [{ id: ask, uses: noop }]
`;

let door: Door;
beforeAll(async () => {
  door = await openDoor();
  for (const source of [BAKE, WASH, FOLD, ASK])
    expect((await post("/workflows", { source })).statusCode).toBe(201);
});
afterAll(() => door.close());

const call = (options: InjectOptions) => door.server.app.inject(options);
const get = (url: string, headers = {}) => call({ url, headers });
const post = (url: string, payload: object, headers = {}) => call({ method: "POST", url, headers, payload });
const act = (payload: object, headers = {}) => post("/v1/act", payload, headers);
const runs = async () => (await get("/runs?limit=200")).json().runs.length;

function expectError(answer: Awaited<ReturnType<typeof call>>, code: ErrorCode) {
  const { error } = answer.json();
  expect(error).toMatchObject({ code, remedy: ERRORS[code].remedy });
  expect(answer.statusCode).toBe(ERRORS[code].status);
  return error;
}

describe("POST /v1/act", () => {
  it("routes free words, fills the inputs, and freezes the decision in the run", async () => {
    const answer = await act({ text: "Bake two loaves of bread\nloaves: 2", priority: 1 });
    expect(answer.statusCode).toBe(202);
    const body = answer.json();
    expect(answer.headers.location).toBe(`/v1/act/${body.id}`);
    expect(body).toMatchObject({
      state: "accepted",
      run: { id: body.id, workflow: "bake", title: "Bake two loaves of bread", priority: 1 },
      intent: { chosen: { kind: "workflow", name: "bake" }, by: "rules", model: null },
      links: { self: `/v1/act/${body.id}`, run: `/runs/${body.id}`, events: `/runs/${body.id}/events` },
    });
    const names = body.intent.candidates.map(({ name }: { name: string }) => name);
    expect(names.toSorted()).toEqual(["bake", "bug_fix", "fold", "greet", "wash"]);
    expect(names[0]).toBe("bake");
    expect((await get(`/runs/${body.id}`)).json().inputs).toEqual({
      task: "Bake two loaves of bread",
      loaves: 2,
    });
    const [queued] = (await get(`/runs/${body.id}/events`)).json().events;
    expect(queued.data.request.intent).toMatchObject({
      text: "Bake two loaves of bread\nloaves: 2",
      by: "rules",
    });
    expect((await get(body.links.self)).json()).toEqual(body);
  });

  it("asks which is meant, or says that it knows nothing, and starts nothing", async () => {
    const before = await runs();
    const unsure = expectError(await act({ text: "my shirts" }), "intent_ambiguous");
    expect(unsure.message).toMatch(
      /^Which of these is meant: workflow fold \(0\.\d+\), workflow wash \(0\.\d+\)\?$/,
    );
    expect(unsure.details.candidates).toMatchObject([{ name: "fold" }, { name: "wash" }]);
    expect(unsure.details.candidates[0].reasons[0]).toMatch(/^words: /);
    const unknown = expectError(await act({ text: "kernel panic" }), "intent_unknown");
    expect(unknown.message).toContain("workflow bake");
    expect(await runs()).toBe(before);
    // The remedy works.
    const named = await act({ text: "my shirts", workflow: "fold" });
    expect(named.json()).toMatchObject({
      run: { workflow: "fold" },
      intent: { by: "named", text: "my shirts" },
    });
  });

  it("takes a workflow or an agent by name", async () => {
    const workflow = (await act({ workflow: "bake", inputs: { task: "rye" }, title: "Rye" })).json();
    expect(workflow).toMatchObject({
      run: { title: "Rye" },
      intent: { by: "named", text: null, candidates: [{ score: 1 }] },
    });
    const agent = (await act({ agent: "bug_fix", text: "Mend it" })).json();
    expect(agent).toMatchObject({
      run: { workflow: "ask" },
      intent: { chosen: { kind: "agent", name: "bug_fix" } },
    });
    expect((await get(`/runs/${agent.id}`)).json().inputs).toEqual({ agent: "bug_fix", task: "Mend it" });
    const both = await act({ agent: "bug_fix", workflow: "ask", text: "x" });
    expect(both.json().run.workflow).toBe("ask");
    expect(expectError(await act({ agent: "bug_fax" }), "not_found").message).toContain(
      'Did you mean "bug_fix"',
    );
    expectError(await act({ workflow: "bakes" }), "not_found");
    expect(
      expectError(await act({ agent: "bug_fix", workflow: "fold" }), "invalid_request").message,
    ).toContain('has no input "agent"');
  });

  it("names what is wrong", async () => {
    const missing = expectError(await act({ text: "Wash my shirts please" }), "invalid_input");
    expect(missing.message).toMatch(/^This is for workflow wash\. .*repo/);
    expect(missing.details.route).toEqual({ kind: "workflow", name: "wash" });
    expect(expectError(await act({}), "invalid_request").message).toContain("text is missing");
    expectError(await act({ text: " " }), "invalid_request");
    expectError(await act({ text: "Bake bread", priority: 99 }), "invalid_request");
    expectError(await act({ text: "Bake bread", deadline: "soon" }), "invalid_request");
    expectError(await act({ txt: "Bake bread" }), "invalid_request");
    expect((await act({ text: "Wash my shirts", inputs: { repo: "/given" } })).statusCode).toBe(202);
  });

  it("starts one run per idempotency key, also when the same words would be routed elsewhere by now", async () => {
    const headers = { "idempotency-key": "loaf-7" };
    const [first, same] = await Promise.all([
      act({ text: "Bake bread for breakfast" }, headers),
      act({ text: "Bake bread for breakfast" }, headers),
    ]);
    const id = first.json().id;
    expect(same.json().id).toBe(id);
    const BREAD = BAKE.replace("name: bake", "name: bake-bread");
    expect((await post("/workflows", { source: BREAD })).statusCode).toBe(201);
    expect((await act({ text: "Bake bread for breakfast" })).json().run?.workflow).not.toBe("bake");
    const again = await act({ text: "Bake bread for breakfast" }, headers);
    expect(again.statusCode).toBe(202);
    expect(again.headers["idempotency-replayed"]).toBe("true");
    expect(again.json()).toEqual(first.json());
    expectError(await act({ text: "Bake rolls for breakfast" }, headers), "idempotency_conflict");
    expectError(await post("/runs", { workflow: "fold" }, headers), "idempotency_conflict");
    await post("/runs", { workflow: "fold" }, { "idempotency-key": "other" });
    expectError(await act({ workflow: "fold" }, { "idempotency-key": "other" }), "idempotency_conflict");
  });

  it("lets a configured model decide between close candidates, and believes only a candidate", async () => {
    const asked: IntentQuestion[] = [];
    let says: string | null = "wash";
    const { app } = createHttpServer({
      ...door.parts,
      logger: door.server.app.log as never,
      version: "1",
      intentJudge: async (question) => {
        asked.push(question);
        const candidate = question.candidates.find(({ name }) => name === says);
        return candidate === undefined
          ? fail("model_bad_reply", "It named none.")
          : ok({ candidate, model: "fake/small" });
      },
    });
    const ask = () =>
      app.inject({ method: "POST", url: "/v1/act", payload: { text: "my shirts", inputs: {} } });
    expectError(await ask(), "invalid_input");
    says = "fold";
    expect((await ask()).json().intent).toMatchObject({
      by: "model",
      model: "fake/small",
      chosen: { name: "fold" },
    });
    says = null;
    expect(expectError(await ask(), "intent_ambiguous").message).toContain("did not decide: It named none.");
    expect(asked[0]?.candidates.map(({ name }) => name)).toEqual(["fold", "wash"]);
    await app.inject({ method: "POST", url: "/v1/act", payload: { text: "Fold my shirts" } });
    expect(asked).toHaveLength(3);
    await app.close();
  });
});

describe("waiting for the end", () => {
  const started = async () => (await act({ workflow: "fold" })).json().id as string;

  it("answers 200 when it ended in time, 202 when not", async () => {
    const late = await act({ workflow: "fold" }, { prefer: "wait=0" });
    expect([late.statusCode, late.headers["preference-applied"]]).toEqual([202, "wait=0"]);
    const asynchronous = await act({ workflow: "fold" }, { prefer: "respond-async" });
    expect(asynchronous.headers["preference-applied"]).toBe("respond-async");

    const unwatched = door.parts.store.watch((hint) => {
      if (hint.kind !== "facts") return;
      unwatched();
      void door.take(hint.run).then((hand) => hand.complete("folded"));
    });
    const done = await act({ workflow: "fold" }, { prefer: "wait=30" });
    expect([done.statusCode, done.headers["preference-applied"]]).toEqual([200, "wait=30"]);
    expect(done.json()).toMatchObject({ state: "completed", run: { output: "folded" } });
    expect((await get(`${done.headers.location}?wait=30s`)).json().state).toBe("completed");
  });

  it("holds a poll until the end, or for so long", async () => {
    const id = await started();
    const hand = await door.take(id);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    expect((await get(`/v1/act/${id}?wait=20ms`)).json().state).toBe("running");
    const polled = get(`/v1/act/${id}?wait=30s`);
    const reason = "enough";
    await hand.write([{ kind: "run_canceled", reason }], {
      next: { kind: "end", status: "canceled", output: null, failure: null },
    });
    expect((await polled).json().state).toBe("canceled");
    expectError(await get(`/v1/act/${id}?wait=long`), "invalid_request");
  });

  it("lets go of everybody when the server stops", async () => {
    const other = createHttpServer({ ...door.parts, logger: door.server.app.log as never, version: "1" });
    const listening = await other.listen({ host: "127.0.0.1", port: 0 });
    if (!listening.ok) throw new Error(listening.failure.message);
    const id = await started();
    const came = once(other.app.server, "request");
    const polled = fetch(`${listening.value.url}/v1/act/${id}?wait=60s`);
    await came;
    // The request is held once it has read the run; the stop lets it go whether or not it has.
    await other.close();
    const answer = await polled;
    expect([200, 503]).toContain(answer.status);
  });

  it("knows only what it has started", async () => {
    expectError(await get("/v1/act/run_nowhere"), "not_found");
    const { id } = (await post("/runs", { workflow: "fold" })).json();
    expect(expectError(await get(`/v1/act/${id}`), "not_found").message).toContain(`/runs/${id}`);
  });

  it("streams the state as it changes, with the facts", async () => {
    const id = await started();
    const accept = { accept: "text/event-stream" };
    const streamed = get(`/v1/act/${id}`, accept);
    const hand = await door.take(id);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    await hand.complete("flat");
    const { body } = await streamed;
    const events = body.split("\n\n").map((block) => ({
      event: /^event: (.*)$/m.exec(block)?.[1],
      data: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? "null"),
    }));
    const kinds = events.flatMap(({ event }) => (event === undefined ? [] : [event]));
    expect(kinds.filter((kind) => kind !== "state")).toEqual([
      "run_queued",
      "run_started",
      "run_completed",
      "end",
    ]);
    expect(kinds[0]).toBe("state");
    const states = events.filter(({ event }) => event === "state").map(({ data }) => data.state);
    expect(states.at(-1)).toBe("completed");
    expect(["accepted", "running", "completed"].filter((state) => states.includes(state))).toEqual(states);
    const behind = await get(`/v1/act/${id}`, { ...accept, "last-event-id": "2" });
    expect(behind.body).not.toContain("run_started");
    expect((await get(`/v1/act/${id}`, { ...accept, "last-event-id": "3" })).statusCode).toBe(204);
  });
});

describe("Prefer", () => {
  it("is read leniently and bounded", () => {
    const read = (header?: string) => readPrefer(header, 60);
    expect(read()).toEqual({ waitSeconds: null, respondAsync: false });
    expect(read("respond-async, WAIT = 10; q=1")).toEqual({ waitSeconds: 10, respondAsync: true });
    expect(read('wait="5", wait=9').waitSeconds).toBe(5);
    expect(read("wait=9000").waitSeconds).toBe(60);
    for (const nonsense of ["wait=-1", "wait=soon", "wait", "waits=3"])
      expect(read(nonsense).waitSeconds).toBeNull();
  });
});
