import { describe, expect, it } from "vitest";
import { LIMITS } from "../../domain/limits.ts";
import {
  admission,
  COMPLETED,
  childOf,
  commit,
  facts,
  held,
  request,
  START,
  signal,
  started,
  type UnderTest,
  worker,
} from "./fixtures.suite.ts";

/** Admission, the queue, rest, and who holds what. */
export function queueSuite(tested: UnderTest): void {
  const { allFacts, clock, reader, store, take, under } = tested;

  describe("admit", () => {
    it("keeps what was promised of the run", async () => {
      const sla = { class: "high", startBy: START + 5_000, targetMs: 60_000 };
      const asked = admission("run_1", { deadlineAt: START + 9_000, sla });
      expect(await store().admit([asked])).toEqual([{ kind: "created", id: "run_1" }]);
      expect(await reader().run("run_1")).toMatchObject({ deadlineAt: START + 9_000, sla });
      expect((await reader().runs({ filter: {}, after: null, limit: 9 }))[0]?.sla).toEqual(sla);
    });

    it("writes the run, its place in the queue and its first fact", async () => {
      expect(await store().admit([admission("run_1")])).toEqual([{ kind: "created", id: "run_1" }]);
      expect(await reader().run("run_1")).toEqual({
        id: "run_1",
        workflow: "fix",
        workflowHash: "a".repeat(64),
        status: "queued",
        paused: false,
        waitingFor: [],
        title: "Fix the build",
        tenant: "default",
        queue: "default",
        priority: 2,
        parent: null,
        createdAt: START,
        startedAt: null,
        endedAt: null,
        deadlineAt: null,
        sla: null,
        output: null,
        failure: null,
      });
      expect(await allFacts("run_1")).toEqual([
        { kind: "run_queued", request: request(), seq: 1, at: START },
      ]);
      expect(await reader().counts()).toMatchObject({ ready: 1, leased: 0, resting: 0 });
    });

    it("keeps how a request was routed, and tells it from another routing", async () => {
      const candidates = [{ kind: "workflow", name: "fix", score: 0.7, reasons: ["words: fix"] }] as const;
      const intent = {
        text: "Fix it",
        chosen: { kind: "workflow", name: "fix" },
        candidates,
        threshold: 0.3,
        by: "rules",
      } as const;
      await store().admit([admission("run_1", { intent })]);
      expect(await allFacts("run_1")).toEqual([
        { kind: "run_queued", request: request({ intent }), seq: 1, at: START },
      ]);
      expect(await store().admit([admission("run_1", { intent })])).toEqual([
        { kind: "existing", id: "run_1" },
      ]);
      const [other] = await store().admit([admission("run_1", { intent: { ...intent, by: "named" } })]);
      expect(other).toMatchObject({ kind: "refused", failure: { code: "conflict" } });
    });

    it("answers a repeat of the same id with the run that exists, and another request with a refusal", async () => {
      await store().admit([admission("run_1")]);
      expect(await store().admit([admission("run_1")])).toEqual([{ kind: "existing", id: "run_1" }]);
      const [other] = await store().admit([admission("run_1", { title: "Something else" })]);
      expect(other).toMatchObject({ kind: "refused", failure: { code: "conflict" } });
      expect((await reader().counts()).byStatus.queued).toBe(1);
    });

    it("knows an idempotency key again, by tenant, also within one batch", async () => {
      const keyed = (id: string, tenant: string, bodyHash: string) => ({
        ...admission(id, { tenant }),
        idempotency: { key: "k", bodyHash },
      });
      const answers = await store().admit([
        keyed("run_1", "a", "h1"),
        keyed("run_2", "a", "h1"),
        keyed("run_3", "a", "h2"),
        keyed("run_4", "b", "h2"),
      ]);
      expect(answers).toMatchObject([
        { kind: "created", id: "run_1" },
        { kind: "existing", id: "run_1" },
        { kind: "refused", failure: { code: "idempotency_conflict" } },
        { kind: "created", id: "run_4" },
      ]);
      expect(await reader().run("run_2")).toBeNull();
    });

    it("refuses a parent that is unknown or has ended", async () => {
      expect(await store().admit([childOf("run_0", "run_1")])).toMatchObject([
        { kind: "refused", failure: { code: "not_found" } },
      ]);
      const claim = await held(store(), "run_2");
      await store().commit([commit(claim, { next: COMPLETED })]);
      expect(await store().admit([childOf("run_2", "run_3")])).toMatchObject([
        { kind: "refused", failure: { code: "run_ended" } },
      ]);
    });

    it("keeps large inputs whole", async () => {
      const inputs = { text: "ä€😀\u0000".repeat(20_000), deep: [{ a: null }] };
      await store().admit([admission("run_1", { inputs }), admission("run_2", { inputs })]);
      expect(await allFacts("run_2")).toMatchObject([{ request: { inputs } }]);
    });

    it("answers an empty batch with nothing", async () => {
      expect(await store().admit([])).toEqual([]);
      expect(await store().commit([])).toEqual([]);
      expect(await store().post([])).toEqual([]);
    });
  });

  describe("claim", () => {
    it("gives the most urgent class first and the oldest first within it", async () => {
      await store().join(worker("w"));
      await store().admit([
        admission("run_1", { priority: 5 }),
        admission("run_2", { priority: 1, queue: "z" }),
        admission("run_3", { priority: 1, queue: "a" }),
        admission("run_4", { priority: 0 }),
      ]);
      const claims = await take(3);
      expect(claims.map((claim) => claim.run)).toEqual(["run_4", "run_2", "run_3"]);
      const [last] = await take(3);
      expect(last?.run).toBe("run_1");
      expect(await take(3)).toEqual([]);
      expect(await reader().counts()).toMatchObject({ ready: 0, leased: 4 });
    });

    it("gives tokens that only grow, over all runs", async () => {
      await store().join(worker("w"));
      await store().admit([admission("run_1"), admission("run_2")]);
      const first = await take(2);
      await store().commit(first.map((claim) => commit(claim, { next: { kind: "yield" } })));
      const second = await take(2);
      const tokens = [...first, ...second].map((claim) => claim.token);
      expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
      expect(tokens).toHaveLength(4);
    });

    it("gives nothing to a worker it does not know", async () => {
      await store().admit([admission("run_1")]);
      expect(await store().claim({ worker: "nobody", limit: 1 })).toBeNull();
      expect((await reader().counts()).ready).toBe(1);
    });

    it("gives a run to one worker only", async () => {
      await store().join(worker("a"));
      await store().join(worker("b"));
      await store().admit([admission("run_1")]);
      const both = await Promise.all(["a", "b"].map((id) => take(1, id)));
      expect(both.flat()).toHaveLength(1);
    });
  });

  describe("rest and wake", () => {
    it("rests until the time has come", async () => {
      const claim = await held(store());
      const next = { kind: "rest", wakeAt: START + 100, waitingFor: ["timer"] } as const;
      await store().commit([commit(claim, { next, started: true })]);
      expect((await reader().run("run_1"))?.waitingFor).toEqual(["timer"]);
      expect(await reader().counts()).toMatchObject({ resting: 1, ready: 0, leased: 0 });
      expect(await store().wakeDue(START + 99, 10)).toEqual({ woken: 0, nextAt: START + 100 });
      expect(await store().wakeDue(START + 100, 10)).toEqual({ woken: 1, nextAt: null });
      expect(await store().wakeDue(START + 100, 10)).toEqual({ woken: 0, nextAt: null });
      expect((await reader().run("run_1"))?.waitingFor).toEqual([]);
      expect(await take(1)).toHaveLength(1);
    });

    it("wakes no more than the limit, the longest due first", async () => {
      await store().join(worker("w"));
      await store().admit([admission("run_1"), admission("run_2"), admission("run_3")]);
      const claims = await take(3);
      const next = (index: number) =>
        ({ kind: "rest", wakeAt: START + 30 - index * 10, waitingFor: [] }) as const;
      await store().commit(claims.map((claim, index) => commit(claim, { next: next(index) })));
      expect(await store().wakeDue(START + 25, 1)).toEqual({ woken: 1, nextAt: START + 20 });
      expect((await take(3)).map((claim) => claim.run)).toEqual(["run_3"]);
    });

    it("is woken by a message, once", async () => {
      const claim = await held(store());
      await store().commit([
        commit(claim, { next: { kind: "rest", wakeAt: START + 5, waitingFor: ["signal:go"] } }),
      ]);
      expect(await store().post([signal("run_1", "s1"), signal("run_1", "s2")])).toEqual([
        "accepted",
        "accepted",
      ]);
      expect(await reader().counts()).toMatchObject({ resting: 0, ready: 1 });
      expect(await store().wakeDue(START + 5, 10)).toEqual({ woken: 0, nextAt: null });
    });

    it("does not rest on a message that came before", async () => {
      const claim = await held(store());
      await store().post([signal("run_1", "s1")]);
      const rest = { kind: "rest", wakeAt: null, waitingFor: ["signal:go"] } as const;
      await store().commit([commit(claim, { next: rest })]);
      expect(await reader().counts()).toMatchObject({ ready: 1, resting: 0 });
      const [again] = await take(1);
      await store().commit([commit(again!, { consumed: ["s1"], next: rest })]);
      expect(await reader().counts()).toMatchObject({ ready: 0, resting: 1 });
    });

    it("a run that comes back keeps its place before younger ones", async () => {
      const claim = await held(store());
      await store().admit([admission("run_2")]);
      await store().commit([commit(claim, { next: { kind: "yield" } })]);
      expect((await take(1))[0]?.run).toBe("run_1");
    });
  });

  describe("workers", () => {
    it("that leave give back what they hold", async () => {
      const claim = await held(store());
      await store().leave("w");
      expect(await reader().counts()).toMatchObject({ ready: 1, leased: 0, workers: 0 });
      expect(await store().commit([commit(claim)])).toEqual([{ kind: "fenced" }]);
      expect(await store().claim({ worker: "w", limit: 1 })).toBeNull();
      await store().leave("w");
    });

    it("that do not beat are left alone by a look at this host's processes only", async () => {
      await held(store());
      clock().advance(LIMITS.leaseTtlMs + 1);
      expect(await store().reap(clock().now(), "host")).toEqual([]);
      expect(await store().reap(clock().now(), "all")).toEqual(["run_1"]);
    });

    it("that do not beat are reaped, and their runs go to others under a higher token", async () => {
      const old = await held(store());
      await store().join(worker("b"));
      clock().advance(LIMITS.leaseTtlMs);
      expect(await under().beat("b")).toBe(true);
      expect(await store().reap(clock().now())).toEqual([]);
      clock().advance(1);
      expect(await store().reap(clock().now())).toEqual(["run_1"]);
      expect(await reader().counts()).toMatchObject({ ready: 1, leased: 0, workers: 1 });
      // The zombie: it claims nothing, writes nothing, and its beat says that it is dead.
      expect(await under().beat("w")).toBe(false);
      expect(await store().claim({ worker: "w", limit: 1 })).toBeNull();
      const late = commit(old, { facts: facts(2, [started("a")]) });
      expect(await store().commit([late])).toEqual([{ kind: "fenced" }]);
      const [taken] = await take(1, "b");
      expect(taken!.token).toBeGreaterThan(old.token);
      expect(await store().commit([late])).toEqual([{ kind: "fenced" }]);
      expect(await store().commit([{ ...late, claim: taken! }])).toEqual([{ kind: "ok" }]);
      expect(await store().reap(clock().now())).toEqual([]);
    });

    it("that come back are known again, without what they held", async () => {
      const old = await held(store());
      clock().advance(LIMITS.leaseTtlMs + 1);
      await store().reap(clock().now());
      await store().join(worker("w"));
      expect(await store().commit([commit(old)])).toEqual([{ kind: "fenced" }]);
      expect(await take(1)).toHaveLength(1);
    });

    it("join twice as once", async () => {
      const claim = await held(store());
      await store().join(worker("w"));
      expect((await reader().counts()).workers).toBe(1);
      expect(await store().commit([commit(claim)])).toEqual([{ kind: "ok" }]);
    });
  });
}
