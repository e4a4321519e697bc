import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ancestors, checkGraph, type GraphIssue, topologicalOrder } from "./graph.ts";
import { LIMITS } from "./limits.ts";
import { NO_RETRY } from "./retry.ts";
import type { OnFailure, StepSpec } from "./workflow.ts";

interface Short {
  readonly needs?: readonly string[];
  readonly if?: string;
  /** The handler's id. */
  readonly handler?: string;
}

function step(id: string, short: Short = {}): StepSpec {
  const onFailure: OnFailure =
    short.handler === undefined ? { kind: "fail" } : { kind: "run", step: short.handler };
  const condition = short.if === undefined ? {} : { if: short.if };
  return { id, uses: "noop", with: {}, needs: short.needs ?? [], retry: NO_RETRY, onFailure, ...condition };
}
const options = { asksStatus: (expression: string) => /(success|failure|always)\(\)/.test(expression) };
const check = (...steps: readonly StepSpec[]) => checkGraph(steps, options);
const only = (issues: readonly GraphIssue[]): GraphIssue => {
  expect(issues).toHaveLength(1);
  return issues[0]!;
};

describe("checkGraph", () => {
  it("accepts a graph that can run", () => {
    const steps = [
      step("report", { needs: ["push", "cleanup"], if: "always()" }),
      step("build", { handler: "cleanup" }),
      step("push", { needs: ["build", "test"] }),
      step("test", { needs: ["build"] }),
      step("cleanup"),
    ];
    expect(check(...steps)).toEqual([]);
    expect(topologicalOrder(steps)).toEqual(["build", "test", "cleanup", "push", "report"]);
  });

  it("wants at least one step and not too many", () => {
    expect(only(check()).path).toEqual([]);
    const many = Array.from({ length: LIMITS.workflowSteps + 1 }, (_, i) => step(`s${i}`));
    expect(only(checkGraph(many, options)).expected).toBe(`at most ${LIMITS.workflowSteps} steps`);
  });

  it("names a second use of an id", () => {
    expect(only(check(step("a"), step("b"), step("a")))).toMatchObject({
      path: [2, "id"],
      message: "step id `a` is already taken by step 1",
    });
  });

  it("names unknown steps, with the names that would be right", () => {
    expect(only(check(step("a"), step("b", { needs: ["a", "x"] })))).toEqual({
      path: [1, "needs", 1],
      message: "there is no step `x`",
      expected: "the id of another step of this workflow",
      name: "x",
      candidates: ["a"],
    });
    expect(only(check(step("a", { handler: "x" }))).path).toEqual([0, "on_failure", "run"]);
  });

  it("refuses a step that waits for itself, and a need that is listed twice", () => {
    expect(only(check(step("a", { needs: ["a"] }))).message).toBe("step `a` needs itself");
    expect(only(check(step("a", { handler: "a" }))).message).toBe("step `a` handles itself");
    expect(only(check(step("a"), step("b", { needs: ["a", "a"] })))).toMatchObject({
      path: [1, "needs", 1],
      message: "`a` is already listed",
    });
  });

  it("names the circle", () => {
    const steps = [
      step("start"),
      step("a", { needs: ["start", "c"] }),
      step("b", { needs: ["a"] }),
      step("c", { needs: ["b"] }),
    ];
    expect(only(checkGraph(steps, options))).toMatchObject({
      path: [1, "needs", 1],
      message: "the steps wait for each other in a circle: a → c → b → a",
    });
    expect(topologicalOrder(steps)).toBeNull();
  });

  it("sees a circle through a handler", () => {
    expect(only(check(step("a", { needs: ["h"], handler: "h" }), step("h")))).toMatchObject({
      path: [0, "needs", 0],
      message: "the steps wait for each other in a circle: a → h → a",
    });
    expect(only(check(step("h", { handler: "g" }), step("g", { handler: "h" })))).toMatchObject({
      path: [1, "on_failure", "run"],
    });
  });

  it("finds what can never run", () => {
    const issues = check(
      step("off", { if: " false " }),
      step("next", { needs: ["off"] }),
      step("after", { needs: ["next"] }),
      step("report", { needs: ["after"], if: "always()" }),
    );
    expect(issues.map((issue) => [issue.path, issue.message])).toEqual([
      [[0, "if"], "`off` can never run: its condition is always false"],
      [[1, "needs", 0], "`next` can never run: it needs `off`, which never runs"],
      [[2, "needs", 0], "`after` can never run: it needs `next`, which never runs"],
    ]);
  });

  it("finds a step that needs both another and its handler", () => {
    const build = step("build", { handler: "cleanup" });
    const both = [build, step("cleanup"), step("test", { needs: ["build"] })];
    expect(only(check(...both, step("end", { needs: ["test", "cleanup"] })))).toMatchObject({
      path: [3, "needs"],
      message:
        "`end` can never run: it needs both `build` and `cleanup`, which runs only when `build` has failed",
    });
    expect(check(...both, step("end", { needs: ["test", "cleanup"], if: "always()" }))).toEqual([]);
    expect(check(...both, step("end", { needs: ["cleanup"] }))).toEqual([]);
  });

  it("finds a handler that needs the step it handles", () => {
    const build = step("build", { handler: "cleanup" });
    const why = "`cleanup` can never run: it runs when `build` has failed, and needs that it has succeeded";
    expect(only(check(build, step("cleanup", { needs: ["build"] }))).message).toBe(why);
    const through = [build, step("test", { needs: ["build"] }), step("cleanup", { needs: ["test"] })];
    expect(only(check(...through)).message).toBe(why);
    expect(check(step("prepare"), build, step("cleanup", { needs: ["prepare"] }))).toEqual([]);
  });
});

