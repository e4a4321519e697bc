// Long because each verb is tried in success and refusal on one and the same store.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GREET, type House, openHouse } from "../../tests/support/house.suite.ts";
import type { Json } from "../base/json.ts";
import { FailureError, failure, type Result } from "../domain/errors.ts";
import type { Fact } from "../domain/fact.ts";
import { LIMITS } from "../domain/limits.ts";
import { answerApproval } from "./approvals/answer-approval.ts";
import { listApprovals } from "./approvals/list-approvals.ts";
import { listArtifacts } from "./artifacts/list-artifacts.ts";
import { findArtifact, readArtifact } from "./artifacts/read-artifact.ts";
import { readiness } from "./health/readiness.ts";
import { cancelRun } from "./runs/cancel-run.ts";
import { followRun, type RunEvent } from "./runs/follow-run.ts";
import { listRuns } from "./runs/list-runs.ts";
import { pauseRun } from "./runs/pause-run.ts";
import { replyToRun } from "./runs/reply-to-run.ts";
import { resumeRun } from "./runs/resume-run.ts";
import { runDetail } from "./runs/run-detail.ts";
import { runEvents } from "./runs/run-events.ts";
import { sendSignal } from "./runs/send-signal.ts";
import { type StartRun, startRun } from "./runs/start-run.ts";
import { findWorkflow } from "./workflows/find-workflow.ts";
import { uploadWorkflow } from "./workflows/upload-workflow.ts";

let house: House;
beforeEach(async () => {
  house = await openHouse();
});
afterEach(() => house.close());

function value<T>(result: Result<T>): T {
  if (!result.ok) throw new FailureError(result.failure);
  return result.value;
}

async function refused<T>(result: Promise<Result<T>>) {
  const settled = await result;
  if (settled.ok) throw new Error("expected a failure");
  return settled.failure;
}

const start = (more: Partial<StartRun> = {}) =>
  startRun(house.parts, { workflow: "greet", inputs: { who: "Ann" }, ...more });
const startId = async (more: Partial<StartRun> = {}) => value(await start(more)).run.id;

