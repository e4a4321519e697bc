import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planOf } from "./plan.ts";
import { step, workflow } from "./testing.suite.ts";

describe("planOf", () => {
  it("puts every step behind what it waits for, near and far", () => {
    const plan = planOf(
      workflow([step("c", { needs: ["b"] }), step("b", { needs: ["a"] }), step("a"), step("d")]),
    );
    expect(plan.steps.map(({ spec }) => spec.id)).toEqual(["a", "d", "b", "c"]);
    expect(plan.byId.get("c")).toMatchObject({ after: ["b"], ancestors: ["b", "a"], guards: [] });
  });

  it("lets a handler wait for all the steps that name it, each once", () => {
    const onFailure = { kind: "run", step: "mend" } as const;
    const plan = planOf(
      workflow([
        step("mend", { needs: ["a"], if: "failure()" }),
        step("a", { onFailure }),
        step("b", { onFailure }),
      ]),
    );
    expect(plan.byId.get("mend")).toMatchObject({ guards: ["a", "b"], after: ["a", "b"] });
    expect(plan.steps.at(-1)?.spec.id).toBe("mend");
  });

  it.each([
    [[step("a", { needs: ["b"] }), step("b", { needs: ["a"] }), step("c")]],
    [[step("a", { needs: ["b"], onFailure: { kind: "run", step: "b" } }), step("b")]],
    [[step("b", { needs: ["a"] })]],
  ])("never leaves out steps that cannot be reached: %#", (steps) => {
    expect(() => planOf(workflow(steps))).toThrow(/steps that wait for each other: .*b/);
  });

  it("is the same graph in whatever order the steps are written", () => {
    const needs = fc.array(fc.array(fc.nat(9), { maxLength: 3 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(needs, fc.func(fc.nat()), (rows, chance) => {
        const steps = rows.map((row, at) =>
          step(`s${at}`, { needs: [...new Set(row)].filter((need) => need < at).map((need) => `s${need}`) }),
        );
        const shuffled = steps.toSorted((a, b) => chance(a.id) - chance(b.id));
        const plan = planOf(workflow(shuffled));
        const places = new Map(plan.steps.map(({ spec }, place) => [spec.id, place]));
        expect(plan.steps).toHaveLength(steps.length);
        for (const one of plan.steps) {
          const place = places.get(one.spec.id) ?? Number.NaN;
          for (const id of one.ancestors) expect(places.get(id)).toBeLessThan(place);
          const far = one.after.flatMap((id) => [id, ...(plan.byId.get(id)?.ancestors ?? [])]);
          expect(new Set(one.ancestors)).toEqual(new Set(far));
        }
      }),
    );
  });
});
