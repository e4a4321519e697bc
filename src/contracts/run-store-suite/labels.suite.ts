import { describe, expect, it } from "vitest";
import { admission, COMPLETED, commit, START, type UnderTest, worker } from "./fixtures.suite.ts";
import { slot } from "./slots.suite.ts";

/** Which worker may take which run. */
export function labelsSuite({ reader, store, take }: UnderTest): void {
  describe("labels", () => {
    it("that no worker has together are told, with how many runs wait for them, the most first", async () => {
      await store().join(worker("w", { labels: ["linux"] }));
      await store().join(worker("late", { slots: 0 }));
      await store().admit([
        admission("run_1", { needs: ["gpu", "linux"] }),
        admission("run_2", { needs: ["quantum"] }),
        admission("run_3", { needs: ["linux", "gpu"] }),
        admission("run_4", { needs: ["linux"] }),
        admission("run_5"),
      ]);
      expect(await reader().unserved()).toEqual([
        { needs: ["gpu", "linux"], queued: 2 },
        { needs: ["quantum"], queued: 1 },
      ]);
      expect((await reader().load(0)).workers).toBe(1);
      expect((await reader().counts()).workers).toBe(1);
      await store().join(worker("g", { labels: ["gpu", "linux"] }));
      expect(await reader().unserved()).toEqual([{ needs: ["quantum"], queued: 1 }]);
      const cancel = { kind: "cancel", name: "cancel", body: null, from: "api", at: 0 } as const;
      await store().post([{ ...cancel, run: "run_2", id: "c" }]);
      expect(await reader().unserved()).toEqual([]);
    });

    it("keep a run for a worker that has them all, and it blocks nobody", async () => {
      await store().join(worker("w", { labels: ["linux"] }));
      await store().admit([
        admission("run_1", { needs: ["gpu", "linux"] }),
        admission("run_2", { needs: ["linux"] }),
        admission("run_3"),
      ]);
      expect((await take(10)).map((claim) => claim.run)).toEqual(["run_2", "run_3"]);
      expect((await reader().run("run_1"))?.waitingFor).toEqual(["worker:gpu,linux"]);
      await store().join(worker("g", { labels: ["linux", "gpu", "more"] }));
      expect((await reader().run("run_1"))?.waitingFor).toEqual([]);
      expect((await take(10, "g")).map((claim) => claim.run)).toEqual(["run_1"]);
      expect(await reader().workers()).toMatchObject([
        { id: "g", labels: ["linux", "gpu", "more"], held: 1, slots: 8, host: "elsewhere", pid: 1 },
        { id: "w", labels: ["linux"], held: 2, joinedAt: START, beatAt: START },
      ]);
    });

    it("do not change the order of what a worker may take", async () => {
      await store().join(worker("w", { labels: ["gpu"] }));
      await store().admit([
        admission("run_1", { priority: 3 }),
        admission("run_2", { priority: 2, needs: ["gpu"] }),
        admission("run_3", { priority: 1 }),
        admission("run_4", { priority: 3, needs: ["gpu", "gpu"] }),
      ]);
      expect((await take(10)).map((claim) => claim.run)).toEqual(["run_3", "run_2", "run_1", "run_4"]);
    });

    it("are not asked for when a canceled run is only to be ended", async () => {
      await store().join(worker("w"));
      await store().admit([admission("run_1", { needs: ["gpu"] })]);
      expect(await take(1)).toEqual([]);
      await store().post([
        { run: "run_1", id: "c", kind: "cancel", name: "cancel", body: null, from: "api", at: START },
      ]);
      expect((await take(1)).map((claim) => claim.run)).toEqual(["run_1"]);
    });

    it("keep a full slot from being kept by a run that no worker can take", async () => {
      await store().join(worker("w"));
      await store().admit([admission("run_1", { slots: [slot("tenant:a")] })]);
      const [first] = await take(1);
      await store().join(worker("g", { labels: ["gpu"] }));
      await store().admit([admission("run_2", { slots: [slot("tenant:a")], needs: ["gpu"] })]);
      await store().admit([admission("run_3", { slots: [slot("tenant:a")] })]);
      expect(await take(10, "g")).toEqual([]);
      await store().leave("g");
      await store().commit([commit(first!, { next: COMPLETED })]);
      expect((await take(10)).map((claim) => claim.run)).toEqual(["run_3"]);
      expect((await reader().run("run_2"))?.waitingFor).toEqual(["worker:gpu"]);
    });
  });
}