describe("starting a run", () => {
  it("admits it with defaults, pinned to the workflow's hash", async () => {
    const { run, created } = value(await start());
    const workflow = value(await findWorkflow(house.parts, "greet")).workflow;
    expect(created).toBe(true);
    expect(run).toMatchObject({
      workflow: "greet",
      workflowHash: workflow.hash,
      status: "queued",
      title: "greet",
      tenant: "default",
      queue: "default",
      priority: 5,
      deadlineAt: null,
    });
    const page = value(await runEvents(house.parts, { run: run.id, after: 0 }));
    expect(page.facts[0]).toMatchObject({ request: { inputs: { who: "Ann", times: 1 } } });
    expect(
      value(await startRun(house.parts, { workflow: workflow.hash, inputs: { who: "B" } })).created,
    ).toBe(true);
  });

  it("answers the first run for the same key and body, and refuses the key for another body", async () => {
    const first = value(await start({ idempotencyKey: "k1" }));
    const again = value(await start({ idempotencyKey: "k1" }));
    expect(again).toMatchObject({ created: false, run: { id: first.run.id } });
    const keys = { inputs: { times: 1, who: "Ann" } };
    const sorted = { inputs: { who: "Ann", times: 1 } };
    const other = value(await start({ idempotencyKey: "k2", ...keys }));
    expect(value(await start({ idempotencyKey: "k2", ...sorted })).run.id).toBe(other.run.id);
    const failed = await refused(start({ idempotencyKey: "k1", priority: 1 }));
    expect(failed.code).toBe("idempotency_conflict");
    expect(value(await listRuns(house.parts, { filter: {} })).runs.length).toBe(2);
  });

  it("gives one run to many who ask at once with one key", async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => start({ idempotencyKey: "k" })));
    expect(new Set(all.map((one) => value(one).run.id)).size).toBe(1);
    expect(all.filter((one) => value(one).created).length).toBe(1);
  });

  it("keeps title, priority and deadline, as a span and as a moment", async () => {
    const now = Date.now();
    const run = value(await start({ title: "  Say it ", priority: 0, deadline: "1h30m" })).run;
    expect(run).toMatchObject({ title: "Say it", priority: 0 });
    expect(run.deadlineAt).toBeGreaterThanOrEqual(now + 5_400_000);
    const moment = new Date(now + 60_000).toISOString();
    expect(value(await start({ deadline: moment })).run.deadlineAt).toBe(Date.parse(moment));
  });

  const deep = (levels: number): Json => JSON.parse(`${"[".repeat(levels)}${"]".repeat(levels)}`);
  it.each<[string, Partial<StartRun>, string, RegExp]>([
    ["an unknown workflow", { workflow: "gret" }, "not_found", /Did you mean "greet"\?/],
    ["an unknown hash", { workflow: "a".repeat(64) }, "not_found", /aaaa/],
    ["a missing input", { inputs: {} }, "invalid_input", /who/],
    ["a wrong input", { inputs: { who: "x", times: "often" } }, "invalid_input", /times/],
    ["inputs too deep", { inputs: { who: deep(100) } }, "payload_too_large", /deeper than 64/],
    ["inputs too large", { inputs: { who: "x".repeat(LIMITS.requestBytes) } }, "payload_too_large", /bytes/],
    ["a blank title", { title: " " }, "invalid_request", /title is empty/],
    ["a long title", { title: "x".repeat(999) }, "invalid_request", /title has 999/],
    ["a priority out of range", { priority: 10 }, "invalid_request", /priority is 10/],
    ["half a priority", { priority: 0.5 }, "invalid_request", /priority is 0.5/],
    ["a key with spaces", { idempotencyKey: "a b" }, "invalid_request", /idempotency key/],
    ["a long key", { idempotencyKey: "a".repeat(256) }, "invalid_request", /idempotency key/],
    ["no deadline", { deadline: "soon" }, "invalid_request", /deadline is "soon"/],
    ["a moment without zone", { deadline: "2030-01-01T00:00:00" }, "invalid_request", /deadline is/],
    ["a deadline that is past", { deadline: "2020-01-01T00:00:00Z" }, "invalid_request", /has passed/],
    ["a span of nothing", { deadline: "0s" }, "invalid_request", /has passed/],
  ])("refuses %s", async (_name, more, code, message) => {
    const failed = await refused(start(more));
    expect(failed.code).toBe(code);
    expect(failed.message).toMatch(message);
    expect(value(await listRuns(house.parts, { filter: {} })).runs).toEqual([]);
  });

  it("tells what the store says when it cannot write, and lets a defect through", async () => {
    const failing = (error: Error) => ({ ...house.store, admit: () => Promise.reject(error) });
    const request = { workflow: "greet", inputs: { who: "Ann" } };
    const full = failing(new FailureError(failure("disk_full", "no space")));
    expect(await refused(startRun({ ...house.parts, store: full }, request))).toMatchObject({
      code: "disk_full",
    });
    const broken = failing(new TypeError("a defect"));
    await expect(startRun({ ...house.parts, store: broken }, request)).rejects.toThrow("a defect");
  });
});

describe("listing runs", () => {
  it("pages newest first, by key", async () => {
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) ids.push(await startId());
    const first = value(await listRuns(house.parts, { filter: {}, limit: 2 }));
    expect(first.runs.map((run) => run.id)).toEqual([ids[4], ids[3]]);
    const late = await startId();
    const after = first.nextAfter as string;
    const second = value(await listRuns(house.parts, { filter: {}, limit: 2, after }));
    expect(second.runs.map((run) => run.id)).toEqual([ids[2], ids[1]]);
    const last = value(
      await listRuns(house.parts, { filter: {}, limit: 2, after: second.nextAfter as string }),
    );
    expect(last.runs.map((run) => run.id)).toEqual([ids[0]]);
    expect(last.nextAfter).toBeNull();
    expect(late).not.toBe(ids[4]);
  });

  it("refuses a place that is no run", async () => {
    expect((await refused(listRuns(house.parts, { filter: {}, after: "run_x" }))).code).toBe(
      "invalid_request",
    );
  });
});