describe("ancestors", () => {
  it("holds needs and handled steps, directly and through others", () => {
    const all = ancestors([
      step("a"),
      step("b", { needs: ["a"], handler: "h" }),
      step("h"),
      step("c", { needs: ["b", "a"] }),
    ]);
    expect([...(all.get("c") ?? [])].sort()).toEqual(["a", "b"]);
    expect([...(all.get("h") ?? [])].sort()).toEqual(["a", "b"]);
    expect(all.get("a")?.size).toBe(0);
  });

  it("takes names of steps that are not there as they come", () => {
    const all = ancestors([step("a", { needs: ["nowhere"], handler: "nobody" })]);
    expect([...(all.get("a") ?? [])]).toEqual(["nowhere"]);
  });
});

const graphs = fc.integer({ min: 1, max: 12 }).chain((size) =>
  fc.array(fc.tuple(fc.nat(size - 1), fc.nat(size - 1), fc.boolean()), { maxLength: 20 }).map((edges) =>
    Array.from({ length: size }, (_, index) => {
      const from = edges.filter(([source]) => source === index);
      const needs = [...new Set(from.filter(([, , handles]) => !handles).map(([, to]) => `s${to}`))];
      const handler = from.find(([, , handles]) => handles);
      return step(`s${index}`, handler === undefined ? { needs } : { needs, handler: `s${handler[1]}` });
    }),
  ),
);

describe("any graph", () => {
  it("has an order exactly when it has no circle, and the order respects every edge", () => {
    fc.assert(
      fc.property(graphs, (steps) => {
        const order = topologicalOrder(steps);
        const issues = checkGraph(steps, options);
        const selfish = issues.some((issue) => issue.message.includes("itself"));
        const circle = issues.some((issue) => issue.message.includes("circle"));
        expect(order === null).toBe(selfish || circle);
        for (const [id, before] of order === null ? [] : ancestors(steps)) {
          for (const other of before) expect(order!.indexOf(other)).toBeLessThan(order!.indexOf(id));
        }
      }),
    );
  });
});
