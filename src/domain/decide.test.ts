// Long because every rule of the graph stands beside its neighbours: what one allows, the next must not forbid.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fold } from "./evolve.ts";
import { hasStepEnded } from "./run.ts";
import { Bench, step, workflow } from "./testing.suite.ts";
import type { OnFailure, StepSpec } from "./workflow.ts";

describe("a chain", () => {
  it("starts each step when the one before has succeeded, and completes with its outputs", () => {
    const run = new Bench(
      workflow([step("a"), step("b", { needs: ["a"], with: { from: "${{ steps.a.outputs.x }}" } })], {
        outputs: { answer: "steps.b.outputs" },
      }),
    );
    expect(run.go()).toEqual(["a"]);
    expect(run.succeed("a", { x: 7 })).toEqual(["b"]);
    expect(run.active.get("b")?.input).toEqual({ from: 7 });
    expect(run.succeed("b", 42)).toEqual([]);
    expect(run.last.end).toEqual({ status: "completed", output: { answer: 42 }, failure: null });
    expect(run.story()).toEqual([
      "run_queued",
      "run_started",
      "step_started a",
      "step_succeeded a",
      "step_started b",
      "step_succeeded b",
      "run_completed",
    ]);
  });

  it("says the end again when it is asked after the end", () => {
    const run = new Bench(workflow([step("a")]));
    run.go();
    run.succeed("a");
    expect(run.go()).toEqual([]);
    expect(run.last.end?.status).toBe("completed");
  });

  it("performs an interrupted step again in the same attempt", () => {
    const run = new Bench(workflow([step("a", { with: { n: 1 } })]));
    run.go();
    run.crash(fold);
    expect(run.go()).toEqual(["a"]);
    expect(run.active.get("a")).toEqual({ step: "a", attempt: 1, input: { n: 1 }, deadlineAt: null });
  });

  it("fails the run when an output cannot be evaluated", () => {
    const run = new Bench(workflow([step("a")], { outputs: { x: "steps.a.nothing" } }));
    run.go();
    run.succeed("a");
    expect(run.last.end?.failure).toMatchObject({ code: "expression_failed" });
  });
});

describe("parallel steps", () => {
  it("starts no more than the workflow allows", () => {
    const run = new Bench(workflow([step("a"), step("b"), step("c")], { maxParallel: 2 }));
    expect(run.go()).toEqual(["a", "b"]);
    expect(run.last.rest).toBeNull();
    expect(run.succeed("a")).toEqual(["c"]);
  });
});

describe("failure", () => {
  it("skips what needs the failed step, lets independent steps go on, and fails the run with the step's reason", () => {
    const run = new Bench(workflow([step("a"), step("b", { needs: ["a"] }), step("c")]));
    run.go();
    run.fail("a", "gates_failed");
    expect(run.status("b")).toBe("skipped");
    expect(run.last.end).toBeNull();
    run.succeed("c");
    expect(run.last.end?.failure).toMatchObject({ code: "gates_failed", message: 'step "a": a broke' });
  });

  it("runs steps that ask for failure() or always(), and skips those that ask for failure() when all is well", () => {
    const flow = workflow([
      step("a"),
      step("mend", { needs: ["a"], if: "failure()" }),
      step("report", { needs: ["a"], if: "always()" }),
    ]);
    const bad = new Bench(flow);
    bad.go();
    expect(bad.fail("a")).toEqual(["mend", "report"]);
    const good = new Bench(flow);
    good.go();
    expect(good.succeed("a")).toEqual(["report"]);
    expect(good.status("mend")).toBe("skipped");
  });

  it("goes on after a tolerated failure", () => {
    const run = new Bench(
      workflow([step("a", { onFailure: { kind: "continue" } }), step("b", { needs: ["a"] })]),
    );
    run.go();
    expect(run.fail("a")).toEqual(["b"]);
    run.succeed("b");
    expect(run.last.end?.status).toBe("completed");
  });

  it("is handled when the named step succeeds, and not when that fails too", () => {
    const onFailure: OnFailure = { kind: "run", step: "undo" };
    const flow = workflow([step("a", { onFailure }), step("b", { needs: ["a"] }), step("undo")]);
    const handled = new Bench(flow);
    expect(handled.go()).toEqual(["a"]);
    expect(handled.fail("a")).toEqual(["undo"]);
    handled.succeed("undo");
    expect(handled.last.end?.status).toBe("completed");
    expect(handled.status("b")).toBe("skipped");
    const unhandled = new Bench(flow);
    unhandled.go();
    unhandled.fail("a");
    unhandled.fail("undo");
    expect(unhandled.last.end?.failure?.message).toContain('step "a"');
    const fine = new Bench(flow);
    fine.go();
    fine.succeed("a");
    expect(fine.status("undo")).toBe("skipped");
  });
});