describe("messages to a run", () => {
  const from = "test";
  it("are stored for the worker, each once per id", async () => {
    const run = await startId();
    value(await pauseRun(house.parts, { run, from }));
    value(await resumeRun(house.parts, { run, from }));
    value(await sendSignal(house.parts, { run, name: "go", body: { n: 1 }, id: "s1", from }));
    value(await sendSignal(house.parts, { run, name: "go", body: { n: 1 }, id: "s1", from }));
    value(await replyToRun(house.parts, { run, text: "yes", from }));
    value(await cancelRun(house.parts, { run, reason: "enough", from }));
    const hand = await house.take(run);
    const inbox = await house.store.inbox([hand.claim.no]);
    expect(inbox.map(({ kind, name, body }) => [kind, name, body])).toEqual([
      ["pause", "pause", null],
      ["resume", "resume", null],
      ["signal", "go", { n: 1 }],
      ["reply", "reply", { text: "yes" }],
      ["cancel", "cancel", { reason: "enough" }],
    ]);
  });

  it("are refused for a run that is not there or has ended", async () => {
    const none = { run: "run_x", from };
    for (const sent of [
      pauseRun(house.parts, none),
      cancelRun(house.parts, none),
      sendSignal(house.parts, { ...none, name: "go", body: null }),
    ]) {
      expect(await refused(sent)).toMatchObject({ code: "not_found", message: /run_x/ });
    }
    const run = await startId();
    const hand = await house.take(run);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    await hand.complete();
    const gone = { run, from };
    expect(await refused(cancelRun(house.parts, gone))).toMatchObject({
      code: "run_ended",
      message: `Run ${run} has completed; it takes no cancel any more.`,
      details: { status: "completed" },
    });
    expect((await refused(replyToRun(house.parts, { ...gone, text: "more" }))).message).toMatch(
      /start a new run/,
    );
  });

  it("a cancel of a run that was canceled is answered as it is", async () => {
    const run = await startId();
    const hand = await house.take(run);
    await hand.write([{ kind: "run_canceled", reason: "r" }], {
      started: true,
      next: { kind: "end", status: "canceled", output: null, failure: null },
    });
    expect(value(await cancelRun(house.parts, { run, from })).status).toBe("canceled");
  });

  it("are refused when they are too large or badly named", async () => {
    const run = await startId();
    const body = "x".repeat(LIMITS.signalBytes);
    expect((await refused(sendSignal(house.parts, { run, name: "go", body, from }))).code).toBe(
      "payload_too_large",
    );
    expect((await refused(sendSignal(house.parts, { run, name: "", body: 1, from }))).message).toMatch(
      /name is ""/,
    );
    expect((await refused(replyToRun(house.parts, { run, text: " ", from }))).message).toMatch(
      /text is empty/,
    );
    expect((await refused(cancelRun(house.parts, { run, reason: "", from }))).message).toMatch(
      /reason is empty/,
    );
  });
});

describe("following a run", () => {
  async function gather(events: AsyncGenerator<RunEvent>): Promise<Fact[]> {
    const facts: Fact[] = [];
    for await (const event of events) if (event.kind === "fact") facts.push(event.fact);
    return facts;
  }
  const open = async (run: string, after = 0, signal = new AbortController().signal) =>
    value(await followRun(house.parts, { run, after, live: true, signal }));

  it("tells every fact once, in order, as it comes, and ends with the run", async () => {
    const run = await startId();
    const facts = gather(await open(run));
    const hand = await house.take(run);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    for (let i = 0; i < LIMITS.pageSize + 50; i += 1) {
      await hand.write([{ kind: "noted", step: "speak", name: `n${i}`, data: {} }]);
    }
    await hand.complete();
    const seqs = (await facts).map((fact) => fact.seq);
    expect(seqs).toEqual(Array.from({ length: LIMITS.pageSize + 53 }, (_, i) => i + 1));
  });

  it("goes on behind a seq, and is over at once behind the end", async () => {
    const run = await startId();
    const hand = await house.take(run);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    await hand.complete();
    expect((await gather(await open(run, 1))).map((fact) => fact.seq)).toEqual([2, 3]);
    expect(await gather(await open(run, 3))).toEqual([]);
    expect(await gather(await open(run, 99))).toEqual([]);
  });

  it("misses nothing when every hint is lost", async () => {
    const deaf = { ...house.parts, store: { ...house.store, watch: () => () => {} } };
    const run = await startId();
    const signal = new AbortController().signal;
    const facts = gather(value(await followRun(deaf, { run, after: 0, live: false, signal })));
    const hand = await house.take(run);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    await hand.complete();
    expect((await facts).map((fact) => fact.kind)).toEqual(["run_queued", "run_started", "run_completed"]);
  });

  it("ends for a reader who asked beyond the end", async () => {
    const run = await startId();
    const facts = gather(await open(run, 1_000));
    const hand = await house.take(run);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    await hand.complete();
    expect(await facts).toEqual([]);
  });

  it("stops when told to, also while it waits, and lets go of its subscriptions", async () => {
    let watching = 0;
    const store = {
      ...house.store,
      watch(listener: Parameters<typeof house.store.watch>[0]) {
        watching += 1;
        const unwatch = house.store.watch(listener);
        return () => {
          watching -= 1;
          unwatch();
        };
      },
    };
    const run = await startId();
    const controller = new AbortController();
    const follow = { run, after: 0, live: true, signal: controller.signal };
    const events = value(await followRun({ ...house.parts, store }, follow));
    expect((await events.next()).value).toMatchObject({ fact: { seq: 1 } });
    const next = events.next();
    expect(watching).toBe(1);
    controller.abort();
    expect((await next).done).toBe(true);
    expect(watching).toBe(0);
  });

  it("shows live events between facts, and drops the oldest for a reader who does not look", async () => {
    const run = await startId();
    const events = await open(run);
    await events.next();
    const pending = events.next();
    for (let i = 0; i < LIMITS.liveBuffer + 10; i += 1) {
      house.live.publish({ run, step: "speak", name: "delta", at: 1, data: { i } });
    }
    house.live.publish({ run: "run_other", step: "speak", name: "delta", at: 1, data: {} });
    expect((await pending).value).toMatchObject({ kind: "live", event: { data: { i: 10 } } });
    for (let i = 11; i < LIMITS.liveBuffer + 10; i += 1) {
      expect((await events.next()).value).toMatchObject({ event: { data: { i } } });
    }
    await events.return(undefined);
  });

  it("fails for an unknown run", async () => {
    const signal = new AbortController().signal;
    const failed = await refused(followRun(house.parts, { run: "run_x", after: 0, live: false, signal }));
    expect(failed.code).toBe("not_found");
  });
});

