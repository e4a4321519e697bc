import { describe, expect, it } from "vitest";
import type { RunRequest } from "../../domain/fact.ts";
import { FAIR_SHARE } from "../../domain/fair-share.ts";
import type { Admission } from "../run-store.ts";
import {
  admission,
  COMPLETED,
  childOf,
  commit,
  START,
  signal,
  type UnderTest,
  worker,
} from "./fixtures.suite.ts";
import { slot } from "./slots.suite.ts";

interface Caps {
  readonly queue?: number;
  readonly tenant?: number;
}

function capped(id: string, { queue, tenant }: Caps, over: Partial<RunRequest> = {}): Admission {
  return { ...admission(id, over), caps: { queue: queue ?? null, tenant: tenant ?? null } };
}

/** Who may come in, and whose turn it is then. */
export function admissionSuite(tested: UnderTest): void {
  capsSuite(tested);
  dropSuite(tested);
  shareSuite(tested);
  loadSuite(tested);
}

function capsSuite({ reader, store, take }: UnderTest): void {
  describe("caps", () => {
    it("bound what waits without having begun, by tenant, exactly, also within a batch", async () => {
      const answers = await store().admit(
        ["run_1", "run_2", "run_3"].map((id) => capped(id, { tenant: 2 }, { tenant: "a" })),
      );
      expect(answers).toMatchObject([
        { kind: "created" },
        { kind: "created" },
        {
          kind: "refused",
          failure: {
            code: "tenant_queue_full",
            retryable: true,
            details: { tenant: "a", queued: 2, cap: 2 },
          },
        },
      ]);
      expect(await store().admit([capped("run_4", { tenant: 1 }, { tenant: "b" })])).toMatchObject([
        { kind: "created" },
      ]);
      expect((await reader().load(START)).refused).toEqual({ queueFull: 0, tenantQueueFull: 1, conflict: 0 });
      await store().join(worker("w"));
      const [claim] = await take(1);
      // Claimed is not begun.
      expect(await store().admit([capped("run_3", { tenant: 2 }, { tenant: "a" })])).toMatchObject([
        { kind: "refused" },
      ]);
      await store().commit([commit(claim!, { started: true })]);
      expect(await store().admit([capped("run_3", { tenant: 2 }, { tenant: "a" })])).toMatchObject([
        { kind: "created" },
      ]);
    });

    it("bound the whole queue, and a repeat of what was admitted is no newcomer", async () => {
      await store().admit([capped("run_1", { queue: 1 })]);
      expect(
        await store().admit([capped("run_1", { queue: 1 }), capped("run_2", { queue: 1 })]),
      ).toMatchObject([
        { kind: "existing" },
        { kind: "refused", failure: { code: "queue_full", details: { queued: 1, cap: 1, priority: 2 } } },
      ]);
      expect((await reader().load(START)).refused.queueFull).toBe(1);
    });

    it("hold for many at the same moment", async () => {
      const many = Array.from({ length: 30 }, (_, n) =>
        capped(`run_${n}`, { queue: 20, tenant: 10 }, { tenant: `t${n % 3}` }),
      );
      const answers = (await Promise.all(many.map((one) => store().admit([one])))).flat();
      expect(answers.filter((answer) => answer.kind === "created")).toHaveLength(20);
      expect((await reader().load(START)).queued).toBe(20);
    });

    it("do not count for a run's own children", async () => {
      await store().join(worker("w"));
      await store().admit([admission("run_1")]);
      const [claim] = await take(1);
      const child = { ...childOf("run_1", "run_2"), caps: { queue: 0, tenant: 0 } };
      expect(await store().commit([commit(claim!, { children: [child] })])).toEqual([{ kind: "ok" }]);
    });
  });
}

