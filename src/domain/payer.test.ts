import { expect, it } from "vitest";
import { lineageBelow, pathOf, payerOf } from "./payer.ts";

const request = { tenant: "acme", parent: null };

it("a run pays with its tenant, its user and the runs above it", () => {
  expect(payerOf("run_a", request)).toEqual({
    tenant: "acme",
    user: null,
    runs: [{ id: "run_a", budgetMicros: null }],
  });
  const lineage = lineageBelow("run_a", { ...request, budgetMicros: 5 });
  const child = {
    ...request,
    principal: "ann",
    parent: { run: "run_a", step: "s", depth: 1 },
    lineage,
    budgetMicros: 3,
  };
  const payer = payerOf("run_b", child);
  expect(payer).toEqual({
    tenant: "acme",
    user: "ann",
    runs: [
      { id: "run_a", budgetMicros: 5 },
      { id: "run_b", budgetMicros: 3 },
    ],
  });
  expect(pathOf(payer)).toBe("run_a/run_b");
  expect(lineageBelow("run_b", { ...child, lineage })).toHaveLength(2);
  expect(lineageBelow("run_a", request)).toEqual([{ run: "run_a", budgetMicros: null }]);
});

it("a run of an older journal knows its parent alone", () => {
  const parent = { run: "run_p", step: "s", depth: 3 };
  expect(payerOf("run_c", { ...request, parent }).runs).toEqual([
    { id: "run_p", budgetMicros: null },
    { id: "run_c", budgetMicros: null },
  ]);
});
