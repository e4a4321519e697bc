import { describe, expect, it } from "vitest";
import type { Claim } from "../run-store.ts";
import { admission, COMPLETED, commit, type UnderTest, worker } from "./fixtures.suite.ts";

/** A worker that waits for work, and runs that come meanwhile. */
export function standingSuite({ store, reader, take }: UnderTest): void {
  describe("a worker that stands", () => {
    const runs = (claims: readonly Claim[]) => claims.map(({ run }) => run);
    const stand = async (limit: number) =>
      expect(await store().claim({ worker: "w", limit, standing: true })).toEqual([]);

    /** Two workers, and a tenant that had a run before. */
    async function begin(): Promise<void> {
      await store().join(worker("w"));
      await store().join(worker("v"));
      await store().admit([admission("run_0")]);
      const [first] = await take(1);
      if (first === undefined) throw new Error("the first run was not claimed");
      await store().commit([commit(first, { started: true, next: COMPLETED })]);
    }

    it("has what comes at its next claim, and nobody else has it too", async () => {
      await begin();
      await stand(8);
      expect(await store().admit([admission("run_1")])).toEqual([{ kind: "created", id: "run_1" }]);
      const { ready, leased } = await reader().counts();
      expect(ready + leased).toBe(1);
      expect(await reader().load(0)).toMatchObject({ queued: 1 });
      const [claim, ...others] = [...(await take(8, "v")), ...(await take(8))];
      expect([claim?.run, others]).toEqual(["run_1", []]);
      if (claim === undefined) return;
      expect(await store().commit([commit(claim, { started: true, next: COMPLETED })])).toEqual([
        { kind: "ok" },
      ]);
      expect(await reader().counts()).toMatchObject({ ready: 0, leased: 0, byStatus: { completed: 2 } });
      expect(await reader().load(0)).toMatchObject({ queued: 0, ready: 0, leased: 0 });
    });

    it("is told that something came", async () => {
      await begin();
      await stand(8);
      const told = new Promise<void>((resolve) => store().watch(({ kind }) => kind === "ready" && resolve()));
      await store().admit([admission("run_1")]);
      await told;
    });

    it("is given no more than it has room for, however many come at once", async () => {
      await begin();
      await stand(2);
      await Promise.all([1, 2, 3, 4].map((n) => store().admit([admission(`run_${n}`)])));
      const own = runs(await take(2));
      expect(own).toHaveLength(2);
      const left = runs(await take(8, "v"));
      expect([...own, ...left].sort()).toEqual(["run_1", "run_2", "run_3", "run_4"]);
    });

    it("lets nobody overtake those who wait", async () => {
      await begin();
      await stand(8);
      await store().admit([admission("run_a"), admission("run_b")]);
      await store().admit([admission("run_c")]);
      expect([...runs(await take(1)), ...runs(await take(1)), ...runs(await take(1))]).toEqual([
        "run_a",
        "run_b",
        "run_c",
      ]);
    });

    it("gives back what it was given and never took up, when it leaves", async () => {
      await begin();
      await stand(8);
      await store().admit([admission("run_1")]);
      await store().leave("w");
      expect(runs(await take(8, "v"))).toEqual(["run_1"]);
    });

    it("loses what it was given and never took up, when it is taken for dead", async () => {
      await begin();
      await stand(8);
      await store().admit([admission("run_1")]);
      await store().leave("w");
      await store().join(worker("w"));
      const [again] = await take(8);
      expect(again?.run).toBe("run_1");
    });

    it("stands no more once it has claimed without saying so", async () => {
      await begin();
      await stand(8);
      expect(await take(0)).toEqual([]);
      await store().admit([admission("run_1")]);
      expect(runs(await take(8, "v"))).toEqual(["run_1"]);
    });

    it("a run that names a key that is known is the first run, for whoever stands", async () => {
      await begin();
      await stand(8);
      const keyed = (id: string) => ({
        ...admission(id),
        idempotency: { key: "k", bodyHash: "h".repeat(64) },
      });
      const answers = await Promise.all(
        ["run_1", "run_2", "run_3"].map(async (id) => (await store().admit([keyed(id)]))[0]),
      );
      const [created] = answers.filter((answer) => answer?.kind === "created");
      if (created?.kind !== "created") throw new Error("nobody was first");
      expect(answers.filter((answer) => answer?.kind === "existing")).toEqual([
        { kind: "existing", id: created.id },
        { kind: "existing", id: created.id },
      ]);
      expect(runs([...(await take(8)), ...(await take(8, "v"))])).toEqual([created.id]);
    });

    it("shares are given as if it had claimed: a tenant that was away does not overtake later", async () => {
      await begin();
      await stand(1);
      await store().admit([admission("run_1")]);
      expect(runs(await take(1))).toEqual(["run_1"]);
      await store().admit([admission("run_2")]);
      await store().admit([admission("new_1", { tenant: "new" })]);
      expect(runs(await take(2, "v"))).toEqual(["run_2", "new_1"]);
    });
  });
}
