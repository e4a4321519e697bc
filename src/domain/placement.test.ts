import { describe, expect, it } from "vitest";
import type { Json } from "../base/json.ts";
import { LIMITS } from "./limits.ts";
import { placementOf } from "./placement.ts";
import type { Expressions } from "./workflow.ts";

/** `inputs.<name>` alone; anything else is wrong. */
const expressions: Expressions = {
  evaluate(expression, scope) {
    const [root, name = ""] = expression.split(".");
    if (root === "run") return { ok: true, value: scope.run.tenant };
    if (root !== "inputs") return { ok: false, message: `no ${expression}` };
    const value = (scope.inputs as Record<string, Json>)[name];
    return value === undefined ? { ok: true, value: null, absent: true } : { ok: true, value };
  },
  check: () => null,
  asksStatus: () => false,
};

const workflow = { name: "deploy" };
const place = (concurrency: object | undefined, inputs: Json = {}, runsOn?: readonly string[]) =>
  placementOf(
    {
      ...workflow,
      ...(concurrency === undefined
        ? {}
        : { concurrency: { key: null, limit: 1, onConflict: "queue" as const, ...concurrency } }),
      ...(runsOn === undefined ? {} : { runsOn }),
    },
    { inputs, tenant: "acme" },
    expressions,
  );

describe("placement", () => {
  it("is nothing unless the workflow says so", () => {
    expect(place(undefined)).toEqual({ ok: true, value: {} });
    expect(place(undefined, {}, [])).toEqual({ ok: true, value: {} });
  });

  it("carries labels and the workflow's own bound", () => {
    expect(place({ limit: 3 }, {}, ["gpu"])).toEqual({
      ok: true,
      value: {
        needs: ["gpu"],
        slots: [{ key: "workflow:deploy", limit: 3, hold: "lease", onConflict: "queue" }],
      },
    });
  });

  it("fills a key in, which is held until the run ends", () => {
    const key = "site/${{ inputs.site }}/${{ run.tenant }}";
    expect(place({ key, onConflict: "cancel_older" }, { site: "prod" })).toEqual({
      ok: true,
      value: { slots: [{ key: "key:site/prod/acme", limit: 1, hold: "run", onConflict: "cancel_older" }] },
    });
    expect(place({ key: "${{ inputs.n }}" }, { n: 7 })).toMatchObject({
      value: { slots: [{ key: "key:7" }] },
    });
  });

  it("refuses a key that cannot be told, is nothing or too much, and names it", () => {
    expect(place({ key: "${{ steps.a }}" })).toMatchObject({
      ok: false,
      failure: { code: "expression_failed", message: expect.stringContaining("no steps.a") },
    });
    for (const [key, inputs, shown] of [
      ["${{ inputs.none }}", {}, "gives nothing"],
      ["${{ inputs.a }}", { a: "  " }, 'gives ""'],
      ["${{ inputs.a }}", { a: "x".repeat(LIMITS.slotKeyChars + 1) }, "1 to 400 characters"],
    ] as const) {
      expect(place({ key }, inputs)).toMatchObject({
        ok: false,
        failure: { code: "invalid_input", message: expect.stringContaining(shown) },
      });
    }
  });
});
