import { describe, expect, it } from "vitest";
import type { Json } from "../base/json.ts";
import { describeFact, describeWait } from "./describe-fact.ts";
import { failure } from "./errors.ts";
import type { Fact, FactBody } from "./fact.ts";
import { LIMITS } from "./limits.ts";
import { growView, type RunView, showView, startView } from "./run-view.ts";
import { request } from "./testing.suite.ts";

const queued: FactBody = { kind: "run_queued", request: request() };
const begun: FactBody = { kind: "run_started", worker: "w" };
const boom = failure("tool_failed", "boom");

/** Facts a second apart, from 1,000 ms on. */
function journal(...bodies: readonly FactBody[]): Fact[] {
  return bodies.map((body, index) => ({ ...body, seq: index + 1, at: (index + 1) * 1_000 }));
}

function view(steps: readonly string[], ...bodies: readonly FactBody[]): RunView {
  const state = startView(steps);
  growView(state, journal(queued, ...bodies));
  const shown = showView(state, 60_000);
  if (!shown) throw new Error("no view");
  return shown;
}

const started = (step: string, attempt = 1): FactBody => ({
  kind: "step_started",
  step,
  attempt,
  input: null,
});
const succeeded = (step: string, output: Json = null): FactBody => ({
  kind: "step_succeeded",
  step,
  attempt: 1,
  output,
});

