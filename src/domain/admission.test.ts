import { describe, expect, it } from "vitest";
import { decideAdmission, type Entry, estimateWait, type Load, withOneMore } from "./admission.ts";
import {
  type AdmissionRules,
  classNamed,
  classOf,
  DEFAULT_RULES,
  type TenantRules,
  tenantRules,
} from "./admission-rules.ts";

const NORMAL = 5;
const rulesOf = (
  more: Partial<Omit<AdmissionRules, "tenants">> & {
    readonly tenants?: Readonly<Record<string, Partial<TenantRules>>>;
  } = {},
): AdmissionRules => {
  const any = { ...DEFAULT_RULES.anyTenant, ...more.anyTenant };
  const tenants = Object.entries(more.tenants ?? {}).map(
    ([name, own]) => [name, { ...any, ...own }] as const,
  );
  return { ...DEFAULT_RULES, ...more, anyTenant: any, tenants: new Map(tenants) };
};

/** `rows` are tenant, priority, waiting. */
function loadOf(rows: readonly (readonly [string, number, number])[], more: Partial<Load> = {}): Load {
  const classes = new Map<number, number>();
  for (const [, priority, queued] of rows) classes.set(priority, (classes.get(priority) ?? 0) + queued);
  return {
    queued: rows.reduce((sum, [, , queued]) => sum + queued, 0),
    byTenant: rows.map(([tenant, priority, queued]) => ({ tenant, priority, queued })),
    byClass: [...classes].map(([priority, queued]) => ({ priority, queued })),
    leased: 4,
    slots: 4,
    serviceMs: 1_000,
    ...more,
  };
}

const entry = (more: Partial<Entry> = {}): Entry & { now: number } => ({
  tenant: "a",
  priority: NORMAL,
  startBy: null,
  deadlineAt: null,
  expectedMs: null,
  now: 100_000,
  ...more,
});

describe("the estimated wait", () => {
  it("is none while a slot is free for it", () => {
    expect(estimateWait(rulesOf(), loadOf([], { leased: 3 }), entry())).toBe(0);
    expect(estimateWait(rulesOf(), loadOf([["a", 5, 1]], { leased: 2, serviceMs: null }), entry())).toBe(0);
  });

  it("is what is ahead, times the service time, over the slots", () => {
    expect(estimateWait(rulesOf(), loadOf([]), entry())).toBe(250);
    expect(estimateWait(rulesOf(), loadOf([["a", 5, 39]]), entry())).toBe(10_000);
    expect(estimateWait(rulesOf(), loadOf([["a", 5, 39]], { leased: 0 }), entry())).toBe(9_000);
  });

  it("is unknown without a worker, and without a measured time", () => {
    expect(estimateWait(rulesOf(), loadOf([], { slots: 0 }), entry())).toBeNull();
    expect(estimateWait(rulesOf(), loadOf([], { serviceMs: null }), entry())).toBeNull();
  });

  it("counts more urgent classes, and not less urgent ones", () => {
    const load = loadOf([
      ["a", 0, 10],
      ["a", 5, 20],
      ["a", 9, 400],
    ]);
    expect(estimateWait(rulesOf(), load, entry())).toBe(31 * 250);
    expect(estimateWait(rulesOf(), load, entry({ priority: 0 }))).toBe(11 * 250);
    expect(estimateWait(rulesOf(), load, entry({ priority: 9 }))).toBe(431 * 250);
  });

  it("counts of other tenants only what fair share lets go before", () => {
    const load = loadOf([
      ["flood", 5, 10_000],
      ["a", 5, 3],
      ["small", 5, 1],
    ]);
    expect(estimateWait(rulesOf(), load, entry())).toBe((3 + 4 + 1 + 1) * 250);
    const weighted = rulesOf({ tenants: { a: { weight: 4 } } });
    expect(estimateWait(weighted, load, entry())).toBe((3 + 1 + 1 + 1) * 250);
    expect(estimateWait(rulesOf(), load, entry({ tenant: "new" }))).toBe((1 + 1 + 1 + 1) * 250);
  });

  it("counts the tenant's own cap of running runs", () => {
    const capped = rulesOf({ tenants: { a: { maxRunning: 1 } } });
    const load = loadOf([["a", 5, 5]], { leased: 1, slots: 100 });
    expect(estimateWait(capped, load, entry())).toBe(5_000);
    expect(estimateWait(rulesOf({ tenants: { a: { maxRunning: 100 } } }), load, entry())).toBe(0);
  });
});