describe("conditions and arguments", () => {
  it.each([
    [step("a", { if: "inputs.no" }), "skipped", "no no in"],
    [step("a", { if: "7" }), "failed", "must be true or false"],
    [step("a", { with: { x: "${{ inputs.nope }}" } }), "failed", "with.x"],
    [step("a", { foreach: { items: "7", maxParallel: 1, failFast: false } }), "failed", "expected a list"],
    [step("a", { foreach: { items: "inputs.no", maxParallel: 1, failFast: false } }), "failed", "no no in"],
    [step("a", { if: "false" }), "skipped", "its condition is false"],
  ] as [StepSpec, string, string][])("%j ends as %s", (spec, status, words) => {
    const run = new Bench(workflow([spec]));
    expect(run.go()).toEqual([]);
    expect(run.status("a")).toBe(
      status === "skipped" && words !== "its condition is false" ? "failed" : status,
    );
    expect(JSON.stringify(run.facts)).toContain(words);
  });

  it("refuses a foreach over too many items", () => {
    const run = new Bench(
      workflow([step("a", { foreach: { items: "inputs", maxParallel: 1, failFast: false } })]),
      {
        inputs: Array.from({ length: 10_001 }, () => 0),
      },
    );
    run.go();
    expect(run.status("a")).toBe("failed");
  });

  it("does not evaluate the condition of a step whose need failed", () => {
    const run = new Bench(workflow([step("a"), step("b", { needs: ["a"], if: "inputs.nothing" })]));
    run.go();
    run.fail("a");
    expect(run.status("b")).toBe("skipped");
  });
});

describe("foreach", () => {
  const foreach = { items: "[10, 20, 30]", maxParallel: 2, failFast: false };
  const spec = step("a", { foreach, with: { at: "${{ index }}", of: "${{ item }}" } });

  it("runs an instance per item within its own limit and gathers the outputs in order", () => {
    const run = new Bench(
      workflow([spec, step("b", { needs: ["a"], with: { all: "${{ steps.a.outputs }}" } })]),
    );
    expect(run.go()).toEqual(["a#0", "a#1"]);
    expect(run.active.get("a#1")?.input).toEqual({ at: 1, of: 20 });
    expect(run.succeed("a#1", "second")).toEqual(["a#2"]);
    run.succeed("a#2", "third");
    expect(run.succeed("a#0", "first")).toEqual(["b"]);
    expect(run.active.get("b")?.input).toEqual({ all: ["first", "second", "third"] });
  });

  it("fails with its first failed instance once all have ended, or at once when it fails fast", () => {
    const patient = new Bench(workflow([spec]));
    patient.go();
    patient.fail("a#0");
    patient.succeed("a#1");
    expect(patient.last.end).toBeNull();
    patient.succeed("a#2");
    expect(patient.last.end?.failure?.message).toContain("a#0: a#0 broke");
    const hasty = new Bench(workflow([{ ...spec, foreach: { ...foreach, failFast: true } }]));
    hasty.go();
    expect(hasty.fail("a#0")).toEqual([]);
    hasty.succeed("a#1");
    expect(hasty.last.end?.status).toBe("failed");
    expect(hasty.status("a#2")).toBe("pending");
  });

  it("succeeds at once with no items", () => {
    const run = new Bench(workflow([step("a", { foreach: { ...foreach, items: "[]" } })]));
    run.go();
    expect(run.last.end?.status).toBe("completed");
  });

  it("fails an instance whose arguments cannot be evaluated", () => {
    const run = new Bench(workflow([step("a", { foreach, with: { x: "${{ item.name }}" } })]));
    run.go();
    expect(run.last.end?.failure?.code).toBe("expression_failed");
  });

  it("is cut off by a cancel after its instances", () => {
    const run = new Bench(workflow([spec]));
    run.go();
    run.add([{ kind: "cancel_requested", by: "test", reason: "enough" }]);
    run.go();
    expect(run.last.abort).toEqual(["a#0", "a#1"]);
    run.end("a#0", { kind: "canceled", reason: "enough" });
    run.end("a#1", { kind: "canceled", reason: "enough" });
    run.go();
    expect(run.status("a")).toBe("canceled");
    expect(run.last.end?.status).toBe("canceled");
  });
});

