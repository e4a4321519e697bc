import { describe, expect, it } from "vitest";
import {
  admission,
  COMPLETED,
  childOf,
  commit,
  facts,
  held,
  START,
  started,
  type UnderTest,
  worker,
} from "./fixtures.suite.ts";

/** Approvals and lists. */
export function readingSuite(tested: UnderTest): void {
  const { allFacts, page, reader, store, take } = tested;

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
      expect(await store().answerApproval({ ...answer("apr_1"), answer: "denied" })).toBe("already_answered");
      expect(await reader().approval("apr_1")).toMatchObject({
        status: "approved",
        answeredAt: START + 50,
        answeredBy: "ann",
        comment: "fine",
      });
      const [again] = await take(1);
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

    it("are not answered any more once they expired, also when the run has not said so", async () => {
      const claim = await held(store());
      await store().commit([
        commit(claim, { approvals: [ask("apr_1", START + 50), ask("apr_2", START + 51)] }),
      ]);
      expect(await store().answerApproval(answer("apr_1"))).toBe("expired");
      expect(await reader().approval("apr_1")).toMatchObject({ status: "pending", answeredBy: null });
      expect(await store().inbox([claim.no])).toEqual([]);
      expect(await store().answerApproval(answer("apr_2"))).toBe("accepted");
      expect(await store().answerApproval({ ...answer("apr_2"), at: START + 99 })).toBe("already_answered");
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

  describe("lists", () => {
    it("are newest first, by page and by filter", async () => {
      await store().join(worker("w"));
      await store().admit([
        admission("run_1", { tenant: "a" }),
        admission("run_2", { tenant: "b", workflow: { name: "other", version: "1", hash: "b" } }),
        admission("run_3", { tenant: "a" }),
        childOf("run_1", "run_4", { tenant: "a" }),
      ]);
      const [one, two] = await take(2);
      await store().commit([commit(one!, { started: true }), commit(two!, { next: COMPLETED })]);
      const ids = async (filter: object, over: object = {}) =>
        (await reader().runs({ filter, ...page, ...over })).map((run) => run.id);
      expect(await ids({})).toEqual(["run_4", "run_3", "run_2", "run_1"]);
      expect(await ids({}, { limit: 2 })).toEqual(["run_4", "run_3"]);
      expect(await ids({}, { after: "run_3", limit: 1 })).toEqual(["run_2"]);
      expect(await ids({}, { after: "run_9" })).toEqual([]);
      expect(await ids({ status: ["queued"] })).toEqual(["run_4", "run_3"]);
      expect(await ids({ status: ["running", "completed", "running"] })).toEqual(["run_2", "run_1"]);
      expect(await ids({ status: ["queued", "running", "completed"] }, { after: "run_3", limit: 1 })).toEqual(
        ["run_2"],
      );
      expect(await ids({ status: [] })).toEqual([]);
      expect(await ids({ tenant: "a" })).toEqual(["run_4", "run_3", "run_1"]);
      expect(await ids({ workflow: "other" })).toEqual(["run_2"]);
      expect(await ids({ parent: "run_1" })).toEqual(["run_4"]);
      expect(await ids({ tenant: "a", status: ["running"], workflow: "fix" })).toEqual(["run_1"]);
      expect(await reader().run("run_9")).toBeNull();
    });
  });
}
