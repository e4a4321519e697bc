import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { ManualClock } from "../../tests/support/manual-clock.ts";
import { createMemoryStore } from "../adapters/store/memory/store.ts";
import type { Json } from "../base/json.ts";
import { FailureError, failure, ok } from "../domain/errors.ts";
import type { RunRequest } from "../domain/fact.ts";
import type { RetryBudgetRules } from "../domain/retry-budget.ts";
import { request, step, tinyExpressions, workflow } from "../domain/testing.suite.ts";
import type { EngineParts, WrittenFacts } from "./parts.ts";
import { latecomers } from "./services/latecomers.ts";
import { Worker } from "./worker.ts";

/** The engine over plain values and a clock that stands still, with a step that always fails in passing. */
function openDesk(retryBudget: RetryBudgetRules) {
  const clock = new ManualClock();
  const memory = createMemoryStore({ clock });
  const seen: WrittenFacts[] = [];
  let performed = 0;
  const act = {
    name: "act",
    description: "",
    input: {},
    output: {},
    parse: (input: Json) => ok(input),
    perform: async (input: Json): Promise<Json> => {
      performed += 1;
      if (input === "well") return null;
      throw new FailureError(failure("unavailable", "the service is down"));
    },
  };
  const parts: EngineParts = {
    store: memory.store,
    runs: memory.reader,
    workflows: memory.workflows,
    artifacts: { put: async () => ({ sha256: "", bytes: 0 }), get: async () => null },
    actions: { get: () => act, list: () => [act] },
    expressions: tinyExpressions,
    live: { publish() {}, subscribe: () => () => {} },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    clock,
    random: () => 0.5,
    hash: (text) => createHash("sha256").update(text).digest("hex"),
    defer: (run) => void setImmediate(run),
    prepareChild: async () => ok(request()),
    retryBudget: () => retryBudget,
    observe: (written) => seen.push(written),
  };
  const self = { host: "h", pid: 1, processStart: "w" };
  const worker = new Worker(parts, { id: "w", ...self, slots: 50 });
  return {
    clock,
    memory,
    worker,
    late: latecomers(parts, { id: "late", ...self, slots: 0 }),
    performed: () => performed,
    kinds: () => seen.flatMap(({ facts }) => facts.map(({ kind }) => kind)),
    async start(id: string, asked: Partial<RunRequest> = {}) {
      const retry = { maxAttempts: 5, backoff: { initialMs: 100, factor: 1, maxMs: 100 } };
      const input = asked.inputs === "well" ? "well" : "badly";
      const flow = {
        ...workflow([step("a", { uses: "act", with: input as never, retry })]),
        hash: `h ${input}`,
      };
      await memory.workflows.save({ workflow: flow, source: "", origin: "built-in", savedAt: 0 });
      const full = request({ workflow: { name: "test", version: "1", hash: flow.hash }, ...asked });
      await memory.store.admit([{ id, request: full, idempotency: null, at: clock.now() }]);
    },
    failureOf: async (id: string) => (await memory.reader.run(id))?.failure?.code ?? null,
  };
}

it("an outage is not multiplied: retries beyond the budget are put off or not made", async () => {
  const desk = openDesk({ share: 0, floor: 2 });
  for (let n = 0; n < 30; n += 1) await desk.start(`run_${n}`);
  await desk.worker.runOnce();
  expect(desk.performed()).toBe(30);
  const kinds = desk.kinds();
  const count = (kind: string) => kinds.filter((one) => one === kind).length;
  // Two at once, then one each half minute, for no longer than five minutes.
  expect(count("step_retrying")).toBe(2 + 10);
  expect(count("retry_budget_exhausted")).toBe(28);
  expect(count("run_failed")).toBe(18);
  expect(await desk.failureOf("run_29")).toBe("retry_budget_exhausted");
});

