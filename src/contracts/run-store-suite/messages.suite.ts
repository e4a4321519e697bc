import { describe, expect, it } from "vitest";
import { LIMITS } from "../../domain/limits.ts";
import {
  admission,
  COMPLETED,
  childOf,
  commit,
  facts,
  held,
  START,
  signal,
  started,
  type UnderTest,
  worker,
} from "./fixtures.suite.ts";

/** Messages between people, runs and the store. */
export function messagesSuite(tested: UnderTest): void {
  const { allFacts, reader, store, take } = tested;

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
      const [first] = await take(1);
      await store().commit([commit(first!, { next: { kind: "rest", wakeAt: null, waitingFor: [] } })]);
      await store().admit([admission("run_2", { priority: 0 }), admission("run_3", { priority: 9 })]);
      await store().post([
        signal("run_3", "c", { kind: "cancel" }),
        signal("run_1", "c", { kind: "cancel" }),
        signal("run_2", "s"),
      ]);
      const claims = await take(3);
      expect(claims.map((claim) => claim.run)).toEqual(["run_1", "run_3", "run_2"]);
    });

    it("posts of a commit reach other runs with its facts", async () => {
      const claim = await held(store());
      await store().admit([admission("run_2")]);
      const poisoned = commit(claim, { facts: facts(7, [started("a")]), posts: [signal("run_2", "m")] });
      await store().commit([poisoned]);
      const [other] = await take(1);
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
      expect((await take(5)).map((child) => child.run)).toEqual(["run_2"]);
    });

    it("tell their parent of their end, and wake it", async () => {
      const claim = await held(store());
      const rest = { kind: "rest", wakeAt: null, waitingFor: ["child:run_2"] } as const;
      await store().commit([commit(claim, { children: [childOf("run_1", "run_2")], next: rest })]);
      const [child] = await take(1);
      await store().commit([commit(child!, { facts: facts(2, [started("a")]), next: COMPLETED })]);
      const [parent] = await take(1);
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
      const [two, three] = await take(2);
      await store().commit([commit(two!, { next: COMPLETED })]);
      await store().commit([
        commit(claim, { next: { kind: "end", status: "canceled", output: null, failure: null } }),
      ]);
      expect(await store().inbox([three!.no])).toMatchObject([{ kind: "cancel", from: "run:run_1" }]);
      await store().admit([admission("run_5", { priority: 0 })]);
      const [four] = await take(1);
      expect(four?.run).toBe("run_4");
      expect(await store().inbox([four!.no])).toMatchObject([{ kind: "cancel" }]);
      // The end of a child whose parent has ended is told to nobody.
      expect(await store().commit([commit(four!, { next: COMPLETED })])).toEqual([{ kind: "ok" }]);
    });

    it("parent and child of one batch: the child's end is not lost", async () => {
      const claim = await held(store());
      await store().commit([commit(claim, { children: [childOf("run_1", "run_2")] })]);
      const [child] = await take(1);
      const rest = { kind: "rest", wakeAt: null, waitingFor: ["child:run_2"] } as const;
      await store().commit([commit(child!, { next: COMPLETED }), commit(claim, { next: rest })]);
      expect(await reader().counts()).toMatchObject({ ready: 1, resting: 0 });
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
}