describe("retry", () => {
  const retry = { maxAttempts: 3, backoff: { initialMs: 100, factor: 2, maxMs: 1_000 } };

  it("waits with full jitter, starts the next attempt with the same input, and gives up after the last", () => {
    const run = new Bench(workflow([step("a", { retry, with: { n: 1 }, timeoutMs: 500 })]));
    run.go();
    run.fail("a", "model_overloaded", true);
    expect(run.last.rest).toEqual({ wakeAt: 1_050, waitingFor: ["retry"] });
    run.now = 1_050;
    expect(run.go()).toEqual(["a"]);
    expect(run.active.get("a")).toEqual({ step: "a", attempt: 2, input: { n: 1 }, deadlineAt: 1_550 });
    run.fail("a", "model_overloaded", true);
    expect(run.last.rest?.wakeAt).toBe(1_150);
    run.now = 1_150;
    run.go();
    run.fail("a", "model_overloaded", true);
    expect(run.last.end?.status).toBe("failed");
  });

  it("does not retry what is not retryable, unless the step names the code", () => {
    const plain = new Bench(workflow([step("a", { retry })]));
    plain.go();
    plain.fail("a");
    expect(plain.last.end?.status).toBe("failed");
    const named = new Bench(workflow([step("a", { retry: { ...retry, retryable: ["tool_failed"] } })]));
    named.go();
    named.fail("a");
    expect(named.last.rest?.waitingFor).toEqual(["retry"]);
  });

  it("waits for room when the run is at its limit", () => {
    const run = new Bench(workflow([step("a", { retry }), step("b"), step("c")], { maxParallel: 1 }));
    expect(run.go()).toEqual(["a"]);
    expect(run.fail("a", "x", true)).toEqual(["b"]);
    run.now = 5_000;
    expect(run.go()).toEqual([]);
    expect(run.succeed("b")).toEqual(["a"]);
  });
});

describe("waiting", () => {
  it("gives a signal to one wait only, the oldest first", () => {
    const run = new Bench(workflow([step("a"), step("b")]));
    run.go();
    for (const id of ["a", "b"]) {
      run.end(id, { kind: "waiting", waits: [{ key: "k", on: "signal", name: "go", until: null }] });
    }
    run.go();
    expect(run.last.rest?.waitingFor).toEqual(["signal:go"]);
    run.add([{ kind: "signal_received", id: "s1", name: "go", body: 1, from: "test" }]);
    expect(run.go()).toEqual(["a"]);
    run.add([{ kind: "signal_received", id: "s2", name: "go", body: 2, from: "test" }]);
    expect(run.go()).toEqual(["b"]);
    expect(run.state.signals.map((signal) => signal.takenBy)).toEqual(["a/k", "b/k"]);
  });

  it("takes a signal that came before the wait", () => {
    const run = new Bench(workflow([step("a")]));
    run.go();
    run.add([{ kind: "signal_received", id: "s1", name: "go", body: 1, from: "test" }]);
    run.end("a", { kind: "waiting", waits: [{ key: "k", on: "signal", name: "go", until: null }] });
    expect(run.go()).toEqual(["a"]);
    expect(run.state.steps.get("a")?.resolved.get("k")).toEqual({ by: "signal", signal: "s1" });
  });

  it("ends a timer, a timeout, a child and an approval each by its own name", () => {
    const run = new Bench(workflow([step("t"), step("s"), step("c"), step("p"), step("x")]));
    run.go();
    const ask = { id: "apr_1", title: "?", details: null, risk: "low" as const, expiresAt: null };
    run.add([
      { kind: "child_started", step: "c", key: "k", run: "run_2", workflow: "w" },
      { kind: "approval_requested", step: "p", approval: ask },
      { kind: "approval_requested", step: "x", approval: { ...ask, id: "apr_2", expiresAt: 1_500 } },
    ]);
    run.end("t", { kind: "waiting", waits: [{ key: "k", on: "timer", until: 2_000 }] });
    run.end("s", { kind: "waiting", waits: [{ key: "k", on: "signal", name: "never", until: 1_800 }] });
    run.end("c", { kind: "waiting", waits: [{ key: "k", on: "child", run: "run_2", until: null }] });
    run.end("p", { kind: "waiting", waits: [{ key: "k", on: "approval", approval: "apr_1", until: null }] });
    run.end("x", { kind: "waiting", waits: [{ key: "k", on: "approval", approval: "apr_2", until: 1_500 }] });
    run.go();
    expect(run.last.rest).toEqual({
      wakeAt: 1_500,
      waitingFor: ["timer", "signal:never", "run:run_2", "approval:apr_1", "approval:apr_2"],
    });
    run.now = 2_000;
    run.add([
      { kind: "child_ended", run: "run_2", status: "completed", output: 1, failure: null },
      { kind: "approval_answered", approval: "apr_1", answer: "denied", by: "ann", comment: "no" },
    ]);
    expect(run.go()).toEqual(["t", "s", "c", "p", "x"]);
    const how = (id: string) => run.state.steps.get(id)?.resolved.get("k")?.by;
    expect(["t", "s", "c", "p", "x"].map(how)).toEqual(["timer", "timeout", "child", "approval", "timeout"]);
    expect(run.state.approvals.get("apr_2")?.answer).toBe("expired");
    expect(run.state.approvals.get("apr_1")).toMatchObject({ answer: "denied", by: "ann", comment: "no" });
  });

  it("fails a step that waits past its timeout, and wakes no more than there is room for", () => {
    const late = new Bench(workflow([step("a", { timeoutMs: 100 })]));
    late.go();
    expect(late.active.get("a")?.deadlineAt).toBe(1_100);
    late.end("a", { kind: "waiting", waits: [{ key: "k", on: "timer", until: 9_000 }] });
    late.go();
    expect(late.last.rest?.wakeAt).toBe(1_100);
    late.now = 1_100;
    late.go();
    expect(late.last.end?.failure?.code).toBe("step_timeout");
    const full = new Bench(workflow([step("a"), step("b")], { maxParallel: 1 }));
    full.go();
    full.end("a", { kind: "waiting", waits: [{ key: "k", on: "timer", until: 2_000 }] });
    expect(full.go()).toEqual(["b"]);
    full.now = 2_000;
    expect(full.go()).toEqual([]);
  });
});

