import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Workflow } from "../domain/workflow.ts";
import {
  manualClock,
  START,
  type StoreMaker,
  type StoreUnderTest,
} from "./run-store-suite/fixtures.suite.ts";
import type { StoredWorkflow } from "./workflow-store.ts";

function stored(name: string, hash: string, over: Partial<StoredWorkflow> = {}): StoredWorkflow {
  const workflow: Workflow = {
    name,
    version: "1",
    description: "",
    hash,
    inputs: { type: "object" },
    outputs: {},
    maxParallel: 4,
    steps: [],
  };
  return { workflow, source: `name: ${name}\n`, origin: "uploaded", savedAt: START, ...over };
}

/** What every workflow store does. */
export function workflowStoreSuite(maker: StoreMaker): void {
  describe(`workflow store: ${maker.name}`, () => {
    let under: StoreUnderTest;
    beforeEach(async () => {
      under = await maker.open(manualClock());
    });
    afterEach(async () => under.close());

    it("finds what was saved by hash and by name", async () => {
      const saved = stored("fix", "h1");
      await under.workflows.save(saved);
      expect(await under.workflows.byHash("h1")).toEqual(saved);
      expect(await under.workflows.latest("fix")).toEqual(saved);
      expect(await under.workflows.byHash("h2")).toBeNull();
      expect(await under.workflows.latest("other")).toBeNull();
    });

    it("keeps every version, and the newest saved is the latest", async () => {
      await under.workflows.save(stored("fix", "h1"));
      await under.workflows.save(stored("fix", "h2", { savedAt: START - 5 }));
      expect((await under.workflows.latest("fix"))?.workflow.hash).toBe("h2");
      expect((await under.workflows.byHash("h1"))?.workflow.hash).toBe("h1");
    });

    it("never changes what a hash names; saving it again makes it the latest again", async () => {
      await under.workflows.save(stored("fix", "h1"));
      await under.workflows.save(stored("fix", "h2"));
      await under.workflows.save(
        stored("fix", "h1", { source: "changed", origin: "project", savedAt: START + 9 }),
      );
      expect(await under.workflows.latest("fix")).toEqual(stored("fix", "h1"));
    });

    it("lists the newest of each name, by name", async () => {
      await under.workflows.save(stored("b", "h1"));
      await under.workflows.save(stored("a", "h2"));
      await under.workflows.save(stored("b", "h3"));
      expect((await under.workflows.list()).map((one) => one.workflow.hash)).toEqual(["h2", "h3"]);
    });
  });
}
