import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LIMITS } from "../domain/limits.ts";
import type { Firing, Schedule, SchedulePlan, Trigger } from "../domain/schedule.ts";
import type { Workflow } from "../domain/workflow.ts";
import {
  admission,
  COMPLETED,
  commit,
  held,
  manualClock,
  START,
  type StoreMaker,
  type StoreUnderTest,
} from "./run-store-suite/fixtures.suite.ts";
import type { ScheduleStore } from "./schedule-store.ts";

const MINUTE = 60_000;
const NIGHTLY: Trigger = {
  cron: "0 3 * * *",
  timezone: "Europe/Berlin",
  catchUp: "last",
  jitterMs: 0,
  overlap: "skip",
  inputs: { deep: [1, "ä", null] },
};

export function schedule(id: string, over: Partial<Schedule> = {}): Schedule {
  return {
    id,
    workflow: "fix",
    origin: "api",
    spec: { ...NIGHTLY, tenant: "default", queue: "default", priority: 5 },
    status: "active",
    createdAt: START,
    createdBy: "ann",
    cursorAt: START,
    nextAt: START + MINUTE,
    ...over,
  };
}

function plan(fire: readonly number[], over: Partial<SchedulePlan> = {}): SchedulePlan {
  return { fire, missed: null, cursorAt: fire.at(-1) ?? START, nextAt: null, ...over };
}

function workflow(hash: string, triggers?: readonly Trigger[]): Workflow {
  const shape = {
    name: "fix",
    version: "1",
    description: "",
    inputs: {},
    outputs: {},
    maxParallel: 1,
    steps: [],
  };
  return { ...shape, hash, ...(triggers === undefined ? {} : { triggers }) };
}