describe("admission", () => {
  it("lets in what fits, and says how long it will wait", () => {
    expect(decideAdmission(rulesOf(), loadOf([]), entry())).toEqual({ kind: "admit", waitMs: 250 });
    const nobody = loadOf([], { slots: 0 });
    expect(decideAdmission(rulesOf(), nobody, entry({ startBy: 100_001 }))).toEqual({
      kind: "admit",
      waitMs: null,
    });
  });

  it("refuses a tenant over its cap, and says when there will be room", () => {
    const rules = rulesOf({ tenants: { a: { maxQueued: 8 } } });
    const load = loadOf([
      ["a", 5, 6],
      ["a", 9, 2],
      ["b", 5, 90],
    ]);
    const verdict = decideAdmission(rules, load, entry());
    expect(verdict).toMatchObject({
      kind: "refuse",
      scope: "tenant",
      failure: {
        code: "tenant_queue_full",
        message: 'Tenant "a" has 8 runs waiting; at most 8 may.',
        details: { scope: "tenant", tenant: "a", queued: 8, limit: 8, retry_after_ms: 1_000 },
      },
    });
    const slow = { ...load, serviceMs: 60_000 };
    const details = (of: typeof verdict) => (of.kind === "refuse" ? of.failure.details : null);
    // One of two equal tenants has two of four slots: a place a 30 s.
    expect(details(decideAdmission(rules, slow, entry()))).toMatchObject({ retry_after_ms: 30_000 });
    expect(details(decideAdmission(rules, { ...slow, slots: 0 }, entry()))).toMatchObject({
      retry_after_ms: 1_000,
    });
    expect(decideAdmission(rules, load, entry({ tenant: "b" })).kind).toBe("admit");
  });

  it("refuses when the queue is full, unless less urgent work can give way", () => {
    const rules = rulesOf({ maxQueued: 10 });
    const full = loadOf([["b", 5, 10]]);
    expect(decideAdmission(rules, full, entry())).toMatchObject({
      scope: "queue",
      failure: { code: "queue_full", details: { queued: 10, limit: 10, retry_after_ms: 1_000 } },
    });
    expect(decideAdmission(rules, full, entry({ priority: 9 })).kind).toBe("refuse");
    expect(decideAdmission(rules, full, entry({ priority: 2 })).kind).toBe("admit");
    const unknown = { ...full, serviceMs: null };
    expect(decideAdmission(rules, unknown, entry())).toMatchObject({
      failure: { details: { retry_after_ms: 1_000 } },
    });
    const emptied = { ...full, byClass: [{ priority: 9, queued: 0 }] };
    expect(decideAdmission(rules, emptied, entry()).kind).toBe("refuse");
  });

  it("refuses what would begin too late", () => {
    const load = loadOf([["a", 5, 39]]);
    expect(decideAdmission(rulesOf(), load, entry({ startBy: 110_001 })).kind).toBe("admit");
    expect(decideAdmission(rulesOf(), load, entry({ startBy: 105_000 }))).toMatchObject({
      scope: "deadline",
      failure: {
        code: "deadline_unmeetable",
        message: "start_by is in 5.0s, but the run would wait about 10.0s; it was not accepted.",
        details: { what: "start_by", estimated_wait_ms: 10_000, expected_ms: null, retry_after_ms: 5_001 },
      },
    });
  });

  it("refuses what would end too late, by what its workflow is known to take", () => {
    const load = loadOf([["a", 5, 39]]);
    const short = entry({ deadlineAt: 112_000 });
    expect(decideAdmission(rulesOf(), load, short).kind).toBe("admit");
    const verdict = decideAdmission(rulesOf(), load, { ...short, expectedMs: 3_000 });
    expect(verdict).toMatchObject({
      failure: {
        message: expect.stringContaining("would wait about 10.0s and takes 3.0s"),
        details: { what: "deadline", retry_after_ms: 1_001 },
      },
    });
    const both = entry({ deadlineAt: 101_000, startBy: 109_000 });
    expect(decideAdmission(rulesOf(), load, both)).toMatchObject({
      failure: {
        message: expect.stringMatching(/^deadline .* about 10\.0s; it/),
        details: { what: "deadline" },
      },
    });
    const past = entry({ startBy: 1_000 });
    expect(decideAdmission(rulesOf(), load, past)).toMatchObject({
      failure: { message: expect.stringContaining("in 0ms"), details: { retry_after_ms: 109_001 } },
    });
    const ages = { ...load, serviceMs: 1e9 };
    expect(decideAdmission(rulesOf(), ages, past)).toMatchObject({
      failure: { details: { retry_after_ms: 3_600_000 } },
    });
  });

  it("counts what the door let in since it last looked", () => {
    const one = withOneMore(loadOf([["a", 5, 1]]), entry());
    expect(one).toMatchObject({ queued: 2, byTenant: [{ queued: 2 }], byClass: [{ queued: 2 }] });
    const two = withOneMore(one, entry({ tenant: "b", priority: 0 }));
    expect(two.queued).toBe(3);
    expect(two.byTenant).toEqual([
      { tenant: "a", priority: 5, queued: 2 },
      { tenant: "b", priority: 0, queued: 1 },
    ]);
    expect(two.byClass).toContainEqual({ priority: 0, queued: 1 });
    expect(withOneMore(two, entry()).byTenant.map((row) => row.queued)).toEqual([3, 1]);
  });
});

describe("rules", () => {
  it("are a tenant's own, or everybody's", () => {
    const rules = rulesOf({ tenants: { a: { weight: 3 } } });
    expect(tenantRules(rules, "a").weight).toBe(3);
    expect(tenantRules(rules, "b").weight).toBe(1);
  });

  it("know classes by name and by priority", () => {
    expect(classNamed(DEFAULT_RULES, "batch")?.priority).toBe(9);
    expect(classNamed(DEFAULT_RULES, "nope")).toBeNull();
    const names = Array.from({ length: 10 }, (_, priority) => classOf(DEFAULT_RULES, priority));
    expect(names.join(" ")).toBe("urgent urgent high high high normal normal low low batch");
    const late = { ...DEFAULT_RULES, classes: DEFAULT_RULES.classes.slice(2) };
    expect(classOf(late, 0)).toBe("normal");
    expect(classOf({ ...DEFAULT_RULES, classes: [] }, 0)).toBe("normal");
  });
});
