import { describe, expect, it } from "vitest";
import { fold } from "./evolve.ts";
import { LIMITS } from "./limits.ts";
import { Bench, step, workflow } from "./testing.suite.ts";

function foreach(items: number, maxParallel: number, failFast = false) {
  return { items: JSON.stringify(Array.from({ length: items }, (_, n) => n)), maxParallel, failFast };
}

describe("advance", () => {
  it("settles although each move allows the next: a chain of skipped steps", () => {
    const chain = Array.from({ length: LIMITS.workflowSteps }, (_, n) =>
      step(`s${n}`, n === 0 ? { if: "false" } : { needs: [`s${n - 1}`] }),
    );
    const run = new Bench(workflow(chain));
    expect(run.go()).toEqual([]);
    expect(run.last.end?.status).toBe("completed");
    expect(run.status(`s${LIMITS.workflowSteps - 1}`)).toBe("skipped");
  });

  it("settles although no instance of a large foreach can be started", () => {
    const run = new Bench(
      workflow([step("a", { foreach: foreach(1_000, 1), with: { x: "${{ item.name }}" } })]),
    );
    expect(run.go()).toEqual([]);
    expect(run.last.end?.failure?.message).toContain("a#0: with.x");
    expect(run.facts.filter(({ kind }) => kind === "step_failed")).toHaveLength(1_001);
  });

  it("starts no further instance once one could not be started, when it fails fast", () => {
    const run = new Bench(
      workflow([step("a", { foreach: foreach(1_000, 4, true), with: { x: "${{ item.name }}" } })]),
    );
    run.go();
    expect(run.facts.filter(({ kind }) => kind === "step_failed")).toHaveLength(2);
  });

  it("refuses a foreach of more items than it may have", () => {
    const run = new Bench(workflow([step("a", { foreach: foreach(LIMITS.foreachItems + 1, 1) })]));
    run.go();
    expect(run.last.end?.failure?.message).toContain("10001 items are more than 10000");
  });

  it("drives the largest foreach there may be in time that grows with it, not with its square", () => {
    const flow = workflow([step("a", { foreach: foreach(LIMITS.foreachItems, 8) })], { maxParallel: 8 });
    const run = new Bench(flow);
    const begun = performance.now();
    run.go();
    while (run.last.end === null) {
      const [id] = run.active.keys();
      run.succeed(id as string, 1);
    }
    expect(fold(run.facts).status).toBe("completed");
    expect(run.facts).toHaveLength(2 * LIMITS.foreachItems + 5);
    // Quadratic work took half a minute here; linear work takes a tenth of a second.
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  it("says when the clock alone makes the next move, together with what it sets going", () => {
    const run = new Bench(workflow([step("a"), step("b"), step("c", { needs: ["b"] })]), {
      deadlineAt: 9_000,
    });
    run.go();
    run.end("a", { kind: "waiting", waits: [{ key: "k", on: "timer", until: 5_000 }] });
    expect(run.succeed("b")).toEqual(["c"]);
    expect(run.last).toMatchObject({ wakeAt: 5_000, rest: null, abort: [] });
  });

  it("rests a run that was paused before it began, and remembers that it began", () => {
    const run = new Bench(workflow([step("a")]));
    run.add([{ kind: "run_paused", by: "ann" }]);
    expect(run.go()).toEqual([]);
    expect(run.last.rest).toEqual({ wakeAt: null, waitingFor: ["resume"] });
    expect(run.state.status).toBe("running");
  });
});
