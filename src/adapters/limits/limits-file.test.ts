import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type AdmissionRules, DEFAULT_RULES, tenantRules } from "../../domain/admission-rules.ts";
import { parseLimits } from "./limits-file.ts";

function read(source: string): AdmissionRules {
  const parsed = parseLimits(source, "limits.yaml");
  if (!parsed.ok) throw new Error(parsed.failure.message);
  return parsed.value;
}

describe("a limits file", () => {
  it("of nothing changes nothing", () => {
    for (const source of ["", "# only a comment\n", "{}"]) expect(read(source)).toEqual(DEFAULT_RULES);
  });

  it("says classes, caps, tenants and retries; the example of the docs is one", () => {
    const rules = read(readFileSync(new URL("../../../examples/limits.yaml", import.meta.url), "utf8"));
    expect(rules.classes[0]).toEqual({
      name: "urgent",
      priority: 0,
      startByMs: 30_000,
      deadlineMs: null,
      targetMs: 300_000,
    });
    expect(rules.classes.map(({ name }) => name)).toEqual(["urgent", "high", "normal", "low", "batch"]);
    expect(rules.anyTenant).toEqual({
      weight: 1,
      maxQueued: 5_000,
      maxRunning: 32,
      rate: { count: 600, perMs: 60_000, burst: 100 },
      principalRate: { count: 60, perMs: 60_000, burst: 10 },
    });
    expect(tenantRules(rules, "acme")).toMatchObject({ weight: 3, maxRunning: 64, maxQueued: 5_000 });
    expect(tenantRules(rules, "nightly")).toMatchObject({ weight: 0.5, rate: null, maxRunning: 32 });
    expect(rules.retryBudget).toEqual({ share: 0.2, floor: 10 });
  });

  it("orders classes by priority, and takes rates in each unit", () => {
    const rules = read(
      "classes: { slow: { priority: 8 }, fast: { priority: 1, deadline: 1h30m } }\ndefault_class: fast\ndefault: { rate: 5/s, principal_rate: 9/h burst 2 }",
    );
    expect(rules.classes.map(({ name, deadlineMs }) => [name, deadlineMs])).toEqual([
      ["fast", 5_400_000],
      ["slow", null],
    ]);
    expect(rules.anyTenant.rate).toEqual({ count: 5, perMs: 1_000, burst: 5 });
    expect(rules.anyTenant.principalRate).toEqual({ count: 9, perMs: 3_600_000, burst: 2 });
  });

  const WRONG: readonly (readonly [string, string, string])[] = [
    ["text that is no YAML", "classes: [", "limits.yaml:1:11: "],
    ["a list", "- a", "limits.yaml:1:1: the file is a map"],
    [
      "an unknown key",
      "queue:\n  max_queue: 1",
      'limits.yaml:2:3: queue.max_queue: unknown key "max_queue"; did you mean "max_queued"?',
    ],
    [
      "an unknown key far from any",
      "quotas: 1",
      'limits.yaml:1:1: quotas: unknown key "quotas"; the keys are classes,',
    ],
    [
      "a priority out of range",
      "classes:\n  a: { priority: 10 }",
      "limits.yaml:2:18: classes.a.priority: expected a whole number from 0 to 9",
    ],
    [
      "a class without priority",
      "classes:\n  a: { target: 5s }",
      "limits.yaml:2:6: classes.a.priority: expected a whole number",
    ],
    [
      "a span of nothing",
      "classes: { a: { priority: 1, target: 0s } }",
      '1:38: classes.a.target: is "0s"; expected a duration',
    ],
    [
      "a rate in words",
      "default: { rate: many }",
      '1:18: default.rate: is "many"; expected a rate such as "60/min"',
    ],
    ["a rate of none", "default: { rate: 0/s }", 'is "0/s"; expected a rate'],
    [
      "a weight of nothing",
      "tenants: { a: { weight: 0 } }",
      "tenants.a.weight: expected a number from 0.01 to 1000",
    ],
    [
      "two classes of one priority",
      "classes:\n  normal: { priority: 1 }\n  b: { priority: 1 }",
      '3:18: classes.b.priority: 1 is the priority of class "normal" already',
    ],
    [
      "a default that is no class",
      "default_class: gold",
      'limits.yaml:1:16: default_class: default_class is "gold", which is not a class; expected one of urgent, high',
    ],
    [
      "classes without the default one",
      "classes: { a: { priority: 1 } }",
      'classes: default_class is "normal", which is not a class; expected one of a',
    ],
    ["no class at all", "classes: {}", "there is no class"],
    [
      "a class with a bad name",
      "classes: { normal: { priority: 5 }, 9x: { priority: 1 } }",
      '"9x" is no name of a class',
    ],
    [
      "a tenant with a bad name",
      'tenants: { "a b": {} }',
      'limits.yaml:1:12: tenants.a b: "a b" is no name of a tenant',
    ],
    [
      "a share of retries beyond reason",
      "retry_budget: { share: 99 }",
      "retry_budget.share: expected a number from 0 to 10",
    ],
    [
      "aliases without end",
      `a: &a [1]\nb: &b [${"*a,".repeat(30)}]\nc: [${"*b,".repeat(30)}]`,
      "limits.yaml:1:1: ",
    ],
  ];

  it.each(WRONG)("refuses %s, with its place", (_what, source, said) => {
    const parsed = parseLimits(source, "limits.yaml");
    if (parsed.ok) throw new Error("it was taken");
    expect(parsed.failure.code).toBe("invalid_limits");
    expect(parsed.failure.message).toContain(said);
  });

  it("refuses one that is too large, and tells no more mistakes than anybody corrects at once", () => {
    const large = parseLimits(`# ${"x".repeat(1_100_000)}`, "limits.yaml");
    expect(large.ok ? "" : large.failure.message).toContain("more than 1048576 bytes");
    const many = Array.from({ length: 50 }, (_, n) => `  t${n}: { weight: 0 }`).join("\n");
    const parsed = parseLimits(`tenants:\n${many}`, "limits.yaml");
    expect(parsed.ok ? 0 : parsed.failure.message.split("\n").length).toBe(10);
  });
});