it("work that goes well earns retries", async () => {
  const desk = openDesk({ share: 0.5, floor: 0 });
  for (let n = 0; n < 20; n += 1) await desk.start(`good_${n}`, { inputs: "well" });
  await desk.worker.runOnce();
  for (let n = 0; n < 30; n += 1) await desk.start(`bad_${n}`);
  await desk.worker.runOnce();
  // Twenty that went well, and thirty more first attempts, at half a retry each; whoever comes later finds more.
  const kinds = desk.kinds();
  expect(kinds.filter((one) => one === "step_retrying").length).toBe(25);
  expect(kinds.filter((one) => one === "retry_budget_exhausted").length).toBe(5);
});

it("a run whose time to begin is over is not begun, and says so once", async () => {
  const desk = openDesk({ share: 0, floor: 0 });
  const now = desk.clock.now();
  await desk.start("late", { sla: { class: "high", startBy: now + 1_000, targetMs: 500 } });
  await desk.clock.advance(1_000);
  await desk.worker.runOnce();
  expect(desk.performed()).toBe(0);
  expect(await desk.failureOf("late")).toBe("start_by_missed");
  const facts = (await desk.memory.reader.factsOf("late", { after: 0, limit: 99 })) ?? [];
  expect(facts.map(({ kind }) => kind)).toEqual([
    "run_queued",
    "sla_breached",
    "sla_breached",
    "step_canceled",
    "run_failed",
  ]);
});

it("what is late while no worker comes is ended all the same, by whoever keeps house, and counted", async () => {
  const desk = openDesk({ share: 0, floor: 0 });
  const now = desk.clock.now();
  const soon = { class: "high", startBy: now + 1_000, targetMs: null };
  for (let n = 0; n < 250; n += 1) await desk.start(`late_${n}`, { sla: soon, needs: ["gpu"] });
  await desk.start("dead", { deadlineAt: now + 1_000 });
  await desk.start("patient", {});
  await desk.late.runOnce();
  expect(desk.kinds()).toEqual([]);
  await desk.clock.advance(1_000);
  await desk.late.runOnce();
  expect(desk.kinds().filter((kind) => kind === "run_failed").length).toBe(251);
  expect(await desk.failureOf("late_249")).toBe("start_by_missed");
  expect(await desk.failureOf("dead")).toBe("deadline_exceeded");
  expect(await desk.memory.reader.load(now)).toMatchObject({ queued: 1, ready: 1, workers: 0 });
  expect(desk.performed()).toBe(0);
  await desk.late.runOnce();
  expect((await desk.memory.reader.run("patient"))?.status).toBe("queued");
});

it("what was canceled before it was late ends as canceled", async () => {
  const desk = openDesk({ share: 0, floor: 0 });
  const now = desk.clock.now();
  await desk.start("gone", { sla: { class: "high", startBy: now + 1_000, targetMs: null } });
  const body = { reason: "no longer wanted" };
  const cancel = {
    run: "gone",
    id: "c",
    kind: "cancel",
    name: "cancel",
    body,
    from: "ann",
    at: now,
  } as const;
  await desk.memory.store.post([cancel]);
  await desk.clock.advance(1_000);
  await desk.late.runOnce();
  expect((await desk.memory.reader.run("gone"))?.status).toBe("canceled");
});

it("a run that turns out not to be late is given back, and nothing of it is done", async () => {
  const desk = openDesk({ share: 0, floor: 0 });
  const deadlineAt = desk.clock.now() + 1_000;
  await desk.start("early", { deadlineAt, inputs: "well" });
  const { claimLate } = desk.memory.store;
  // The clock was put right between the claim and the look at the run.
  desk.memory.store.claimLate = (asked) => claimLate({ ...asked, now: deadlineAt });
  await desk.late.runOnce();
  expect(desk.performed()).toBe(0);
  const early = await desk.memory.reader.run("early");
  expect(early).toMatchObject({ status: "queued", startedAt: null });
  expect(await desk.memory.reader.load(0)).toMatchObject({ queued: 1, ready: 1, leased: 0 });
});