describe("pause", () => {
  it("lets what is under way end, starts nothing, and goes on when it is resumed", () => {
    const run = new Bench(workflow([step("a"), step("b", { needs: ["a"] })]), { deadlineAt: 9_000 });
    run.go();
    run.add([{ kind: "run_paused", by: "ann" }]);
    expect(run.succeed("a")).toEqual([]);
    expect(run.last.rest).toEqual({ wakeAt: 9_000, waitingFor: ["resume"] });
    run.add([{ kind: "run_unpaused", by: "ann" }]);
    expect(run.go()).toEqual(["b"]);
  });
});

describe("cancel and deadline", () => {
  it("cancels a queued run without starting it", () => {
    const run = new Bench(workflow([step("a")]));
    run.add([{ kind: "cancel_requested", by: "ann", reason: "changed my mind" }]);
    run.go();
    expect(run.last.end?.status).toBe("canceled");
    expect(run.story()).not.toContain("run_started");
    expect(run.state.status).toBe("canceled");
  });

  it("stops what runs, closes what waits, and does not retry", () => {
    const retry = { maxAttempts: 5, backoff: { initialMs: 1, factor: 1, maxMs: 1 } };
    const run = new Bench(workflow([step("a", { retry }), step("b"), step("c", { needs: ["a"] })]));
    run.go();
    run.end("b", { kind: "waiting", waits: [{ key: "k", on: "signal", name: "x", until: null }] });
    run.add([
      { kind: "cancel_requested", by: "ann", reason: "stop" },
      { kind: "cancel_requested", by: "bob", reason: "me too" },
    ]);
    run.go();
    expect(run.last.abort).toEqual(["a"]);
    expect(run.status("b")).toBe("canceled");
    run.end("a", { kind: "failed", failure: { code: "x", message: "m", retryable: true } });
    run.go();
    expect(run.status("a")).toBe("failed");
    expect(run.last.end).toMatchObject({ status: "canceled", failure: { message: "stop" } });
  });

  it("fails at its deadline and starts nothing after it", () => {
    const run = new Bench(workflow([step("a"), step("b", { needs: ["a"] })]), { deadlineAt: 2_000 });
    run.go();
    expect(run.last.wakeAt).toBe(2_000);
    run.now = 2_000;
    run.go();
    expect(run.last.abort).toEqual(["a"]);
    run.end("a", { kind: "canceled", reason: "late" });
    expect(run.go()).toEqual([]);
    expect(run.last.end?.failure?.code).toBe("deadline_exceeded");
  });

  it("completes when its last step ended in time, even if that is noticed late", () => {
    const run = new Bench(workflow([step("a")]), { deadlineAt: 2_000 });
    run.go();
    run.end("a", { kind: "succeeded", output: 1 });
    run.now = 3_000;
    run.go();
    expect(run.last.end?.status).toBe("completed");
  });
});