describe("the view of a run", () => {
  it("is nothing before the first fact", () => {
    expect(showView(startView(["a"]), 0)).toBeNull();
  });

  it("shows steps that have not begun, and what is queued as queued", () => {
    const shown = view(["a", "b"]);
    expect(shown.steps.map((step) => [step.id, step.status])).toEqual([
      ["a", "pending"],
      ["b", "pending"],
    ]);
    expect(shown.progress).toEqual({
      phase: "queued",
      elapsedMs: 59_000,
      percent: 0,
      stepsEnded: 0,
      stepsTotal: 2,
      etaMs: null,
    });
    expect(shown.status).toBe("queued");
  });

  it("counts percent by steps and elapsed time from the start, and ends at 100 only when completed", () => {
    const half = view(["a", "b"], begun, started("a"), succeeded("a", { x: 1 }), started("b"));
    expect(half.progress).toEqual({
      phase: "b",
      elapsedMs: 58_000,
      percent: 50,
      stepsEnded: 1,
      stepsTotal: 2,
      etaMs: 58_000,
    });
    const whole = view(["a"], begun, started("a"), succeeded("a"), { kind: "run_completed", output: 1 });
    expect(whole.progress).toMatchObject({ phase: "completed", percent: 100, elapsedMs: 3_000 });
    const failed = view(["a"], begun, started("a"), succeeded("a"), { kind: "run_failed", failure: boom });
    expect(failed.progress).toMatchObject({ phase: "failed", percent: 99 });
    expect(view([], begun, { kind: "run_canceled", reason: "no" }).progress).toMatchObject({
      phase: "canceled",
      percent: 0,
    });
  });

  it("follows a step through waiting, waking, retrying and its end", () => {
    const wait = { key: "k", on: "signal", name: "go", until: null } as const;
    const facts: FactBody[] = [
      begun,
      started("a"),
      { kind: "step_waiting", step: "a", attempt: 1, waits: [wait] },
      { kind: "step_woken", step: "a", attempt: 1, key: "k", by: "signal", signal: "s" },
      { kind: "step_retrying", step: "a", attempt: 1, failure: boom, nextAt: 9_000 },
      started("a", 2),
      { kind: "step_failed", step: "a", attempt: 2, failure: boom },
    ];
    const at = (count: number) => view(["a"], ...facts.slice(0, count));
    expect(at(3).waiting).toEqual([{ step: "a", wait }]);
    expect(at(3).progress.phase).toBe("a waiting");
    expect(at(4).steps[0]).toMatchObject({ status: "running", waits: [] });
    expect(at(5).steps[0]).toMatchObject({ status: "waiting", retryAt: 9_000, failure: boom });
    expect(at(6).steps[0]).toMatchObject({ status: "running", retryAt: null, attempts: 2, startedAt: 3_000 });
    expect(at(7).steps[0]).toMatchObject({ status: "failed", endedAt: 8_000, failure: boom });
  });

  it("says why a step was skipped or canceled, and forgets a failure that a later attempt mended", () => {
    const shown = view(
      ["a", "b", "c"],
      begun,
      { kind: "step_skipped", step: "a", reason: "not needed" },
      { kind: "step_canceled", step: "b", attempt: 0, reason: "stop" },
      started("c"),
      { kind: "step_retrying", step: "c", attempt: 1, failure: boom, nextAt: 1 },
      succeeded("c"),
    );
    expect(shown.steps.map((step) => [step.status, step.reason])).toEqual([
      ["skipped", "not needed"],
      ["canceled", "stop"],
      ["succeeded", null],
    ]);
    expect(shown.steps[2]?.failure).toBeNull();
    expect(shown.progress.phase).toBe("running");
  });

  it("shows small outputs and measures large ones", () => {
    const large = "x".repeat(LIMITS.viewOutputChars);
    const shown = view(["a", "b"], begun, succeeded("a", { x: 1 }), succeeded("b", large));
    expect(shown.steps[0]).toMatchObject({ output: { x: 1 }, outputChars: 7 });
    expect(shown.steps[1]).toMatchObject({ output: null, outputChars: large.length + 2 });
  });

  it("counts the instances of a foreach, keeps them behind it, and bounds how many are shown", () => {
    const items = Array.from({ length: LIMITS.viewInstances + 5 }, (_, index) => index);
    const shown = view(
      ["each", "last"],
      begun,
      { kind: "step_expanded", step: "each", items },
      ...items.map((index) => started(`each#${index}`)),
      succeeded("each#0"),
      succeeded("each#1"),
      succeeded("each#1"),
    );
    expect(shown.steps[0]).toMatchObject({ id: "each", instances: { total: items.length, ended: 2 } });
    expect(shown.steps.length).toBe(LIMITS.viewInstances + 2);
    expect(shown.steps.at(-1)?.id).toBe("last");
    expect(shown.progress.stepsTotal).toBe(2);
    expect(shown.progress.percent).toBe(0);
    expect(shown.progress.phase).toBe("each#2, each#3, each#4 and 200 more");
    const empty = view(["each"], begun, { kind: "step_expanded", step: "each", items: [] });
    expect(empty.progress.percent).toBe(0);
    const two = view(
      ["each"],
      begun,
      started("each"),
      { kind: "step_expanded", step: "each", items: [1, 2] },
      succeeded("each#0"),
    );
    expect(two.progress.percent).toBe(50);
  });

  it("takes an instance whose foreach it does not know", () => {
    expect(view([], begun, succeeded("lost#0")).steps).toEqual([]);
  });

  it("says paused and canceling", () => {
    const cancel: FactBody = { kind: "cancel_requested", by: "api", reason: "enough" };
    const paused = view(["a"], begun, { kind: "run_paused", by: "api" });
    expect(paused).toMatchObject({ paused: true, progress: { phase: "paused" } });
    expect(
      view(["a"], begun, { kind: "run_paused", by: "api" }, { kind: "run_unpaused", by: "api" }).paused,
    ).toBe(false);
    const canceling = view(["a"], begun, cancel, { ...cancel, by: "another" });
    expect(canceling.cancelRequested).toEqual({ by: "api", reason: "enough" });
    expect(canceling.progress.phase).toBe("canceling");
  });

  it("keeps approvals with their answers, and withdraws open ones at the end of the run", () => {
    const ask = (id: string): FactBody => ({
      kind: "approval_requested",
      step: "a",
      approval: { id, title: id, details: null, risk: "low", expiresAt: null },
    });
    const shown = view(
      ["a"],
      begun,
      ask("one"),
      ask("two"),
      ask("three"),
      { kind: "approval_answered", approval: "one", answer: "denied", by: "ann", comment: "no" },
      { kind: "approval_expired", approval: "two" },
      { kind: "approval_expired", approval: "unknown" },
      { kind: "run_completed", output: null },
    );
    expect(shown.approvals.map((one) => [one.id, one.status, one.answeredBy, one.answeredAt])).toEqual([
      ["one", "denied", "ann", 6_000],
      ["two", "expired", null, 7_000],
      ["three", "withdrawn", null, null],
    ]);
  });

  it("keeps artifacts, children and notes", () => {
    const artifact = { id: "d", name: "d", kind: "diff", mediaType: "text/plain", bytes: 1, sha256: "00" };
    const shown = view(
      ["a"],
      begun,
      { kind: "artifact_saved", step: "a", artifact },
      { kind: "child_started", step: "a", key: "k", run: "run_c", workflow: "w" },
      { kind: "child_ended", run: "run_c", status: "completed", output: null, failure: null },
      { kind: "child_ended", run: "run_x", status: "completed", output: null, failure: null },
      { kind: "noted", step: "a", name: "turn_finished", data: {} },
    );
    expect(shown.artifacts).toEqual([{ ...artifact, step: "a", savedAt: 3_000 }]);
    expect(shown.children).toEqual([{ run: "run_c", workflow: "w", step: "a", status: "completed" }]);
    expect(shown.steps[0]?.lastNote).toEqual({ name: "turn_finished", at: 7_000 });
  });

  it("names the files that tools, agents and commits say they changed, each once, sorted, within a bound", () => {
    const recorded = (value: Json): FactBody => ({
      kind: "effect_recorded",
      step: "a",
      attempt: 1,
      key: "k",
      requestHash: "h",
      result: { ok: true, value },
      label: "",
      ms: 1,
    });
    const shown = view(
      ["a", "b", "c"],
      begun,
      recorded({ changed: ["z.ts", 7, "a.ts"] }),
      recorded("text"),
      succeeded("a", { files_modified: ["a.ts", "m.ts"] }),
      succeeded("b", { commit: "c0ffee", files: ["n.ts"] }),
      succeeded("c", { files: ["only-listed.ts"] }),
    );
    expect(shown.changedFiles).toEqual(["a.ts", "m.ts", "n.ts", "z.ts"]);
    const many = Array.from({ length: LIMITS.viewFiles + 1 }, (_, index) => `${index}.ts`);
    expect(view(["a"], begun, recorded({ changed: many })).changedFiles.length).toBe(LIMITS.viewFiles);
  });

  it("sums what model calls used, by model and stage, with failed calls and unknown prices", () => {
    const usage = { input: 10, cacheRead: 1, cacheWrite: 2, output: 3, reasoning: 4 };
    const record = { provider: "p", model: "m", stage: "execute", usage, costMicros: 5 };
    const recorded = (value: Json): FactBody => ({
      kind: "effect_recorded",
      step: "a",
      attempt: 1,
      key: "k",
      requestHash: "h",
      result: { ok: true, value },
      label: "",
      ms: 1,
    });
    const failed: FactBody = {
      ...(recorded(null) as Extract<FactBody, { kind: "effect_recorded" }>),
      result: { ok: false, failure: { ...boom, details: { record: { ...record, costMicros: null } } } },
    };
    const shown = view(
      ["a"],
      begun,
      recorded({ record }),
      failed,
      recorded({ record: { usage: {} } }),
      recorded({ record: {} }),
      recorded("a tool's output"),
    );
    expect(shown.usage.byModel).toEqual([
      {
        model: "p/m",
        stage: "execute",
        calls: 2,
        usage: { input: 20, cacheRead: 2, cacheWrite: 4, output: 6, reasoning: 8 },
        costMicros: 5,
        unpricedCalls: 1,
      },
      {
        model: "unknown/unknown",
        stage: "unknown",
        calls: 1,
        usage: { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
        costMicros: 0,
        unpricedCalls: 1,
      },
    ]);
    expect(shown.usage).toMatchObject({ calls: 3, costMicros: 5, unpricedCalls: 2, usage: { input: 20 } });
  });

  it("keeps the latest events that say something, long ones cut, and passes over facts seen before", () => {
    const state = startView([]);
    const notes = Array.from(
      { length: LIMITS.viewEvents + 3 },
      (_, index): FactBody => ({ kind: "noted", step: "a", name: `${index}`, data: {} }),
    );
    const facts = journal(queued, begun, ...notes, {
      kind: "run_failed",
      failure: failure("internal", "x".repeat(9_999)),
    });
    growView(state, facts.slice(0, 5));
    growView(state, facts);
    const shown = showView(state, 0);
    expect(shown?.lastEvents.length).toBe(LIMITS.viewEvents);
    expect(shown?.lastEvents.at(-2)).toMatchObject({
      text: `a: ${LIMITS.viewEvents + 2}`,
      step: "a",
      kind: "noted",
    });
    expect(shown?.lastEvents.at(-1)?.text.length).toBeLessThan(500);
    expect(shown?.lastSeq).toBe(facts.length);
  });
});

describe("a fact in words", () => {
  const approval = { id: "apr", title: "Push?", details: null, risk: "high", expiresAt: null } as const;
  const wait = (on: Json) =>
    ({ kind: "step_waiting", step: "a", attempt: 1, waits: [on] }) as unknown as FactBody;
  const result = { ok: true, value: 1 } as const;
  const effect = { step: "a", attempt: 1, key: "k", requestHash: "h" };
  it.each<[FactBody, string | null]>([
    [queued, "queued: test"],
    [begun, "started"],
    [{ kind: "run_resumed_by", worker: "w2" }, "taken over by w2"],
    [{ kind: "run_paused", by: "api" }, "paused by api"],
    [{ kind: "run_unpaused", by: "api" }, "resumed by api"],
    [{ kind: "cancel_requested", by: "api", reason: "stop" }, "cancel asked by api: stop"],
    [{ kind: "run_completed", output: 1 }, "completed"],
    [{ kind: "run_failed", failure: boom }, "failed: boom"],
    [{ kind: "run_canceled", reason: "stop" }, "canceled: stop"],
    [{ kind: "signal_received", id: "1", name: "go", body: 1, from: "api" }, "signal go from api"],
    [{ kind: "message_sent", step: "a", to: "run_b", name: "hi", id: "1", body: 1 }, "a sent hi to run_b"],
    [{ kind: "approval_requested", step: "a", approval }, "a asks: Push?"],
    [
      { kind: "approval_answered", approval: "apr", answer: "approved", by: "ann", comment: "" },
      "approved by ann",
    ],
    [{ kind: "approval_expired", approval: "apr" }, "approval apr expired"],
    [{ kind: "child_started", step: "a", key: "k", run: "run_c", workflow: "w" }, "a started run run_c of w"],
    [{ kind: "child_ended", run: "run_c", status: "failed", output: 1, failure: null }, "run run_c failed"],
    [
      {
        kind: "artifact_saved",
        step: "a",
        artifact: { id: "d", name: "d.patch", kind: "diff", mediaType: "t", bytes: 1, sha256: "0" },
      },
      "a saved d.patch",
    ],
    [{ kind: "noted", step: "a", name: "turn", data: {} }, "a: turn"],
    [{ kind: "effect_intended", ...effect, effect: "pure", idempotencyKey: "i", label: "l" }, null],
    [{ kind: "effect_recorded", ...effect, result, label: "l", ms: 1 }, null],
    [
      { kind: "effect_uncertain", step: "a", attempt: 1, key: "k", approval: "apr" },
      "a: nobody knows whether k happened; a person is asked",
    ],
    [started("a"), "a started"],
    [started("a", 2), "a started, attempt 2"],
    [{ kind: "step_expanded", step: "a", items: [1, 2] }, "a has 2 items"],
    [wait({ key: "k", on: "signal", name: "go", until: null }), "a waits for signal:go"],
    [wait({ key: "k", on: "timer", until: 1 }), "a waits for timer"],
    [{ kind: "step_woken", step: "a", attempt: 1, key: "k", by: "timer", signal: null }, "a woken by timer"],
    [
      { kind: "step_retrying", step: "a", attempt: 1, failure: boom, nextAt: 1 },
      "a failed and is tried again: boom",
    ],
    [{ kind: "sla_breached", what: "start_by", byMs: 1_500 }, "missed its latest start by 1.5s"],
    [
      { kind: "retry_budget_exhausted", step: "a", attempt: 1, delayMs: null },
      "a is not tried again: too much fails at the moment",
    ],
    [
      { kind: "retry_budget_exhausted", step: "a", attempt: 1, delayMs: 2_000 },
      "a is tried again 2.0s later: too much fails at the moment",
    ],
    [succeeded("a"), "a succeeded"],
    [{ kind: "step_failed", step: "a", attempt: 1, failure: boom }, "a failed: boom"],
    [{ kind: "step_skipped", step: "a", reason: "r" }, "a skipped: r"],
    [{ kind: "step_canceled", step: "a", attempt: 1, reason: "r" }, "a canceled: r"],
  ])("%o", (body, text) => {
    expect(describeFact({ ...body, seq: 1, at: 1 })).toBe(text);
  });

  it("names what is waited for", () => {
    expect(describeWait({ key: "k", on: "child", run: "run_c", until: null })).toBe("run:run_c");
    expect(describeWait({ key: "k", on: "approval", approval: "apr_1", until: null })).toBe("approval:apr_1");
  });
});

describe("facts that only the engine reads", () => {
  it("change nothing that people see", () => {
    const shown = view(
      ["a"],
      begun,
      { kind: "run_resumed_by", worker: "w" },
      { kind: "signal_received", id: "1", name: "go", body: 1, from: "api" },
      { kind: "message_sent", step: "a", to: "run_b", name: "hi", id: "1", body: 1 },
      {
        kind: "effect_intended",
        step: "a",
        attempt: 1,
        key: "k",
        effect: "pure",
        requestHash: "h",
        idempotencyKey: "i",
        label: "l",
      },
      { kind: "effect_uncertain", step: "a", attempt: 1, key: "k", approval: "apr" },
    );
    expect(shown).toMatchObject({ status: "running", waiting: [], approvals: [], artifacts: [] });
    expect(shown.steps[0]?.status).toBe("pending");
  });
});