function dropSuite({ allFacts, reader, statusOf, store, take }: UnderTest): void {
  describe("a full queue", () => {
    it("lets a more urgent run in for the newest of the least urgent class that has not begun", async () => {
      await store().admit([
        admission("run_1", { priority: 8 }),
        admission("run_2", { priority: 8 }),
        admission("run_3", { priority: 5 }),
      ]);
      expect(await store().admit([capped("run_4", { queue: 3 }, { priority: 1 })])).toEqual([
        { kind: "created", id: "run_4", dropped: ["run_2"] },
      ]);
      expect(await reader().run("run_2")).toMatchObject({
        status: "failed",
        failure: { code: "dropped_low_priority", details: { priority: 8, by: 1 } },
        endedAt: START,
      });
      expect(await allFacts("run_2")).toMatchObject([
        { kind: "run_queued" },
        { kind: "run_failed", seq: 2, failure: { code: "dropped_low_priority" } },
      ]);
      expect(await reader().load(START)).toMatchObject({ queued: 3, ready: 3, dropped: 1, serviceMs: null });
      expect(await store().post([signal("run_2", "s")])).toEqual(["run_ended"]);
    });

    it("refuses when nobody is less urgent, or all who are have begun or are in hand", async () => {
      await store().join(worker("w"));
      await store().admit([admission("run_1", { priority: 5 })]);
      const refused = { kind: "refused", failure: { code: "queue_full" } };
      expect(await store().admit([capped("run_2", { queue: 1 }, { priority: 5 })])).toMatchObject([refused]);
      const [claim] = await take(1);
      expect(await store().admit([capped("run_2", { queue: 1 }, { priority: 0 })])).toMatchObject([refused]);
      await store().commit([commit(claim!, { started: true, next: { kind: "yield" } })]);
      expect(await store().admit([capped("run_2", { queue: 1 }, { priority: 5 })])).toMatchObject([
        { kind: "created" },
      ]);
      expect(await statusOf("run_1")).toBe("running");
    });

    it("drops within one batch too, one for each newcomer", async () => {
      const batch = [
        capped("run_1", { queue: 2 }, { priority: 7 }),
        capped("run_2", { queue: 2 }, { priority: 7 }),
        capped("run_3", { queue: 2 }, { priority: 3 }),
        capped("run_4", { queue: 2 }, { priority: 3 }),
        capped("run_5", { queue: 2 }, { priority: 3 }),
      ];
      expect(await store().admit(batch)).toMatchObject([
        { kind: "created", id: "run_1" },
        { kind: "created", id: "run_2" },
        { kind: "created", dropped: ["run_2"] },
        { kind: "created", dropped: ["run_1"] },
        { kind: "refused", failure: { code: "queue_full" } },
      ]);
      expect(await reader().load(START)).toMatchObject({ queued: 2, ready: 2, dropped: 2 });
    });

    it("tells the parent of a child that gave way, and frees what it stood in line for", async () => {
      await store().join(worker("w"));
      await store().admit([admission("run_1"), admission("run_2", { slots: [slot("key:a")] })]);
      const [parent, holder] = await take(2);
      const child = childOf("run_1", "run_3", { priority: 9, slots: [slot("key:a")] });
      const rest = { kind: "rest", wakeAt: null, waitingFor: ["child"] } as const;
      await store().commit([commit(parent!, { children: [child], started: true, next: rest })]);
      await store().commit([commit(holder!, { started: true })]);
      expect(await take(10)).toEqual([]);
      expect((await reader().run("run_3"))?.waitingFor).toEqual(["slot:key:a"]);
      expect(await store().admit([capped("run_4", { queue: 1 }, { priority: 1 })])).toMatchObject([
        { dropped: ["run_3"] },
      ]);
      expect(await store().inbox([parent!.no])).toMatchObject([
        {
          kind: "child",
          name: "run_3",
          body: { status: "failed", failure: { code: "dropped_low_priority" } },
        },
      ]);
      expect((await take(10)).map((claim) => claim.run)).toEqual(["run_4", "run_1"]);
      expect(await reader().load(START)).toMatchObject({ parked: 0, ready: 0 });
    });
  });
}

function shareSuite({ reader, store, take }: UnderTest): void {
  const flood = (tenant: string, count: number, weight = 1): Admission[] =>
    Array.from({ length: count }, (_, n) => ({
      ...admission(`${tenant}_${n}`, { tenant }),
      weight,
    }));
  const tenantOf = (run: string) => run.split("_")[0];

  describe("fair share", () => {
    it("alternates between tenants, whoever came first and with how much", async () => {
      await store().join(worker("w"));
      await store().admit([...flood("a", 6), ...flood("b", 2), ...flood("c", 2)]);
      const order = (await take(10)).map((claim) => claim.run);
      expect(order).toEqual(["a_0", "b_0", "c_0", "a_1", "b_1", "c_1", "a_2", "a_3", "a_4", "a_5"]);
    });

    it("gives each its weight, within one run", async () => {
      await store().join(worker("w"));
      await store().admit([...flood("a", 60, 3), ...flood("b", 60, 2), ...flood("c", 60, 1)]);
      const first = (await take(60)).map((claim) => tenantOf(claim.run));
      const got = (tenant: string) => first.filter((one) => one === tenant).length;
      expect(Math.abs(got("a") - 30)).toBeLessThanOrEqual(1);
      expect(Math.abs(got("b") - 20)).toBeLessThanOrEqual(1);
      expect(Math.abs(got("c") - 10)).toBeLessThanOrEqual(1);
    });

    it("gives no credit to a tenant that was away, nor takes its turn from one that is back", async () => {
      await store().join(worker("w"));
      await store().admit(flood("a", 100));
      expect(await take(90)).toHaveLength(90);
      await store().admit(flood("b", 5));
      const order = (await take(15)).map((claim) => tenantOf(claim.run)).join("");
      expect(order).toBe("ababababab" + "aaaaa");
    });

    it("keeps classes apart: what was used up in one costs nothing in another", async () => {
      await store().join(worker("w"));
      await store().admit(flood("a", 20));
      await store().admit([
        admission("run_b", { tenant: "b", priority: 1 }),
        admission("run_a", { tenant: "a", priority: 1 }),
      ]);
      expect((await take(2)).map((claim) => claim.run)).toEqual(["run_b", "run_a"]);
    });

    it("a run that comes back keeps its place", async () => {
      await store().join(worker("w"));
      await store().admit(flood("a", 3));
      const [first] = await take(1);
      await store().admit(flood("b", 3));
      await store().commit([commit(first!, { next: { kind: "yield" } })]);
      expect((await take(3)).map((claim) => claim.run)).toEqual(["a_0", "a_1", "b_0"]);
    });

    it("takes weights beyond its bounds for the bounds", async () => {
      await store().join(worker("w"));
      await store().admit([...flood("a", 3, 0), ...flood("b", 3, FAIR_SHARE.mostWeight * 10)]);
      expect((await take(4)).map((claim) => claim.run)).toEqual(["b_0", "b_1", "b_2", "a_0"]);
      expect((await reader().load(START)).byTenant).toHaveLength(2);
    });
  });
}

