import { describe, expect, it } from "vitest";
import { METRICS, type MetricSpec } from "./metrics.ts";

describe("what operators are told in figures", () => {
  const all = Object.entries<MetricSpec>(METRICS);

  it.each(all)("%s has a name and labels that Prometheus takes, and says what it is", (name, spec) => {
    expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
    expect(new Set(spec.labels).size).toBe(spec.labels.length);
    for (const label of spec.labels) expect(label).toMatch(/^[a-z][a-z0-9_]*$/);
    expect(spec.help).toMatch(/\.$/);
    // By Prometheus's own custom: what only grows ends in `_total`, what is a time in `_seconds`.
    expect(name.endsWith("_total")).toBe(spec.kind === "counter");
    if (spec.kind === "histogram") expect(name).toMatch(/_seconds$/);
  });

  it("counts times in buckets that grow", () => {
    for (const [, { buckets = [] }] of all) expect([...buckets].sort((a, b) => a - b)).toEqual(buckets);
  });
});