describe("a run in detail", () => {
  it("folds its journal over the workflow's steps", async () => {
    const run = await startId();
    const hand = await house.take(run);
    await hand.write([
      { kind: "run_started", worker: "w" },
      { kind: "step_started", step: "prepare", attempt: 1, input: null },
      { kind: "step_succeeded", step: "prepare", attempt: 1, output: { x: 1 } },
    ]);
    for (let i = 0; i < LIMITS.pageSize; i += 1) {
      await hand.write([{ kind: "noted", step: "prepare", name: `n${i}`, data: {} }]);
    }
    const detail = value(await runDetail(house.parts, run));
    expect(detail.run.status).toBe("running");
    expect(detail.view.steps.map((step) => [step.id, step.status])).toEqual([
      ["prepare", "succeeded"],
      ["speak", "pending"],
    ]);
    expect(detail.view.progress.percent).toBe(50);
    expect(detail.view.lastSeq).toBe(LIMITS.pageSize + 4);
    expect((await refused(runDetail(house.parts, "run_x"))).code).toBe("not_found");
  });
});

describe("approvals", () => {
  async function asked(id: string): Promise<string> {
    const run = await startId();
    const hand = await house.take(run);
    const approval = { id, title: "Push?", details: { to: "main" }, risk: "high", expiresAt: null } as const;
    await hand.write(
      [
        { kind: "run_started", worker: "w" },
        { kind: "approval_requested", step: "speak", approval },
      ],
      {
        approvals: [{ step: "speak", request: approval }],
        next: { kind: "rest", wakeAt: null, waitingFor: [`approval:${id}`] },
      },
    );
    return run;
  }

  it("are listed and answered once; the same answer again is harmless, another one is refused", async () => {
    const run = await asked("apr_1");
    const pending = value(await listApprovals(house.parts, { status: "pending" }));
    expect(pending.approvals).toMatchObject([{ id: "apr_1", run, title: "Push?" }]);
    const yes = { approval: "apr_1", answer: "approved", by: "ann", comment: "go" } as const;
    expect(value(await answerApproval(house.parts, yes))).toMatchObject({
      status: "approved",
      answeredBy: "ann",
    });
    expect(value(await answerApproval(house.parts, { ...yes, by: "bob" }))).toMatchObject({
      answeredBy: "ann",
    });
    expect(await refused(answerApproval(house.parts, { ...yes, answer: "denied" }))).toMatchObject({
      code: "already_answered",
      message: /approved by ann/,
    });
    const hand = await house.take(run);
    expect(await house.store.inbox([hand.claim.no])).toMatchObject([{ kind: "approval", name: "apr_1" }]);
  });

  it("that are unknown or no longer asked say so", async () => {
    const none = { approval: "apr_x", answer: "denied", by: "ann" } as const;
    expect((await refused(answerApproval(house.parts, none))).code).toBe("not_found");
    const run = await asked("apr_2");
    value(await cancelRun(house.parts, { run, from: "t" }));
    const hand = await house.take(run);
    await hand.write([{ kind: "approval_expired", approval: "apr_2" }], {
      closedApprovals: [{ id: "apr_2", status: "expired" }],
    });
    const failed = await refused(answerApproval(house.parts, { ...none, approval: "apr_2" }));
    expect(failed).toMatchObject({
      code: "answer_too_late",
      message: "Approval apr_2 expired; it is no longer asked.",
    });
    expect((await refused(listApprovals(house.parts, { after: "apr_x" }))).code).toBe("invalid_request");
    const long = { ...none, comment: "x".repeat(LIMITS.textChars + 1) };
    expect((await refused(answerApproval(house.parts, long))).code).toBe("invalid_request");
  });
});

