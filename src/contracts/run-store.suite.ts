import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LIMITS } from "../domain/limits.ts";
import {
  admission,
  COMPLETED,
  childOf,
  commit,
  facts,
  held,
  type ManualClock,
  manualClock,
  request,
  START,
  type StoreMaker,
  type StoreUnderTest,
  signal,
  started,
  succeeded,
  worker,
} from "./run-store.fixtures.suite.ts";

/** What every run store does, in success and in refusal. */
export function runStoreSuite(maker: StoreMaker): void {
  describe(`run store: ${maker.name}`, () => {
    let clock: ManualClock;
    let under: StoreUnderTest;
    const store = () => under.store;
    const reader = () => under.reader;
    const statusOf = async (id: string) => (await reader().run(id))?.status;
    const allFacts = async (id: string) => reader().factsOf(id, { after: 0, limit: 1_000 });
    const page = { after: null, limit: 100 };

    beforeEach(async () => {
      clock = manualClock();
      under = await maker.open(clock);
    });
    afterEach(async () => under.close());

    describe("admit", () => {
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
          output: null,
          failure: null,
        });
        expect(await allFacts("run_1")).toEqual([
          { kind: "run_queued", request: request(), seq: 1, at: START },
        ]);
        expect(await reader().counts()).toMatchObject({ ready: 1, leased: 0, resting: 0 });
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
        const claims = await store().claim({ worker: "w", limit: 3 });
        expect(claims.map((claim) => claim.run)).toEqual(["run_4", "run_2", "run_3"]);
        const [last] = await store().claim({ worker: "w", limit: 3 });
        expect(last?.run).toBe("run_1");
        expect(await store().claim({ worker: "w", limit: 3 })).toEqual([]);
        expect(await reader().counts()).toMatchObject({ ready: 0, leased: 4 });
      });

      it("gives tokens that only grow, over all runs", async () => {
        await store().join(worker("w"));
        await store().admit([admission("run_1"), admission("run_2")]);
        const first = await store().claim({ worker: "w", limit: 2 });
        await store().commit(first.map((claim) => commit(claim, { next: { kind: "yield" } })));
        const second = await store().claim({ worker: "w", limit: 2 });
        const tokens = [...first, ...second].map((claim) => claim.token);
        expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
        expect(tokens).toHaveLength(4);
      });

      it("gives nothing to a worker it does not know", async () => {
        await store().admit([admission("run_1")]);
        expect(await store().claim({ worker: "nobody", limit: 1 })).toEqual([]);
        expect((await reader().counts()).ready).toBe(1);
      });

      it("gives a run to one worker only", async () => {
        await store().join(worker("a"));
        await store().join(worker("b"));
        await store().admit([admission("run_1")]);
        const both = await Promise.all(["a", "b"].map((id) => store().claim({ worker: id, limit: 1 })));
        expect(both.flat()).toHaveLength(1);
      });
    });

    describe("commit", () => {
      it("writes facts, the start and the end, and counts them", async () => {
        const claim = await held(store());
        const first = facts(2, [{ kind: "run_started", worker: "w" }, started("a")]);
        expect(await store().commit([commit(claim, { facts: first, started: true })])).toEqual([
          { kind: "ok" },
        ]);
        expect(await reader().run("run_1")).toMatchObject({ status: "running", startedAt: START + 3 });
        const last = facts(4, [succeeded("a"), { kind: "run_completed", output: { ok: true } }]);
        await store().commit([commit(claim, { facts: last, next: COMPLETED })]);
        expect(await reader().run("run_1")).toMatchObject({
          status: "completed",
          endedAt: START + 5,
          output: { ok: true },
          failure: null,
        });
        expect((await allFacts("run_1"))?.slice(1)).toEqual([...first, ...last]);
        expect(await reader().counts()).toEqual({
          byStatus: { queued: 0, running: 0, completed: 1, failed: 0, canceled: 0 },
          ready: 0,
          resting: 0,
          leased: 0,
          workers: 1,
        });
      });

      it("keeps the failure of a run, and a large output", async () => {
        const claim = await held(store());
        const failure = { code: "step_failed", message: "no", retryable: false, details: { step: "a" } };
        const output = { text: "x".repeat(100_000) };
        await store().commit([commit(claim, { next: { kind: "end", status: "failed", output, failure } })]);
        expect(await reader().run("run_1")).toMatchObject({ status: "failed", output, failure });
      });

      it("reads facts after a number and up to a limit", async () => {
        const claim = await held(store());
        await store().commit([
          commit(claim, { facts: facts(2, [started("a"), started("b"), started("c")]) }),
        ]);
        expect((await store().facts(claim.no, 2, 1)).map((fact) => fact.seq)).toEqual([3]);
        expect((await store().facts(claim.no, 0, 100)).map((fact) => fact.seq)).toEqual([1, 2, 3, 4]);
        expect(await store().facts(999, 0, 100)).toEqual([]);
        expect(await reader().factsOf("run_9", { after: 0, limit: 1 })).toBeNull();
      });

      it("sets and clears paused", async () => {
        const claim = await held(store());
        await store().commit([commit(claim, { paused: true })]);
        expect((await reader().run("run_1"))?.paused).toBe(true);
        await store().commit([commit(claim)]);
        expect((await reader().run("run_1"))?.paused).toBe(false);
      });

      it("fences a claim that is not the run's any more, and writes nothing of it", async () => {
        const old = await held(store());
        await store().commit([commit(old, { next: { kind: "yield" } })]);
        const late = commit(old, { facts: facts(2, [started("a")]), next: COMPLETED });
        expect(await store().commit([late])).toEqual([{ kind: "fenced" }]);
        const [now] = await store().claim({ worker: "w", limit: 1 });
        expect(await store().commit([late])).toEqual([{ kind: "fenced" }]);
        expect(await store().commit([commit(now!, { facts: facts(2, [started("a")]) })])).toEqual([
          { kind: "ok" },
        ]);
        expect(await allFacts("run_1")).toHaveLength(2);
        await store().commit([commit(now!, { next: COMPLETED })]);
        expect(await store().commit([commit(now!, { next: COMPLETED })])).toEqual([{ kind: "fenced" }]);
      });

      const poisons = {
        "a gap in seq": facts(3, [started("a")]),
        "a seq that is taken": facts(1, [started("a")]),
        "a second run_queued": facts(2, [{ kind: "run_queued", request: request() }]),
        "a step that ends twice": facts(2, [succeeded("a"), { kind: "step_skipped", step: "a", reason: "" }]),
        "a step that starts after its end": facts(2, [succeeded("a"), started("a", 2)]),
        "a step that waits after its end": facts(2, [
          succeeded("a"),
          { kind: "step_waiting", step: "a", attempt: 1, waits: [] },
        ]),
        "a fact after the run's end": facts(2, [{ kind: "run_completed", output: null }, started("a")]),
      } as const;
      for (const [name, poison] of Object.entries(poisons)) {
        it(`refuses ${name}, and its neighbours are written`, async () => {
          await store().join(worker("w"));
          await store().admit([admission("run_1"), admission("run_2"), admission("run_3")]);
          const claims = await store().claim({ worker: "w", limit: 3 });
          const batch = claims.map((claim, index) => {
            const own = index === 1 ? poison : facts(2, [started("a")]);
            return commit(claim, {
              facts: own,
              started: true,
              next: index === 0 ? { kind: "hold" } : COMPLETED,
            });
          });
          const answers = await store().commit(batch);
          expect(answers.map((answer) => answer.kind)).toEqual(["ok", "refused", "ok"]);
          expect(await allFacts("run_1")).toHaveLength(2);
          expect(await allFacts("run_2")).toHaveLength(1);
          expect(await statusOf("run_2")).toBe("queued");
          expect(await statusOf("run_3")).toBe("completed");
          // The refused run is still held, and goes on.
          expect(await store().commit([commit(claims[1]!, { facts: facts(2, [started("a")]) })])).toEqual([
            { kind: "ok" },
          ]);
          expect((await reader().counts()).byStatus).toMatchObject({ queued: 1, running: 1, completed: 1 });
        });
      }

      it("refuses a lone poisoned entry", async () => {
        const claim = await held(store());
        expect(await store().commit([commit(claim, { facts: facts(9, [started("a")]) })])).toMatchObject([
          { kind: "refused", failure: { code: "internal", retryable: false } },
        ]);
      });

      it("lets a step be tried again, and an instance of a foreach end by itself", async () => {
        const claim = await held(store());
        const failure = { code: "tool_failed", message: "", retryable: true };
        const retried = facts(2, [
          started("a"),
          { kind: "step_retrying", step: "a", attempt: 1, failure, nextAt: START },
          started("a", 2),
          succeeded("a#0"),
          succeeded("a#1"),
          succeeded("a", null, 2),
        ] as const);
        expect(await store().commit([commit(claim, { facts: retried })])).toEqual([{ kind: "ok" }]);
      });

      it("keeps a large output whole", async () => {
        const claim = await held(store());
        const output = "Zeile\n".repeat(50_000);
        await store().commit([
          commit(claim, { facts: facts(2, [succeeded("a", output), succeeded("b", output)]) }),
        ]);
        expect(await store().facts(claim.no, 1, 10)).toMatchObject([{ output }, { output }]);
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
        expect(await store().claim({ worker: "w", limit: 1 })).toHaveLength(1);
      });

      it("wakes no more than the limit, the longest due first", async () => {
        await store().join(worker("w"));
        await store().admit([admission("run_1"), admission("run_2"), admission("run_3")]);
        const claims = await store().claim({ worker: "w", limit: 3 });
        const next = (index: number) =>
          ({ kind: "rest", wakeAt: START + 30 - index * 10, waitingFor: [] }) as const;
        await store().commit(claims.map((claim, index) => commit(claim, { next: next(index) })));
        expect(await store().wakeDue(START + 25, 1)).toEqual({ woken: 1, nextAt: START + 20 });
        expect((await store().claim({ worker: "w", limit: 3 })).map((claim) => claim.run)).toEqual(["run_3"]);
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
        const [again] = await store().claim({ worker: "w", limit: 1 });
        await store().commit([commit(again!, { consumed: ["s1"], next: rest })]);
        expect(await reader().counts()).toMatchObject({ ready: 0, resting: 1 });
      });

      it("a run that comes back keeps its place before younger ones", async () => {
        const claim = await held(store());
        await store().admit([admission("run_2")]);
        await store().commit([commit(claim, { next: { kind: "yield" } })]);
        expect((await store().claim({ worker: "w", limit: 1 }))[0]?.run).toBe("run_1");
      });
    });

    describe("post and inbox", () => {
      it("keeps messages in order until they are consumed", async () => {
        const claim = await held(store());
        await store().post([
          signal("run_1", "s1"),
          signal("run_1", "s2", { kind: "message", from: "run:run_0" }),
        ]);
        const messages = await store().inbox([claim.no, 999]);
        expect(messages).toMatchObject([
          { ...signal("run_1", "s1"), no: claim.no },
          { id: "s2", kind: "message", from: "run:run_0" },
        ]);
        expect(messages[0]!.order).toBeLessThan(messages[1]!.order);
        await store().commit([commit(claim, { consumed: ["s1", "unknown"] })]);
        expect((await store().inbox([claim.no])).map((message) => message.id)).toEqual(["s2"]);
      });

      it("knows a repeat, also after it was consumed", async () => {
        const claim = await held(store());
        expect(await store().post([signal("run_1", "s1"), signal("run_1", "s1")])).toEqual([
          "accepted",
          "duplicate",
        ]);
        await store().commit([commit(claim, { consumed: ["s1"] })]);
        expect(await store().post([signal("run_1", "s1")])).toEqual(["duplicate"]);
        expect(await store().inbox([claim.no])).toEqual([]);
      });

      it("refuses what nobody can receive", async () => {
        const claim = await held(store());
        expect(await store().post([signal("run_0", "s1")])).toEqual(["unknown_run"]);
        await store().post([signal("run_1", "s0")]);
        await store().commit([commit(claim, { next: COMPLETED })]);
        expect(await store().post([signal("run_1", "s1"), signal("run_1", "s0")])).toEqual([
          "run_ended",
          "run_ended",
        ]);
        expect(await store().inbox([claim.no])).toEqual([]);
      });

      it("is full at its limit, but not for what the house itself has to say", async () => {
        const claim = await held(store());
        const many = Array.from({ length: LIMITS.inboxPerRun }, (_, i) => signal("run_1", `s${i}`));
        expect(new Set(await store().post(many))).toEqual(new Set(["accepted"]));
        expect(await store().post([signal("run_1", "more"), signal("run_1", "s1")])).toEqual([
          "inbox_full",
          "duplicate",
        ]);
        expect(await store().post([signal("run_1", "c", { kind: "cancel" })])).toEqual(["accepted"]);
        await store().commit([commit(claim, { consumed: ["s0", "s1"] })]);
        expect(await store().post([signal("run_1", "more")])).toEqual(["accepted"]);
      });

      it("moves a canceled run before all others, queued or at rest", async () => {
        await store().join(worker("w"));
        await store().admit([admission("run_1", { priority: 9 })]);
        const [first] = await store().claim({ worker: "w", limit: 1 });
        await store().commit([commit(first!, { next: { kind: "rest", wakeAt: null, waitingFor: [] } })]);
        await store().admit([admission("run_2", { priority: 0 }), admission("run_3", { priority: 9 })]);
        await store().post([
          signal("run_3", "c", { kind: "cancel" }),
          signal("run_1", "c", { kind: "cancel" }),
          signal("run_2", "s"),
        ]);
        const claims = await store().claim({ worker: "w", limit: 3 });
        expect(claims.map((claim) => claim.run)).toEqual(["run_1", "run_3", "run_2"]);
      });

      it("posts of a commit reach other runs with its facts", async () => {
        const claim = await held(store());
        await store().admit([admission("run_2")]);
        const poisoned = commit(claim, { facts: facts(7, [started("a")]), posts: [signal("run_2", "m")] });
        await store().commit([poisoned]);
        const [other] = await store().claim({ worker: "w", limit: 1 });
        expect(await store().inbox([other!.no])).toEqual([]);
        await store().commit([commit(claim, { posts: [signal("run_2", "m", { kind: "message" })] })]);
        expect(await store().inbox([other!.no])).toMatchObject([{ run: "run_2", id: "m", kind: "message" }]);
      });
    });

    describe("children", () => {
      it("are admitted with their parent's facts, or not at all", async () => {
        const claim = await held(store());
        const start = [
          { kind: "child_started", step: "fan", key: "0", run: "run_2", workflow: "fix" },
        ] as const;
        const wrong = commit(claim, {
          facts: facts(2, start),
          children: [childOf("run_1", "run_2"), admission("run_3")],
        });
        expect(await store().commit([wrong])).toMatchObject([
          { kind: "refused", failure: { code: "internal" } },
        ]);
        expect(await reader().run("run_2")).toBeNull();
        expect(await allFacts("run_1")).toHaveLength(1);
        const right = commit(claim, { facts: facts(2, start), children: [childOf("run_1", "run_2")] });
        expect(await store().commit([right])).toEqual([{ kind: "ok" }]);
        expect((await reader().run("run_2"))?.parent).toEqual({ run: "run_1", step: "fan" });
        expect((await store().claim({ worker: "w", limit: 5 })).map((child) => child.run)).toEqual(["run_2"]);
      });

      it("tell their parent of their end, and wake it", async () => {
        const claim = await held(store());
        const rest = { kind: "rest", wakeAt: null, waitingFor: ["child:run_2"] } as const;
        await store().commit([commit(claim, { children: [childOf("run_1", "run_2")], next: rest })]);
        const [child] = await store().claim({ worker: "w", limit: 1 });
        await store().commit([commit(child!, { facts: facts(2, [started("a")]), next: COMPLETED })]);
        const [parent] = await store().claim({ worker: "w", limit: 1 });
        expect(parent?.run).toBe("run_1");
        expect(await store().inbox([parent!.no])).toMatchObject([
          {
            run: "run_1",
            id: "child:run_2",
            kind: "child",
            name: "run_2",
            body: { run: "run_2", status: "completed", output: { ok: true }, failure: null },
            from: "run:run_2",
            at: START + 2,
          },
        ]);
      });

      it("that are open are asked to stop when their parent ends", async () => {
        const claim = await held(store());
        const children = ["run_2", "run_3", "run_4"].map((id) => childOf("run_1", id, { priority: 9 }));
        await store().commit([commit(claim, { children })]);
        const [two, three] = await store().claim({ worker: "w", limit: 2 });
        await store().commit([commit(two!, { next: COMPLETED })]);
        await store().commit([
          commit(claim, { next: { kind: "end", status: "canceled", output: null, failure: null } }),
        ]);
        expect(await store().inbox([three!.no])).toMatchObject([{ kind: "cancel", from: "run:run_1" }]);
        await store().admit([admission("run_5", { priority: 0 })]);
        const [four] = await store().claim({ worker: "w", limit: 1 });
        expect(four?.run).toBe("run_4");
        expect(await store().inbox([four!.no])).toMatchObject([{ kind: "cancel" }]);
        // The end of a child whose parent has ended is told to nobody.
        expect(await store().commit([commit(four!, { next: COMPLETED })])).toEqual([{ kind: "ok" }]);
      });

      it("parent and child of one batch: the child's end is not lost", async () => {
        const claim = await held(store());
        await store().commit([commit(claim, { children: [childOf("run_1", "run_2")] })]);
        const [child] = await store().claim({ worker: "w", limit: 1 });
        const rest = { kind: "rest", wakeAt: null, waitingFor: ["child:run_2"] } as const;
        await store().commit([commit(child!, { next: COMPLETED }), commit(claim, { next: rest })]);
        expect(await reader().counts()).toMatchObject({ ready: 1, resting: 0 });
      });
    });

    describe("approvals", () => {
      const ask = (id: string, expiresAt: number | null = null) => ({
        step: "push",
        request: { id, title: "Push?", details: { diff: "+1" }, risk: "high", expiresAt } as const,
      });
      const answer = (approval: string) =>
        ({ approval, answer: "approved", by: "ann", comment: "fine", at: START + 50 }) as const;

      it("are asked with the facts, answered once, and the answer is a message", async () => {
        const claim = await held(store());
        const next = { kind: "rest", wakeAt: null, waitingFor: ["approval:apr_1"] } as const;
        await store().commit([
          commit(claim, { facts: facts(2, [started("push")]), approvals: [ask("apr_1")], next }),
        ]);
        expect(await reader().approval("apr_1")).toEqual({
          ...ask("apr_1").request,
          run: "run_1",
          step: "push",
          status: "pending",
          requestedAt: START + 2,
          answeredAt: null,
          answeredBy: null,
          comment: null,
        });
        expect(await store().answerApproval(answer("apr_1"))).toBe("accepted");
        expect(await store().answerApproval({ ...answer("apr_1"), answer: "denied" })).toBe(
          "already_answered",
        );
        expect(await reader().approval("apr_1")).toMatchObject({
          status: "approved",
          answeredAt: START + 50,
          answeredBy: "ann",
          comment: "fine",
        });
        const [again] = await store().claim({ worker: "w", limit: 1 });
        expect(await store().inbox([again!.no])).toMatchObject([
          {
            kind: "approval",
            name: "apr_1",
            body: { answer: "approved", by: "ann", comment: "fine" },
            from: "ann",
            at: START + 50,
          },
        ]);
      });

      it("that nobody asked cannot be answered", async () => {
        expect(await store().answerApproval(answer("apr_0"))).toBe("not_found");
        expect(await reader().approval("apr_0")).toBeNull();
      });

      it("are closed by their run, unless they have their answer", async () => {
        const claim = await held(store());
        await store().commit([commit(claim, { approvals: [ask("apr_1"), ask("apr_2"), ask("apr_3")] })]);
        await store().answerApproval(answer("apr_2"));
        const closedApprovals = [
          { id: "apr_1", status: "expired" },
          { id: "apr_2", status: "withdrawn" },
        ] as const;
        expect(await store().commit([commit(claim, { closedApprovals })])).toEqual([{ kind: "ok" }]);
        expect(await store().answerApproval(answer("apr_1"))).toBe("already_answered");
        await store().commit([commit(claim, { next: COMPLETED })]);
        const all = await reader().approvals(page);
        expect(all.map((approval) => [approval.id, approval.status])).toEqual([
          ["apr_3", "withdrawn"],
          ["apr_2", "approved"],
          ["apr_1", "expired"],
        ]);
        expect(await store().answerApproval(answer("apr_3"))).toBe("already_answered");
      });

      it("with a name that is taken refuse their entry", async () => {
        const claim = await held(store());
        await store().commit([commit(claim, { approvals: [ask("apr_1")] })]);
        const again = commit(claim, { facts: facts(2, [started("a")]), approvals: [ask("apr_1")] });
        expect(await store().commit([again])).toMatchObject([{ kind: "refused" }]);
        expect(await allFacts("run_1")).toHaveLength(1);
      });

      it("are listed newest first, by page, status and run", async () => {
        const claim = await held(store());
        const other = await held(store(), "run_2");
        await store().commit([
          commit(claim, { approvals: [ask("apr_1"), ask("apr_2"), ask("apr_3")] }),
          commit(other, { approvals: [ask("apr_4")] }),
        ]);
        await store().answerApproval(answer("apr_2"));
        const ids = async (query: object) =>
          (await reader().approvals({ ...page, ...query })).map((approval) => approval.id);
        expect(await ids({})).toEqual(["apr_4", "apr_3", "apr_2", "apr_1"]);
        expect(await ids({ limit: 2 })).toEqual(["apr_4", "apr_3"]);
        expect(await ids({ after: "apr_3" })).toEqual(["apr_2", "apr_1"]);
        expect(await ids({ status: "pending" })).toEqual(["apr_4", "apr_3", "apr_1"]);
        expect(await ids({ run: "run_1" })).toEqual(["apr_3", "apr_2", "apr_1"]);
        expect(await ids({ run: "run_1", status: "approved" })).toEqual(["apr_2"]);
        expect(await ids({ run: "run_9" })).toEqual([]);
        expect(await ids({ after: "apr_9" })).toEqual([]);
      });
    });

    describe("workers", () => {
      it("that leave give back what they hold", async () => {
        const claim = await held(store());
        await store().leave("w");
        expect(await reader().counts()).toMatchObject({ ready: 1, leased: 0, workers: 0 });
        expect(await store().commit([commit(claim)])).toEqual([{ kind: "fenced" }]);
        expect(await store().claim({ worker: "w", limit: 1 })).toEqual([]);
        await store().leave("w");
      });

      it("that do not beat are reaped, and their runs go to others under a higher token", async () => {
        const old = await held(store());
        await store().join(worker("b"));
        clock.advance(LIMITS.leaseTtlMs);
        expect(under.beat("b")).toBe(true);
        expect(await store().reap(clock.now())).toEqual([]);
        clock.advance(1);
        expect(await store().reap(clock.now())).toEqual(["run_1"]);
        expect(await reader().counts()).toMatchObject({ ready: 1, leased: 0, workers: 1 });
        // The zombie: it claims nothing, writes nothing, and its beat says that it is dead.
        expect(under.beat("w")).toBe(false);
        expect(await store().claim({ worker: "w", limit: 1 })).toEqual([]);
        const late = commit(old, { facts: facts(2, [started("a")]) });
        expect(await store().commit([late])).toEqual([{ kind: "fenced" }]);
        const [taken] = await store().claim({ worker: "b", limit: 1 });
        expect(taken!.token).toBeGreaterThan(old.token);
        expect(await store().commit([late])).toEqual([{ kind: "fenced" }]);
        expect(await store().commit([{ ...late, claim: taken! }])).toEqual([{ kind: "ok" }]);
        expect(await store().reap(clock.now())).toEqual([]);
      });

      it("that come back are known again, without what they held", async () => {
        const old = await held(store());
        clock.advance(LIMITS.leaseTtlMs + 1);
        await store().reap(clock.now());
        await store().join(worker("w"));
        expect(await store().commit([commit(old)])).toEqual([{ kind: "fenced" }]);
        expect(await store().claim({ worker: "w", limit: 1 })).toHaveLength(1);
      });

      it("join twice as once", async () => {
        const claim = await held(store());
        await store().join(worker("w"));
        expect((await reader().counts()).workers).toBe(1);
        expect(await store().commit([commit(claim)])).toEqual([{ kind: "ok" }]);
      });
    });

    describe("hints", () => {
      it("tell what was written, and stop when nobody listens", async () => {
        const seen: string[] = [];
        const unwatch = store().watch((hint) =>
          seen.push("run" in hint ? `${hint.kind} ${hint.run}` : hint.kind),
        );
        const claim = await held(store());
        await store().commit([commit(claim, { facts: facts(2, [started("a")]) })]);
        await store().post([signal("run_1", "s")]);
        await Promise.resolve();
        expect(seen).toEqual(expect.arrayContaining(["ready", "facts run_1", "inbox run_1"]));
        unwatch();
        unwatch();
        const before = seen.length;
        await store().post([signal("run_1", "s2")]);
        await Promise.resolve();
        expect(seen).toHaveLength(before);
      });
    });

    describe("lists", () => {
      it("are newest first, by page and by filter", async () => {
        await store().join(worker("w"));
        await store().admit([
          admission("run_1", { tenant: "a" }),
          admission("run_2", { tenant: "b", workflow: { name: "other", version: "1", hash: "b" } }),
          admission("run_3", { tenant: "a" }),
          childOf("run_1", "run_4", { tenant: "a" }),
        ]);
        const [one, two] = await store().claim({ worker: "w", limit: 2 });
        await store().commit([commit(one!, { started: true }), commit(two!, { next: COMPLETED })]);
        const ids = async (filter: object, over: object = {}) =>
          (await reader().runs({ filter, ...page, ...over })).map((run) => run.id);
        expect(await ids({})).toEqual(["run_4", "run_3", "run_2", "run_1"]);
        expect(await ids({}, { limit: 2 })).toEqual(["run_4", "run_3"]);
        expect(await ids({}, { after: "run_3", limit: 1 })).toEqual(["run_2"]);
        expect(await ids({}, { after: "run_9" })).toEqual([]);
        expect(await ids({ status: ["queued"] })).toEqual(["run_4", "run_3"]);
        expect(await ids({ status: ["running", "completed", "running"] })).toEqual(["run_2", "run_1"]);
        expect(
          await ids({ status: ["queued", "running", "completed"] }, { after: "run_3", limit: 1 }),
        ).toEqual(["run_2"]);
        expect(await ids({ status: [] })).toEqual([]);
        expect(await ids({ tenant: "a" })).toEqual(["run_4", "run_3", "run_1"]);
        expect(await ids({ workflow: "other" })).toEqual(["run_2"]);
        expect(await ids({ parent: "run_1" })).toEqual(["run_4"]);
        expect(await ids({ tenant: "a", status: ["running"], workflow: "fix" })).toEqual(["run_1"]);
        expect(await reader().run("run_9")).toBeNull();
      });
    });
  });
}