describe("promises", () => {
  const sla = (more: object = {}) => ({ class: "high", startBy: null, targetMs: null, ...more });
  const breaches = (run: Bench) =>
    run.facts.flatMap((fact) => (fact.kind === "sla_breached" ? [[fact.what, fact.byMs, fact.at]] : []));

  it("writes a missed deadline down once, before what follows from it", () => {
    const run = new Bench(workflow([step("a"), step("b", { needs: ["a"] })]), { deadlineAt: 2_000 });
    run.go();
    run.now = 2_100;
    run.go();
    run.now = 2_200;
    run.end("a", { kind: "canceled", reason: "late" });
    run.go();
    expect(breaches(run)).toEqual([["deadline", 100, 2_100]]);
    expect(run.story().slice(-4)).toEqual([
      "sla_breached",
      "step_canceled b",
      "step_canceled a",
      "run_failed",
    ]);
    expect(run.last.end?.failure?.message).toContain("within 1.0s");
  });

  it("a run that was not begun in time does nothing and fails", () => {
    const run = new Bench(workflow([step("a"), step("b")]), { sla: sla({ startBy: 1_500 }) });
    run.now = 1_500;
    expect(run.go()).toEqual([]);
    expect(run.last.end?.failure).toMatchObject({ code: "start_by_missed" });
    expect(run.story()).not.toContain("run_started");
    expect(run.status("a")).toBe("canceled");
    expect(breaches(run)).toEqual([["start_by", 0, 1_500]]);
  });

  it("a run that was begun in time is not held to it again", () => {
    const run = new Bench(workflow([step("a")]), { sla: sla({ startBy: 1_500 }) });
    expect(run.go()).toEqual(["a"]);
    expect(run.last.wakeAt).toBeNull();
    run.now = 9_000;
    run.succeed("a");
    expect(run.last.end?.status).toBe("completed");
    expect(breaches(run)).toEqual([]);
  });

  it("a missed target is said when its time comes, and changes nothing else", () => {
    const run = new Bench(workflow([step("a")]), { deadlineAt: 9_000, sla: sla({ targetMs: 500 }) });
    run.go();
    expect(run.last.wakeAt).toBe(1_500);
    run.now = 1_500;
    expect(run.go()).toEqual([]);
    expect(run.last.wakeAt).toBe(9_000);
    run.now = 2_000;
    run.succeed("a");
    expect(run.last.end?.status).toBe("completed");
    expect(breaches(run)).toEqual([["target", 0, 1_500]]);
  });

  it("a resting run wakes for its target", () => {
    const run = new Bench(workflow([step("a")]), { sla: sla({ targetMs: 500 }) });
    run.go();
    run.end("a", { kind: "waiting", waits: [{ key: "k", on: "signal", name: "x", until: null }] });
    run.go();
    expect(run.last.rest).toEqual({ wakeAt: 1_500, waitingFor: ["signal:x"] });
    run.now = 1_600;
    run.go();
    expect(run.last.rest).toEqual({ wakeAt: null, waitingFor: ["signal:x"] });
    expect(breaches(run)).toEqual([["target", 100, 1_600]]);
  });

  it("nobody is blamed for what somebody canceled", () => {
    const run = new Bench(workflow([step("a")]), { sla: sla({ startBy: 1_500, targetMs: 1 }) });
    run.add([{ kind: "cancel_requested", by: "ann", reason: "not needed" }]);
    run.now = 2_000;
    run.go();
    expect(run.last.end?.status).toBe("canceled");
    expect(breaches(run)).toEqual([]);
  });

  it("is remembered by the journal, each promise once", () => {
    const run = new Bench(workflow([step("a")]), { sla: sla({ targetMs: 500 }) });
    run.go();
    run.now = 5_000;
    run.go();
    run.crash(fold);
    run.go();
    expect(breaches(run)).toEqual([["target", 3_500, 5_000]]);
    expect(() => run.add([{ kind: "sla_breached", what: "target", byMs: 1 }])).toThrow("twice");
  });
});