/** What every schedule store does. */
export function scheduleStoreSuite(maker: StoreMaker): void {
  describe(`schedule store: ${maker.name}`, () => {
    let under: StoreUnderTest;
    let store: ScheduleStore;
    beforeEach(async () => {
      under = await maker.open(manualClock());
      store = under.schedules;
    });
    afterEach(async () => under.close());
    const list = async (workflow?: string) =>
      (await store.list({ ...(workflow === undefined ? {} : { workflow }), after: null, limit: 100 })).map(
        ({ id, status }) => `${id} ${status}`,
      );
    const save = (hash: string, triggers: readonly Trigger[] | undefined, savedAt: number) =>
      under.workflows.save({ workflow: workflow(hash, triggers), source: "", origin: "uploaded", savedAt });

    it("keeps what was added, once", async () => {
      expect(await store.add(schedule("a"))).toBe(true);
      expect(await store.add(schedule("a", { workflow: "other" }))).toBe(false);
      expect(await store.byId("a")).toEqual(schedule("a"));
      expect(await store.byId("b")).toBeNull();
      expect(await store.events("a", 10)).toEqual([
        { seq: 1, at: START, kind: "created", by: "ann", detail: null },
      ]);
    });

    it("lists by id, a page at a time, of one workflow or of all", async () => {
      for (const id of ["c", "a", "B"])
        await store.add(schedule(id, { workflow: id === "c" ? "other" : "fix" }));
      expect(await list()).toEqual(["B active", "a active", "c active"]);
      expect(await list("fix")).toEqual(["B active", "a active"]);
      const page = await store.list({ after: "B", limit: 1 });
      expect(page.map(({ id }) => id)).toEqual(["a"]);
    });

    it("pauses, resumes and removes, and remembers who did", async () => {
      await store.add(schedule("a"));
      expect(await store.change("a", { status: "paused", by: "bob", at: START + 1 })).toMatchObject({
        status: "paused",
        cursorAt: START,
        nextAt: null,
      });
      await store.change("a", { status: "paused", by: "bob", at: START + 2 });
      expect(await store.change("a", { status: "active", by: "cleo", at: START + 3 })).toMatchObject({
        status: "active",
        cursorAt: START + 3,
        nextAt: START + 3,
      });
      await store.change("a", { status: "removed", by: "dan", at: START + 4 });
      expect(await store.change("a", { status: "active", by: "dan", at: START + 5 })).toBeNull();
      expect(await store.change("b", { status: "paused", by: "dan", at: START })).toBeNull();
      expect(await list()).toEqual([]);
      expect((await store.events("a", 3)).map(({ seq, kind, by }) => `${seq} ${kind} ${by}`)).toEqual([
        "4 removed dan",
        "3 resumed cleo",
        "2 paused bob",
      ]);
    });

    it("does not go back in time when it is resumed by a clock that does", async () => {
      await store.add(schedule("a"));
      await store.change("a", { status: "paused", by: "b", at: START });
      expect(await store.change("a", { status: "active", by: "b", at: START - MINUTE })).toMatchObject({
        cursorAt: START,
      });
    });

    it("tells what is due, the earliest first, of those that are active", async () => {
      await store.add(schedule("late", { nextAt: START + 3 }));
      await store.add(schedule("soon", { nextAt: START + 1 }));
      await store.add(schedule("never", { nextAt: null }));
      await store.add(schedule("paused", { nextAt: START }));
      await store.change("paused", { status: "paused", by: "b", at: START });
      const due = async (now: number, limit = 10) => (await store.due(now, limit)).map(({ id }) => id);
      expect(await due(START)).toEqual([]);
      expect(await due(START + 1)).toEqual(["soon"]);
      expect(await due(START + 3)).toEqual(["soon", "late"]);
      expect(await due(START + 3, 1)).toEqual(["soon"]);
    });

    it("advances once from where a cursor is, and fires each due time once", async () => {
      await store.add(schedule("a"));
      const [one, two] = [START + MINUTE, START + 2 * MINUTE];
      const missed = { count: 2, first: 1, last: 2 };
      const first = { from: START, plan: plan([one, two], { nextAt: two + MINUTE, missed }), at: START + 5 };
      expect(await store.advance("a", first)).toBe(true);
      expect(await store.advance("a", first)).toBe(false);
      expect(await store.byId("a")).toMatchObject({ cursorAt: two, nextAt: two + MINUTE });
      const firing = { schedule: "a", state: "due", run: null, detail: null, at: START + 5 };
      expect(await store.open(10)).toEqual([
        { ...firing, dueAt: one },
        { ...firing, dueAt: two },
      ]);
      expect(await store.open(1)).toHaveLength(1);
      expect((await store.events("a", 1))[0]).toMatchObject({
        kind: "missed",
        detail: JSON.stringify(missed),
      });
      // A due time that was fired before is not fired again, whatever a plan says.
      expect(await store.advance("a", { from: two, plan: plan([two]), at: START + 9 })).toBe(true);
      expect(await store.open(10)).toHaveLength(2);
    });

    it("does not advance what is paused, removed or not there", async () => {
      await store.add(schedule("a"));
      await store.change("a", { status: "paused", by: "b", at: START });
      const step = { from: START, plan: plan([START + MINUTE]), at: START };
      expect(await store.advance("a", step)).toBe(false);
      expect(await store.advance("b", step)).toBe(false);
      expect(await store.open(10)).toEqual([]);
    });

    it("moves a firing forward, and the first decision stands", async () => {
      await store.add(schedule("a"));
      const dueAt = START + MINUTE;
      await store.advance("a", { from: START, plan: plan([dueAt]), at: START });
      const at = { schedule: "a", dueAt };
      const starting = { state: "starting", run: "run_1", detail: null, at: START + 1 } as const;
      const skipped = {
        state: "skipped",
        run: null,
        detail: "an earlier run is open",
        at: START + 2,
      } as const;
      expect(await store.settle(at, ["due"], starting)).toEqual({ ...at, ...starting });
      expect(await store.settle(at, ["due"], skipped)).toEqual({ ...at, ...starting });
      const startedNow = { ...starting, state: "started", at: START + 3 } as const;
      expect(await store.settle(at, ["starting"], startedNow)).toEqual({ ...at, ...startedNow });
      expect(await store.open(10)).toEqual([]);
      expect(await store.firings("a", 10)).toEqual([{ ...at, ...startedNow }]);
      expect(await store.settle({ ...at, dueAt: 1 }, ["due"], skipped)).toBeNull();
    });

    it("knows which earlier runs are open", async () => {
      const claim = await held(under.store);
      await under.store.admit([admission("run_2")]);
      await store.add(schedule("a"));
      const dues = [1, 2, 3].map((n) => START + n * MINUTE);
      await store.advance("a", { from: START, plan: plan(dues), at: START });
      for (const [at, dueAt] of dues.entries()) {
        const started = { state: "starting", run: `run_${at + 1}`, detail: null, at: START } as const;
        await store.settle({ schedule: "a", dueAt }, ["due"], started);
      }
      const last = dues.at(-1) ?? 0;
      expect(await store.openRuns("a", last)).toEqual(["run_1", "run_2"]);
      expect(await store.openRuns("a", dues[1] ?? 0)).toEqual(["run_1"]);
      await under.store.commit([commit(claim, { next: COMPLETED, started: true })]);
      expect(await store.openRuns("a", last)).toEqual(["run_2"]);
      expect(await store.openRuns("b", last)).toEqual([]);
    });

    it("forgets old firings, but none that is open", async () => {
      const claim = await held(under.store);
      await store.add(schedule("a"));
      const dues = Array.from({ length: LIMITS.firingsKept + 4 }, (_, n) => START + n + 1);
      await store.advance("a", { from: START, plan: plan(dues), at: START });
      const settle = (dueAt: number, run: string) => {
        const to = { state: "started", run, detail: null, at: START } satisfies Partial<Firing>;
        return store.settle({ schedule: "a", dueAt }, ["due"], to);
      };
      await settle(dues[0] ?? 0, claim.run);
      await settle(dues[1] ?? 0, "run_gone");
      const next = START + 10 * MINUTE;
      await store.advance("a", { from: dues.at(-1) ?? 0, plan: plan([next]), at: START });
      const kept = (await store.firings("a", 10_000)).map(({ dueAt }) => dueAt);
      expect(kept).toHaveLength(dues.length);
      expect(kept).toContain(dues[0]);
      expect(kept).not.toContain(dues[1]);
    });

    it("follows the newest version of a workflow", async () => {
      const weekly = { ...NIGHTLY, cron: "0 3 * * 0" };
      await save("h1", [NIGHTLY, weekly], START);
      const [first, second] = await store.list({ workflow: "fix", after: null, limit: 10 });
      expect(first).toMatchObject({
        origin: "workflow",
        cursorAt: START,
        nextAt: START,
        createdBy: "workflow",
      });
      expect([first?.spec.cron, second?.spec.cron].sort()).toEqual(["0 3 * * *", "0 3 * * 0"]);
      const nightly = (first?.spec.cron === NIGHTLY.cron ? first : second) as Schedule;
      expect(nightly.spec).toEqual({ ...NIGHTLY, tenant: "default", queue: "default", priority: 5 });

      // Paused stays paused where the trigger is the same, another one goes.
      await store.change(nightly.id, { status: "paused", by: "ann", at: START + 1 });
      await save("h2", [NIGHTLY], START + 2);
      expect(await list()).toEqual([`${nightly.id} paused`]);
      // None left, and back again: it begins anew.
      await save("h3", undefined, START + 3);
      expect(await list()).toEqual([]);
      await save("h2", [NIGHTLY], START + 4);
      expect(await store.byId(nightly.id)).toMatchObject({ status: "active", cursorAt: START + 4 });
      const story = (await store.events(nightly.id, 10)).map(({ kind, by }) => `${kind} by ${by}`);
      expect(story).toEqual([
        "created by workflow h2",
        "removed by workflow h3",
        "paused by ann",
        "created by workflow",
      ]);
    });

    it("leaves what was given through the API alone when a workflow changes", async () => {
      await store.add(schedule("a"));
      await save("h1", [NIGHTLY], START);
      await save("h2", [], START);
      expect(await list()).toEqual(["a active"]);
    });
  });
}
