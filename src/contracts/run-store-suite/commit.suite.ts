import { describe, expect, it } from "vitest";
import {
  admission,
  COMPLETED,
  commit,
  facts,
  held,
  request,
  START,
  started,
  succeeded,
  type UnderTest,
  worker,
} from "./fixtures.suite.ts";

/** What a commit writes, and what it refuses. */
export function commitSuite(tested: UnderTest): void {
  const { allFacts, reader, statusOf, store, take } = tested;

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
      await store().commit([commit(claim, { facts: facts(2, [started("a"), started("b"), started("c")]) })]);
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
      const [now] = await take(1);
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
        const claims = await take(3);
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
}