describe("artifacts", () => {
  it("are listed from the journal and read by hash; what is lost or broken says so", async () => {
    const run = await startId();
    const hand = await house.take(run);
    await hand.write([{ kind: "run_started", worker: "w" }]);
    const artifact = await hand.save("report.md", "# Done");
    const found = value(await findArtifact(house.parts, { run, artifact: "report.md" }));
    expect(value(await listArtifacts(house.parts, run))).toEqual([found]);
    expect(Buffer.from(value(await readArtifact(house.parts, found))).toString()).toBe("# Done");
    expect((await refused(findArtifact(house.parts, { run, artifact: "report.m" }))).message).toMatch(
      /Did you mean report.md\?/,
    );
    house.artifacts.kept.set(artifact.sha256, Buffer.from("other"));
    expect((await refused(readArtifact(house.parts, found))).code).toBe("content_corrupt");
    house.artifacts.kept.clear();
    expect((await refused(readArtifact(house.parts, found))).code).toBe("content_missing");
    expect((await refused(listArtifacts(house.parts, "run_x"))).code).toBe("not_found");
  });
});

describe("uploading a workflow", () => {
  const mine = GREET.replace("name: greet", "name: mine");
  const upload = (source: string) => uploadWorkflow(house.parts, { source });

  it("saves it, and saves the same definition once", async () => {
    const first = value(await upload(mine));
    expect(first).toMatchObject({
      created: true,
      stored: { origin: "uploaded", workflow: { name: "mine" } },
    });
    expect(value(await upload(mine)).created).toBe(false);
    const second = value(await upload(mine.replace("somebody", "everybody")));
    expect(second.created).toBe(true);
    expect(value(await findWorkflow(house.parts, "mine")).workflow.hash).toBe(second.stored.workflow.hash);
    const run = value(await start({ workflow: first.stored.workflow.hash })).run;
    expect(run.workflowHash).toBe(first.stored.workflow.hash);
  });

  it("lets nobody take the name of a built-in one", async () => {
    const failed = await refused(upload(GREET.replace("somebody", "nobody")));
    expect(failed).toMatchObject({ code: "conflict", message: /"greet" is taken; it is built in/ });
    expect(value(await upload(GREET)).created).toBe(false);
    expect((await refused(upload(GREET.replace("name: greet", "name: schema")))).message).toMatch(/reserved/);
  });

  it("tells every problem with its line", async () => {
    const failed = await refused(upload(mine.replace("needs: prepare", "needs: prepar")));
    expect(failed.code).toBe("invalid_workflow");
    expect(failed.details).toMatchObject({ total: 1, diagnostics: [{ line: 12, suggestion: "prepare" }] });
    const large = await refused(upload(`# ${"x".repeat(LIMITS.workflowBytes)}\n${mine}`));
    expect(large.code).toBe("payload_too_large");
  });
});

describe("readiness", () => {
  it("wants the store, a worker, and whatever else is asked", async () => {
    expect(await readiness(house.parts)).toMatchObject({
      ready: false,
      checks: [{ ok: true }, { ok: false }],
    });
    await house.take(await startId());
    expect(await readiness(house.parts)).toMatchObject({ ready: true });
    house.probes.push({ name: "disk", check: async () => "full" });
    house.probes.push({ name: "git", check: () => Promise.reject(new Error("no git")) });
    expect(await readiness(house.parts)).toEqual({
      ready: false,
      checks: [
        { name: "store", ok: true, detail: "ok" },
        { name: "worker", ok: true, detail: "1 at work" },
        { name: "disk", ok: false, detail: "full" },
        { name: "git", ok: false, detail: "no git" },
      ],
    });
  });

  it("takes a store that fails or stays silent for not ready", async () => {
    const broken = {
      ...house.parts.reader,
      counts: () => Promise.reject(new FailureError(failure("unavailable", "gone"))),
    };
    const state = await readiness({ ...house.parts, reader: broken });
    expect(state.checks).toMatchObject([
      { name: "store", ok: false, detail: "gone" },
      { name: "worker", ok: false },
    ]);
    const silent = { ...house.parts.reader, counts: () => new Promise<never>(() => {}) };
    const hurried = {
      ...house.parts.clock,
      after: (_ms: number, wake: () => void) => house.parts.clock.after(1, wake),
    };
    const late = await readiness({ ...house.parts, reader: silent, clock: hurried });
    expect(late.checks[0]).toMatchObject({ ok: false, detail: /no answer within/ });
  });
});