function loadSuite({ clock, reader, store, take }: UnderTest): void {
  describe("load", () => {
    it("counts what waits by class and tenant, and who could take it", async () => {
      await store().join(worker("w", { slots: 3 }));
      await store().join(worker("b", { slots: 5 }));
      await store().admit([
        admission("run_1", { tenant: "a", priority: 4 }),
        admission("run_2", { tenant: "a", priority: 1 }),
        admission("run_3", { tenant: "b", priority: 1 }),
        admission("run_4", { tenant: "a", priority: 1 }),
      ]);
      expect(await reader().load(START)).toEqual({
        queued: 4,
        byClass: [
          { priority: 1, queued: 3 },
          { priority: 4, queued: 1 },
        ],
        byTenant: [
          { tenant: "a", priority: 1, queued: 2 },
          { tenant: "a", priority: 4, queued: 1 },
          { tenant: "b", priority: 1, queued: 1 },
        ],
        ready: 4,
        parked: 0,
        leased: 0,
        resting: 0,
        workers: 2,
        slots: 8,
        serviceMs: null,
        drainedPerSecond: 0,
        refused: { queueFull: 0, tenantQueueFull: 0, conflict: 0 },
        dropped: 0,
      });
    });

    it("knows how long runs are driven, without the time they rest", async () => {
      await store().join(worker("w"));
      await store().admit([admission("run_1"), admission("run_2")]);
      const [first, second] = await take(2);
      clock().advance(100);
      const rest = { kind: "rest", wakeAt: START + 5_000, waitingFor: [] } as const;
      await store().commit([
        commit(first!, { started: true, next: rest }),
        commit(second!, { started: true, next: COMPLETED }),
      ]);
      clock().advance(4_900);
      await store().wakeDue(clock().now(), 10);
      const [again] = await take(1);
      clock().advance(200);
      await store().commit([commit(again!, { next: COMPLETED })]);
      const now = clock().now();
      const { serviceMs, drainedPerSecond } = await reader().load(now);
      // (100 + 100 + 200) ms for two runs; the earlier ones fade a little.
      expect(serviceMs).toBeGreaterThan(195);
      expect(serviceMs).toBeLessThan(210);
      expect(drainedPerSecond).toBeGreaterThan(0.02);
      expect((await reader().load(now + 600_000)).drainedPerSecond).toBeLessThan(0.001);
      expect((await reader().load(now + 600_000)).serviceMs).toBeCloseTo(serviceMs ?? 0, 6);
    });

    it("finds the run of an idempotency key", async () => {
      await store().admit([
        { ...admission("run_1", { tenant: "a" }), idempotency: { key: "k", bodyHash: "h" } },
      ]);
      expect(await reader().byIdempotencyKey("a", "k")).toEqual({ id: "run_1", bodyHash: "h" });
      expect(await reader().byIdempotencyKey("b", "k")).toBeNull();
      expect(await reader().byIdempotencyKey("a", "other")).toBeNull();
    });

    it("prunes what ended before, oldest first, and frees its names", async () => {
      await store().join(worker("w"));
      const keyed = {
        ...admission("run_1", { slots: [slot("key:a")] }),
        idempotency: { key: "k", bodyHash: "h" },
      };
      await store().admit([keyed, admission("run_2"), admission("run_3")]);
      for (const claim of await take(2)) {
        clock().advance(10);
        await store().commit([commit(claim, { next: COMPLETED })]);
      }
      expect(await store().prune(START + 10, 10)).toBe(0);
      expect(await store().prune(START + 1_000, 1)).toBe(1);
      expect(await reader().run("run_1")).toBeNull();
      expect(await reader().run("run_2")).not.toBeNull();
      expect(await store().prune(START + 1_000, 10)).toBe(1);
      expect(await store().prune(START + 1_000, 10)).toBe(0);
      expect(await reader().byIdempotencyKey("default", "k")).toBeNull();
      expect(await store().admit([keyed])).toEqual([{ kind: "created", id: "run_1" }]);
      expect((await reader().counts()).byStatus).toMatchObject({ queued: 2, completed: 0 });
    });
  });
}
