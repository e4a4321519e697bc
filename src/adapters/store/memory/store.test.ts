import { describe, expect, it } from "vitest";
import { runStoreSuite } from "../../../contracts/run-store.suite.ts";
import {
  admission,
  commit,
  facts,
  held,
  manualClock,
  started,
} from "../../../contracts/run-store-suite/fixtures.suite.ts";
import { scheduleStoreSuite } from "../../../contracts/schedule-store.suite.ts";
import { workflowStoreSuite } from "../../../contracts/workflow-store.suite.ts";
import { createMemoryStore, type WriteVerb } from "./store.ts";

const maker = {
  name: "memory",
  open: async (clock: ReturnType<typeof manualClock>) => createMemoryStore({ clock }),
};

runStoreSuite(maker);
workflowStoreSuite(maker);
scheduleStoreSuite(maker);

describe("memory store: crashes on request", () => {
  it("before a commit, nothing was written", async () => {
    let crash = false;
    const beforeCommit = (verb: WriteVerb) => {
      if (crash && verb === "commit") throw new Error("crash");
    };
    const { store } = createMemoryStore({ clock: manualClock(), beforeCommit });
    const claim = await held(store);
    crash = true;
    const entry = commit(claim, { facts: facts(2, [started("a")]) });
    await expect(store.commit([entry])).rejects.toThrow("crash");
    expect(await store.facts(claim.no, 0, 10)).toHaveLength(1);
    await expect(store.admit([admission("run_2")])).resolves.toHaveLength(1);
  });

  it("after a commit, everything was", async () => {
    const afterCommit = (verb: WriteVerb) => {
      if (verb === "commit") throw new Error("crash");
    };
    const { store } = createMemoryStore({ clock: manualClock(), afterCommit });
    const claim = await held(store);
    const entry = commit(claim, { facts: facts(2, [started("a")]) });
    await expect(store.commit([entry])).rejects.toThrow("crash");
    expect(await store.facts(claim.no, 0, 10)).toHaveLength(2);
  });

  it("reaps a worker whose process is gone", async () => {
    const clock = manualClock();
    let gone = false;
    const { store } = createMemoryStore({ clock, isGone: () => gone });
    await held(store);
    expect(await store.reap(clock.now())).toEqual([]);
    gone = true;
    expect(await store.reap(clock.now())).toEqual(["run_1"]);
  });
});
