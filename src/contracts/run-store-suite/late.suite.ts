import { describe, expect, it } from "vitest";
import type { RunRequest } from "../../domain/fact.ts";
import { admission, COMPLETED, commit, facts, START, type UnderTest, worker } from "./fixtures.suite.ts";
import { slot } from "./slots.suite.ts";

const FAILED = {
  kind: "end",
  status: "failed",
  output: null,
  failure: { code: "start_by_missed", message: "late", retryable: false },
} as const;

/** Runs that wait although a promise about them is broken. */
export function lateSuite(tested: UnderTest): void {
  const { reader, store, take } = tested;
  const admit = (id: string, over: Partial<RunRequest>) => store().admit([admission(id, over)]);
  const by = (startBy: number | null) => ({ sla: { class: "normal", startBy, targetMs: null } });
  const late = async (now: number, limit = 10) =>
    (await store().claimLate({ worker: "late", now, limit }))?.map((claim) => claim.run) ?? null;
  const known = () => store().join(worker("late", { slots: 0 }));

  describe("claims of what is late", () => {
    it("take what has missed a promise while it waited, the longest overdue first, as many as asked", async () => {
      await known();
      await admit("run_1", { ...by(START + 300), deadlineAt: START + 5_000 });
      await admit("run_2", { deadlineAt: START + 200 });
      await admit("run_3", by(START + 100));
      await admit("run_4", by(null));
      await admit("run_5", {});
      expect(await late(START + 99)).toEqual([]);
      expect(await late(START + 300, 0)).toEqual([]);
      expect(await late(START + 300, 2)).toEqual(["run_3", "run_2"]);
      expect(await reader().load(START)).toMatchObject({ ready: 3, leased: 2 });
      expect(await late(START + 300)).toEqual(["run_1"]);
      expect(await late(START + 99_000)).toEqual([]);
    });

    it("say nothing when nothing is late, and that the worker is not known when something is", async () => {
      await admit("run_1", by(START + 100));
      expect(await late(START)).toEqual([]);
      expect(await late(START + 100)).toBeNull();
      expect(await reader().load(START)).toMatchObject({ ready: 1, leased: 0 });
    });

    it("leave those that are driven or at rest, and those that began, to their deadline", async () => {
      await known();
      await store().join(worker("w"));
      await admit("run_1", by(START + 100));
      await admit("run_2", { ...by(START + 100), deadlineAt: START + 200 });
      await admit("run_3", { deadlineAt: START + 200 });
      const [first, second, third] = await take(3);
      const began = facts(2, [{ kind: "run_started", worker: "w" }]);
      const yielded = { facts: began, started: true, next: { kind: "yield" } } as const;
      await store().commit([commit(first!, yielded), commit(second!, yielded)]);
      await store().commit([
        commit(third!, { next: { kind: "rest", wakeAt: START + 200, waitingFor: ["timer"] } }),
      ]);
      expect(await late(START + 199)).toEqual([]);
      expect(await late(START + 200)).toEqual(["run_2"]);
      await store().wakeDue(START + 200, 10);
      expect(await late(START + 200)).toEqual(["run_3"]);
    });

    it("take no slots and ask for no labels; whoever stood behind them has the chance that they leave", async () => {
      await known();
      await store().join(worker("w"));
      const slots = [slot("key:a", { hold: "run" })];
      await admit("run_1", { slots });
      const [holder] = await take(1);
      await admit("run_2", { slots, ...by(START + 100) });
      await admit("run_3", { slots, ...by(START + 200) });
      await admit("run_4", { slots });
      await admit("run_5", { needs: ["gpu"], ...by(START + 100) });
      expect(await take(10)).toEqual([]);
      expect(await reader().load(START)).toMatchObject({ ready: 1, parked: 3 });
      expect(await late(START + 100)).toEqual(["run_2", "run_5"]);
      expect(await reader().load(START)).toMatchObject({ ready: 0, parked: 2 });
      await store().commit([commit(holder!, { next: COMPLETED })]);
      // The next in line is ready now, and late before a worker comes.
      expect(await late(START + 200)).toEqual(["run_3"]);
      expect((await take(10)).map((claim) => claim.run)).toEqual(["run_4"]);
      expect(await reader().slots({ prefix: "key:", after: null, limit: 9 })).toEqual([
        { key: "key:a", limit: 1, held: 1 },
      ]);
    });

    it("are ended under their own token, and do not count as served", async () => {
      await known();
      await admit("run_1", { ...by(START + 100), slots: [slot("key:a")] });
      const [claim] = (await store().claimLate({ worker: "late", now: START + 100, limit: 9 })) ?? [];
      const over = facts(2, [{ kind: "run_failed", failure: FAILED.failure }]);
      expect(await store().commit([commit(claim!, { facts: over, next: FAILED })])).toEqual([{ kind: "ok" }]);
      expect(await reader().run("run_1")).toMatchObject({ status: "failed", startedAt: null });
      expect(await reader().load(START)).toMatchObject({ queued: 0, leased: 0, serviceMs: null });
      expect(await reader().slots({ prefix: "key:", after: null, limit: 9 })).toEqual([]);
    });

    it("go back to their own place when whoever took them leaves", async () => {
      await known();
      await store().join(worker("w"));
      await admit("run_1", by(START + 100));
      await admit("run_2", {});
      expect(await late(START + 100)).toEqual(["run_1"]);
      await store().leave("late");
      expect((await take(10)).map((claim) => claim.run)).toEqual(["run_1", "run_2"]);
    });
  });
}