describe("a step's own outputs", () => {
  it("are named by its mapping; a mapping that cannot be evaluated fails the step", () => {
    const good = new Bench(
      workflow([step("a", { outputs: { y: "result.x" } })], { outputs: { z: "steps.a.outputs.y" } }),
    );
    good.go();
    good.succeed("a", { x: 3 });
    expect(good.last.end?.output).toEqual({ z: 3 });
    const bad = new Bench(workflow([step("a", { outputs: { y: "result.nope" } })]));
    bad.go();
    bad.succeed("a", {});
    expect(bad.last.end?.failure?.code).toBe("expression_failed");
  });
});

describe("any graph, any outcomes, crashes anywhere", () => {
  const outcomes = fc.infiniteStream(
    fc.constantFrom("ok", "fail", "retry", "wait", "crash", "pause", "signal"),
  );
  const graph = fc.array(
    fc.record({
      needs: fc.array(fc.nat(9), { maxLength: 3 }),
      if: fc.constantFrom(undefined, "always()", "failure()", "false", "success()"),
      tolerant: fc.boolean(),
      attempts: fc.integer({ min: 1, max: 3 }),
      items: fc.option(fc.nat(3), { nil: null }),
    }),
    { minLength: 1, maxLength: 8 },
  );

  it("ends exactly once, every step exactly once, and never starts a step before its needs have ended", () => {
    fc.assert(
      fc.property(graph, outcomes, fc.nat(4), (nodes, chances, parallel) => {
        const flow = workflow(nodes.map(toStep), { maxParallel: parallel + 1 });
        const run = new Bench(flow);
        let signals = 0;
        for (let turn = 0; run.last.end === null && turn < 500; turn += 1) {
          run.go();
          if (run.last.end) break;
          const under = [...run.active.keys()];
          const chance = chances.next().value;
          const id = under[turn % Math.max(1, under.length)];
          if (chance === "crash") run.crash(fold);
          else if (chance === "pause" && !run.state.paused) run.add([{ kind: "run_paused", by: "p" }]);
          else if (id === undefined) {
            run.now += 5_000;
            if (run.state.paused) run.add([{ kind: "run_unpaused", by: "p" }]);
            signals += 1;
            run.add([{ kind: "signal_received", id: `s${signals}`, name: "go", body: null, from: "p" }]);
          } else if (chance === "fail" || chance === "retry") {
            run.end(id, {
              kind: "failed",
              failure: { code: "x", message: "x", retryable: chance === "retry" },
            });
          } else if (chance === "wait" && turn < 200) {
            run.end(id, {
              kind: "waiting",
              waits: [{ key: `k${turn}`, on: "signal", name: "go", until: null }],
            });
          } else run.end(id, { kind: "succeeded", output: turn });
        }
        expect(run.last.end).not.toBeNull();
        expect(
          flow.steps.every((one) => hasStepEnded(run.state.steps.get(one.id)?.status ?? "pending")),
        ).toBe(true);
        const begun = new Map<string, number>();
        const over = new Map<string, number>();
        for (const fact of run.facts) {
          if (fact.kind === "step_started" || fact.kind === "step_expanded")
            begun.set(fact.step, begun.get(fact.step) ?? fact.seq);
          if (/^step_(succeeded|failed|skipped|canceled)$/.test(fact.kind) && "step" in fact) {
            expect(over.has(fact.step)).toBe(false);
            over.set(fact.step, fact.seq);
          }
        }
        for (const one of flow.steps) {
          const at = begun.get(one.id);
          for (const need of one.needs) if (at !== undefined) expect(over.get(need)).toBeLessThan(at);
        }
        expect(run.facts.map((fact) => fact.seq)).toEqual(run.facts.map((_, index) => index + 1));
        expect(run.facts.filter((fact) => /^run_(completed|failed|canceled)$/.test(fact.kind))).toHaveLength(
          1,
        );
      }),
      { numRuns: 300 },
    );
  });

  function toStep(
    node: {
      needs: number[];
      if: string | undefined;
      tolerant: boolean;
      attempts: number;
      items: number | null;
    },
    at: number,
  ): StepSpec {
    const needs = [...new Set(node.needs.filter((need) => need < at))].map((need) => `s${need}`);
    const retry = { maxAttempts: node.attempts, backoff: { initialMs: 10, factor: 2, maxMs: 100 } };
    const foreach =
      node.items === null
        ? {}
        : {
            foreach: {
              items: JSON.stringify(Array(node.items).fill(0)),
              maxParallel: 2,
              failFast: node.tolerant,
            },
          };
    return step(`s${at}`, {
      needs,
      retry,
      onFailure: node.tolerant ? { kind: "continue" } : { kind: "fail" },
      ...(node.if === undefined ? {} : { if: node.if }),
      ...foreach,
    });
  }
});
