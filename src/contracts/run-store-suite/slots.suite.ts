import { describe, expect, it } from "vitest";
import type { RunRequest, Slot } from "../../domain/fact.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { Claim, CommitNext } from "../run-store.ts";
import { admission, COMPLETED, childOf, commit, START, type UnderTest, worker } from "./fixtures.suite.ts";

export function slot(key: string, over: Partial<Slot> = {}): Slot {
  return { key, limit: 1, hold: "lease", onConflict: "queue", ...over };
}

const REST = { kind: "rest", wakeAt: null, waitingFor: ["signal:go"] } as const;
const YIELD = { kind: "yield" } as const;

/** What few runs may hold at a time. */
export function slotsSuite(tested: UnderTest): void {
  const { reader, store, take, clock } = tested;
  const runs = async (limit = 10) => (await take(limit)).map((claim) => claim.run);
  const admit = (ids: readonly string[], over: Partial<RunRequest>) =>
    store().admit(ids.map((id) => admission(id, over)));
  const give = async (claim: Claim | undefined, next: CommitNext) => {
    if (claim === undefined) throw new Error("nothing was claimed");
    expect(await store().commit([commit(claim, { next })])).toEqual([{ kind: "ok" }]);
  };
  const waitingFor = async (run: string) => (await reader().run(run))?.waitingFor;

  describe("slots", () => {
    it("are held by no more runs than they have room for; the others stand aside, in order", async () => {
      await store().join(worker("w"));
      await admit(["run_1", "run_2", "run_3"], { slots: [slot("tenant:a", { limit: 2 })] });
      await admit(["run_4"], {});
      const [first, ...others] = await take(10);
      expect([first, ...others].map((claim) => claim?.run)).toEqual(["run_1", "run_2", "run_4"]);
      expect(await waitingFor("run_3")).toEqual(["slot:tenant:a"]);
      expect(await reader().load(START)).toMatchObject({ ready: 0, parked: 1, leased: 3, resting: 0 });
      expect(await runs()).toEqual([]);
      await give(first, COMPLETED);
      expect(await waitingFor("run_3")).toEqual([]);
      expect(await runs()).toEqual(["run_3"]);
      expect(await reader().load(START)).toMatchObject({ ready: 0, parked: 0, leased: 3 });
    });

    it("of a lease are free while a run rests, and are taken again when it comes back", async () => {
      await store().join(worker("w"));
      await admit(["run_1", "run_2"], { slots: [slot("tenant:a")] });
      const [first] = await take(10);
      await give(first, REST);
      const [second] = await take(10);
      expect(second?.run).toBe("run_2");
      await store().post([
        { run: "run_1", id: "m", kind: "signal", name: "go", body: null, from: "api", at: START },
      ]);
      expect(await runs()).toEqual([]);
      expect(await waitingFor("run_1")).toEqual(["slot:tenant:a"]);
      await give(second, YIELD);
      // The older one stands before the one that was just given back.
      expect(await runs()).toEqual(["run_1"]);
    });

    it("of a run are held from the first claim to the end, also at rest and when its worker dies", async () => {
      await store().join(worker("w"));
      await admit(["run_1", "run_2"], { slots: [slot("key:deploy", { hold: "run" })] });
      const [first] = await take(10);
      await give(first, REST);
      expect(await runs()).toEqual([]);
      await store().post([
        { run: "run_1", id: "m", kind: "signal", name: "go", body: null, from: "api", at: START },
      ]);
      expect(await runs()).toEqual(["run_1"]);
      clock().advance(LIMITS.leaseTtlMs + 1);
      expect(await store().reap(clock().now())).toEqual(["run_1"]);
      await store().join(worker("b"));
      const [again] = await take(10, "b");
      expect(again?.run).toBe("run_1");
      await give(again, COMPLETED);
      expect((await take(10, "b")).map((claim) => claim.run)).toEqual(["run_2"]);
    });

    it("of a dead worker's leases go to the next in line", async () => {
      await store().join(worker("w"));
      await admit(["run_1"], { slots: [slot("tenant:a")] });
      await admit(["run_2"], { slots: [slot("tenant:a")], priority: 1 });
      const [urgent] = await take(1);
      expect(urgent?.run).toBe("run_2");
      await store().join(worker("b"));
      expect(await take(10, "b")).toEqual([]);
      await store().leave("w");
      // Both are in the queue now; the more urgent one takes the slot, the other steps aside.
      expect((await take(10, "b")).map((claim) => claim.run)).toEqual(["run_2"]);
      expect(await waitingFor("run_1")).toEqual(["slot:tenant:a"]);
    });

    it("several at once are taken together or not at all", async () => {
      await store().join(worker("w"));
      await admit(["run_1"], { slots: [slot("key:a"), slot("key:b")] });
      await admit(["run_2"], { slots: [slot("key:b"), slot("key:c")] });
      await admit(["run_3"], { slots: [slot("key:c")] });
      const [first, third, ...rest] = await take(10);
      expect([first?.run, third?.run, rest]).toEqual(["run_1", "run_3", []]);
      await give(first, COMPLETED);
      // Its other slot is full: now it waits for that one.
      expect(await runs()).toEqual([]);
      expect(await waitingFor("run_2")).toEqual(["slot:key:c"]);
      await give(third, COMPLETED);
      expect(await runs()).toEqual(["run_2"]);
    });

    it("a run that waits for two lets the next pass when only the other is full", async () => {
      await store().join(worker("w"));
      await admit(["run_1"], { slots: [slot("key:a")] });
      await admit(["run_2"], { slots: [slot("key:b")] });
      const [first, second] = await take(10);
      await admit(["run_3"], { slots: [slot("key:a"), slot("key:b")] });
      await admit(["run_4"], { slots: [slot("key:a")] });
      expect(await runs()).toEqual([]);
      await give(first, COMPLETED);
      expect(await runs()).toEqual(["run_4"]);
      await give(second, COMPLETED);
      expect(await runs()).toEqual([]);
      expect(await waitingFor("run_3")).toEqual(["slot:key:a"]);
    });

    it("follow the latest limit: less lets the holders finish, more lets others in", async () => {
      await store().join(worker("w"));
      await admit(["run_1", "run_2", "run_3", "run_4"], { slots: [slot("tenant:a", { limit: 2 })] });
      const [first, second] = await take(10);
      await admit(["run_5"], { slots: [slot("tenant:a", { limit: 1 })] });
      await give(first, COMPLETED);
      expect(await runs()).toEqual([]);
      await give(second, COMPLETED);
      expect(await runs()).toEqual(["run_3"]);
      await admit(["run_6"], { slots: [slot("tenant:a", { limit: 3 })] });
      expect(await runs()).toEqual(["run_4", "run_5"]);
    });

    it("are resized at once: more lets as many in, in every lane; less lets the holders finish", async () => {
      await store().join(worker("w", { labels: ["gpu"] }));
      const slots = [slot("tenant:a")];
      await admit(["run_1", "run_2", "run_3", "run_4"], { slots });
      await admit(["run_5"], { slots, needs: ["gpu"] });
      const [first] = await take(10);
      expect(await runs()).toEqual([]);
      expect(await store().resize([{ key: "tenant:a", limit: 2 }])).toBe(1);
      expect(await reader().load(START)).toMatchObject({ ready: 2, parked: 2 });
      // One stands ready in each lane, and there is room for one of them.
      const [second, ...none] = await take(10);
      expect([second?.run, none]).toEqual(["run_2", []]);
      expect(await store().resize([{ key: "tenant:a", limit: 1 }])).toBe(1);
      expect(await reader().slots({ prefix: "tenant:", after: null, limit: 10 })).toEqual([
        { key: "tenant:a", limit: 1, held: 2 },
      ]);
      await give(first, COMPLETED);
      expect(await runs()).toEqual([]);
      await give(second, COMPLETED);
      expect(await runs()).toEqual(["run_3"]);
      expect(await store().resize([{ key: "tenant:a", limit: LIMITS.slotLimit }])).toBe(1);
      expect(await runs()).toEqual(["run_4", "run_5"]);
      expect(await reader().load(START)).toMatchObject({ ready: 0, parked: 0, leased: 3 });
    });

    it("that nobody names are not resized, nor those that have the limit; they are listed by key, in pages", async () => {
      await store().join(worker("w"));
      await admit(["run_1"], { slots: [slot("tenant:b"), slot("key:z")] });
      await admit(["run_2"], { slots: [slot("tenant:a"), slot("tenantx")] });
      const asked = ["tenant:a", "tenant:nobody"].map((key) => ({ key, limit: 1 }));
      expect(await store().resize(asked)).toBe(0);
      const page = (after: string | null, limit: number) =>
        reader().slots({ prefix: "tenant:", after, limit });
      expect(await page(null, 1)).toEqual([{ key: "tenant:a", limit: 1, held: 0 }]);
      expect(await page("tenant:a", 10)).toEqual([{ key: "tenant:b", limit: 1, held: 0 }]);
      const [first, second] = await take(10);
      await give(first, COMPLETED);
      await give(second, COMPLETED);
      expect(await page(null, 10)).toEqual([]);
      expect(await store().resize([{ key: "tenant:a", limit: 5 }])).toBe(0);
    });

    it("a canceled run does not wait for any, and whoever stood behind it goes on", async () => {
      await store().join(worker("w"));
      await admit(["run_1", "run_2", "run_3"], { slots: [slot("key:a", { hold: "run" })] });
      const [first] = await take(10);
      const cancel = { kind: "cancel", name: "cancel", body: null, from: "api", at: START } as const;
      await store().post([{ ...cancel, run: "run_2", id: "c" }]);
      const [canceled] = await take(10);
      expect(canceled?.run).toBe("run_2");
      await give(canceled, { kind: "end", status: "canceled", output: null, failure: null });
      await give(first, COMPLETED);
      // The next in line is ready; when it is canceled before a worker takes it, the one after it is.
      await admit(["run_4"], { slots: [slot("key:a", { hold: "run" })] });
      expect(await runs(0)).toEqual([]);
      await store().post([{ ...cancel, run: "run_3", id: "c" }]);
      expect(await runs()).toEqual(["run_3", "run_4"]);
      expect(await reader().load(START)).toMatchObject({ parked: 0 });
    });

    it("one claim puts aside what is in its way, however much, and still finds the others", async () => {
      await store().join(worker("w"));
      const many = Array.from({ length: 300 }, (_, n) => `run_${n}`);
      await admit(many, { slots: [slot("tenant:a")], tenant: "a" });
      await admit(["run_z"], { tenant: "z", priority: 3 });
      expect(await runs(2)).toEqual(["run_0", "run_z"]);
      expect(await reader().load(START)).toMatchObject({ ready: 0, parked: 299, leased: 2 });
    });
  });

  conflictsSuite(tested);
}

function conflictsSuite(tested: UnderTest): void {
  const { reader, store, statusOf, take } = tested;
  const key = (onConflict: Slot["onConflict"], over: Partial<Slot> = {}) => ({
    slots: [slot("key:site", { hold: "run", onConflict, ...over })],
  });

  describe("slots that do not wait", () => {
    it("refuse a newcomer and name who has them, held or not yet", async () => {
      await store().admit([admission("run_1", key("reject"))]);
      const [refused] = await store().admit([admission("run_2", key("reject"))]);
      expect(refused).toMatchObject({
        kind: "refused",
        failure: {
          code: "concurrency_conflict",
          message: expect.stringContaining("run_1"),
          details: { key: "key:site", holder: "run_1" },
        },
      });
      expect(await reader().run("run_2")).toBeNull();
      expect((await reader().load(START)).refused.conflict).toBe(1);
      await store().join(worker("w"));
      const [claim] = await take(1);
      await store().commit([commit(claim!, { next: COMPLETED })]);
      expect(await store().admit([admission("run_2", key("reject"))])).toEqual([
        { kind: "created", id: "run_2" },
      ]);
    });

    it("ask the older runs to stop, and the newest goes on when they have", async () => {
      await store().join(worker("w"));
      await store().admit([admission("run_1", key("queue")), admission("run_2", key("queue"))]);
      const [first] = await take(1);
      await store().admit([admission("run_3", key("cancel_older"))]);
      const messages = await store().inbox([first!.no]);
      expect(messages).toMatchObject([{ kind: "cancel", from: "run:run_3", id: "superseded:run_3" }]);
      const [second] = await take(10);
      expect(second?.run).toBe("run_2");
      const canceled = { kind: "end", status: "canceled", output: null, failure: null } as const;
      await store().commit([commit(first!, { next: canceled }), commit(second!, { next: canceled })]);
      expect((await take(10)).map((claim) => claim.run)).toEqual(["run_3"]);
    });

    it("leave as many of the older ones as there is room for beside the newest", async () => {
      await store().join(worker("w"));
      const two = { limit: 2 };
      await store().admit([admission("run_1", key("queue", two)), admission("run_2", key("queue", two))]);
      const claims = await take(10);
      await store().admit([admission("run_3", key("cancel_older", two))]);
      const asked = await store().inbox(claims.map((claim) => claim.no));
      expect(asked.map((message) => message.run)).toEqual(["run_1"]);
    });

    it("refuse a child that would wait for its own ancestor", async () => {
      await store().join(worker("w"));
      await store().admit([admission("run_1", key("queue"))]);
      const [parent] = await take(1);
      await store().commit([commit(parent!, { children: [childOf("run_1", "run_2", {})] })]);
      const [child] = await take(1);
      const grandchild = childOf("run_2", "run_3", key("queue"));
      const [refused] = await store().commit([commit(child!, { children: [grandchild] })]);
      expect(refused).toMatchObject({
        kind: "refused",
        failure: { code: "concurrency_conflict", message: expect.stringContaining("run_1") },
      });
      expect(await statusOf("run_3")).toBeUndefined();
      const other = childOf("run_2", "run_3", { slots: [slot("key:other", { hold: "run" })] });
      expect(await store().commit([commit(child!, { children: [other] })])).toEqual([{ kind: "ok" }]);
    });
  });
}
