import { beforeEach, describe, expect, it } from "vitest";
import { createCalendar } from "../../adapters/definitions/calendar.ts";
import { createMemoryStore, type MemoryStore } from "../../adapters/store/memory/store.ts";
import { COMPLETED, commit, request, worker } from "../../contracts/run-store-suite/fixtures.suite.ts";
import type { Chore } from "../../contracts/service.ts";
import { type ErrorCode, FailureError, fail, failure, ok, type Result } from "../../domain/errors.ts";
import type { RunRequest } from "../../domain/fact.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { Schedule, Trigger } from "../../domain/schedule.ts";
import { scheduler } from "./scheduler.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOON = Date.UTC(2026, 5, 1, 12);

let now: number;
let memory: MemoryStore;
let warned: string[];
let runs: number;

beforeEach(() => {
  now = NOON;
  runs = 0;
  warned = [];
  memory = createMemoryStore({ clock: { now: () => now, after: () => () => undefined } });
});

const silent = {
  debug() {},
  info() {},
  error() {},
  warn: (_: object, text: string) => void warned.push(text),
};

interface Given {
  readonly schedules?: MemoryStore["schedules"];
  readonly store?: Pick<MemoryStore["store"], "admit" | "post">;
  readonly prepare?: (schedule: Schedule) => Promise<Result<RunRequest>>;
}

function process(given: Given = {}): Chore {
  return scheduler({
    schedules: given.schedules ?? memory.schedules,
    store: given.store ?? memory.store,
    calendar: createCalendar(),
    clock: { now: () => now, after: () => () => undefined },
    log: silent as never,
    newRunId: () => {
      runs += 1;
      return `run_${runs}`;
    },
    hash: (text) => `hash of ${text}`,
    prepare: given.prepare ?? (async ({ workflow }) => ok(request({ title: workflow }))),
  });
}

async function add(over: Partial<Trigger> = {}, id = "sch_1"): Promise<void> {
  const trigger = {
    cron: "0 * * * *",
    timezone: "UTC",
    catchUp: "last",
    jitterMs: 0,
    overlap: "allow",
    inputs: {},
  } as const;
  const schedule: Schedule = {
    id,
    workflow: "fix",
    origin: "api",
    spec: { ...trigger, tenant: "default", queue: "default", priority: 5, ...over },
    status: "active",
    createdAt: now,
    createdBy: "ann",
    cursorAt: now,
    nextAt: now,
  };
  await memory.schedules.add(schedule);
}

/** Due times of runs that are there, in hours from noon, by schedule. */
async function started(id = "sch_1"): Promise<number[]> {
  const all = await memory.reader.runs({ filter: {}, after: null, limit: 10_000 });
  const dues: number[] = [];
  for (const run of all) {
    const [first] = (await memory.reader.factsOf(run.id, { after: 0, limit: 1 })) ?? [];
    if (first?.kind !== "run_queued" || first.request.schedule?.id !== id) continue;
    dues.push((first.request.schedule.dueAt - NOON) / HOUR);
  }
  return dues.sort((a, b) => a - b);
}

const states = async (id = "sch_1") =>
  [...(await memory.schedules.firings(id, 100))].reverse().map(({ state, detail }) => detail ?? state);

async function endRun(run: string): Promise<void> {
  await memory.store.join(worker("w"));
  const claims = (await memory.store.claim({ worker: "w", limit: 100 })) ?? [];
  const claim = claims.find((one) => one.run === run);
  if (claim === undefined) throw new Error(`${run} is not ready`);
  await memory.store.commit([commit(claim, { started: true, next: COMPLETED })]);
  await memory.store.leave("w");
}

describe("the scheduler", () => {
  it("starts a run at each due time, and says in the run why", async () => {
    await add();
    const chore = process();
    await chore.runOnce();
    expect(await started()).toEqual([]);
    for (now = NOON + HOUR; now < NOON + 4 * HOUR; now += 10 * MINUTE) await chore.runOnce();
    expect(await started()).toEqual([1, 2, 3]);
    expect(await states()).toEqual(["started", "started", "started"]);
    const [first] = (await memory.reader.factsOf("run_1", { after: 0, limit: 1 })) ?? [];
    expect(first).toMatchObject({ request: { schedule: { id: "sch_1", dueAt: NOON + HOUR } } });
  });

  it("fires once however many look at the same moment", async () => {
    await add();
    const many = Array.from({ length: 5 }, () => process());
    for (now = NOON; now < NOON + 3 * HOUR; now += 15 * MINUTE) {
      await Promise.all(many.map((one) => one.runOnce()));
    }
    expect(await started()).toEqual([1, 2]);
  });

  it("fires nothing twice when the clock goes back", async () => {
    await add();
    const chore = process();
    for (const hours of [1, 2, 3, 1, 0.5, 2, 3, 3.5, 4]) {
      now = NOON + hours * HOUR;
      await chore.runOnce();
    }
    expect(await started()).toEqual([1, 2, 3, 4]);
  });

  it("makes up for what was missed as the schedule says, and tells of the rest", async () => {
    for (const catchUp of ["none", "last", "all"] as const) await add({ catchUp }, `sch_${catchUp}`);
    now = NOON + 5.5 * HOUR;
    await process().runOnce();
    expect(await started("sch_none")).toEqual([]);
    expect(await started("sch_last")).toEqual([5]);
    expect(await started("sch_all")).toEqual([1, 2, 3, 4, 5]);
    const [missed] = await memory.schedules.events("sch_last", 1);
    expect(missed).toMatchObject({ kind: "missed", by: "scheduler" });
    expect(JSON.parse(missed?.detail ?? "")).toMatchObject({ count: 4 });
  });

  it("catches up with years in a bounded number of looks", async () => {
    await add({ cron: "* * * * *" });
    now = NOON + 7 * 24 * HOUR;
    await process().runOnce();
    expect(await started()).toEqual([7 * 24]);
    expect((await memory.schedules.byId("sch_1"))?.cursorAt).toBe(now);
  });

  it("starts a due time later by its jitter, and knows it by its due time", async () => {
    await add({ jitterMs: 30 * MINUTE });
    const chore = process();
    now = NOON + HOUR;
    await chore.runOnce();
    expect(await started()).toEqual([]);
    now = NOON + 1.5 * HOUR;
    await chore.runOnce();
    expect(await started()).toEqual([1]);
  });

  it("skips while an earlier run is open, if it is told to", async () => {
    await add({ overlap: "skip" });
    const chore = process();
    for (const hours of [1, 2]) {
      now = NOON + hours * HOUR;
      await chore.runOnce();
    }
    await endRun("run_1");
    now = NOON + 3 * HOUR;
    await chore.runOnce();
    expect(await started()).toEqual([1, 3]);
    expect(await states()).toEqual(["started", "run_1 had not ended", "started"]);
  });

  it("cancels the earlier one, if it is told to", async () => {
    await add({ overlap: "cancel_older" });
    const chore = process();
    for (const hours of [1, 2]) {
      now = NOON + hours * HOUR;
      await chore.runOnce();
    }
    expect(await started()).toEqual([1, 2]);
    await memory.store.join(worker("w"));
    const [first] = (await memory.store.claim({ worker: "w", limit: 1 })) ?? [];
    expect(first?.run).toBe("run_1");
    const messages = await memory.store.inbox([first?.no ?? 0]);
    expect(messages.map(({ kind, from }) => `${kind} from ${from}`)).toEqual([
      `cancel from schedule:sch_1:${NOON + 2 * HOUR}`,
    ]);
  });

  it("starts nothing of a paused or removed schedule", async () => {
    await add();
    const chore = process();
    await memory.schedules.change("sch_1", { status: "paused", by: "ann", at: now });
    now = NOON + 2.5 * HOUR;
    await chore.runOnce();
    await memory.schedules.change("sch_1", { status: "active", by: "ann", at: now });
    await chore.runOnce();
    expect(await started()).toEqual([]);
    now = NOON + 3 * HOUR;
    await chore.runOnce();
    expect(await started()).toEqual([3]);
    await memory.schedules.change("sch_1", { status: "removed", by: "ann", at: now });
    now = NOON + 9 * HOUR;
    await chore.runOnce();
    expect(await started()).toEqual([3]);
  });

  it("lets go of a due time whose schedule was removed before it was decided", async () => {
    await add();
    now = NOON + HOUR;
    const plan = { fire: [now], missed: null, cursorAt: now, nextAt: null };
    await memory.schedules.advance("sch_1", { from: NOON, plan, at: now });
    await memory.schedules.change("sch_1", { status: "removed", by: "ann", at: now });
    await process().runOnce();
    expect(await states()).toEqual(["the schedule was removed"]);
  });

  it("tells what could not be started, and goes on", async () => {
    await add();
    const refused = fail<RunRequest>("invalid_input", "inputs: `who` is missing");
    const chore = process({ prepare: async () => (now < NOON + 2 * HOUR ? refused : ok(request())) });
    for (const hours of [1, 2]) {
      now = NOON + hours * HOUR;
      await chore.runOnce();
    }
    expect(await states()).toEqual(["invalid_input: inputs: `who` is missing", "started"]);
    expect(warned).toEqual(["a scheduled run could not be started"]);
  });

  it("tries again for a while what may pass", async () => {
    await add();
    let code: ErrorCode = "unavailable";
    const store = {
      ...memory.store,
      admit: async () => [{ kind: "refused", failure: failure(code, "not now") }] as const,
    };
    const chore = process({ store });
    now = NOON + HOUR;
    await chore.runOnce();
    expect(await states()).toEqual(["starting"]);
    await process().runOnce();
    expect(await started()).toEqual([1]);
    now = NOON + 2 * HOUR;
    await chore.runOnce();
    now += LIMITS.scheduleRetryMs - 1;
    await chore.runOnce();
    expect((await states())[1]).toBe("starting");
    now += 1;
    await chore.runOnce();
    expect((await states())[1]).toBe("unavailable: not now");
    code = "conflict";
    now = NOON + 4 * HOUR;
    await chore.runOnce();
    expect((await states()).at(-1)).toBe("conflict: not now");
  });

  it("does not take another's run for its own", async () => {
    await add();
    const due = NOON + HOUR;
    const key = `schedule:sch_1:${due}`;
    const idempotency = { key, bodyHash: `hash of ${key}` };
    await memory.store.admit([{ id: "run_theirs", request: request(), idempotency, at: now }]);
    now = due;
    await process().runOnce();
    expect(await states()).toEqual([`the idempotency key ${key} is run_theirs's`]);
  });

  it("is not kept from the others by one that throws", async () => {
    await add({}, "sch_1");
    await add({}, "sch_2");
    now = NOON + HOUR;
    const prepare = async ({ id }: Schedule) => {
      if (id === "sch_1") throw new Error("broken");
      return ok(request());
    };
    await process({ prepare }).runOnce();
    expect(await started("sch_2")).toEqual([1]);
    expect(await states("sch_1")).toEqual(["starting"]);
    expect(warned).toEqual(["a firing failed and is tried again"]);
    await process().runOnce();
    expect(await started("sch_1")).toEqual([1]);
  });

  it("dies with the store", async () => {
    await add();
    now = NOON + HOUR;
    const gone = new FailureError(failure("unavailable", "the database is gone"));
    const store = { ...memory.store, admit: () => Promise.reject(gone) };
    await expect(process({ store }).runOnce()).rejects.toThrow("the database is gone");
  });
});

/** Every call of the store, counted; at the n-th the process dies, before the call is made or after it was. */
function dying<T extends object>(of: T, at: { n: number; readonly after: boolean }): T {
  return new Proxy(of, {
    get(target, name, receiver) {
      const verb = Reflect.get(target, name, receiver);
      if (typeof verb !== "function") return verb;
      return async (...args: unknown[]) => {
        at.n -= 1;
        if (at.n === 0 && !at.after) throw new FailureError(failure("internal", "died before"));
        const value = await verb.apply(target, args);
        if (at.n === 0) throw new FailureError(failure("internal", "died after"));
        return value;
      };
    },
  });
}

describe("a scheduler that dies at any of its calls", () => {
  it.each(["skip", "cancel_older", "allow"] as const)(
    "starts each due time once all the same: overlap %s",
    async (overlap) => {
      let calls = 0;
      for (const after of [false, true]) {
        for (let n = 1; ; n += 1) {
          now = NOON;
          memory = createMemoryStore({ clock: { now: () => now, after: () => () => undefined } });
          await add({ overlap, catchUp: "all" });
          now = NOON + HOUR;
          const at = { n, after };
          const victim = process({
            schedules: dying(memory.schedules, at),
            store: { admit: dying(memory.store, at).admit, post: dying(memory.store, at).post },
          });
          const died = await victim.runOnce().then(
            () => false,
            () => true,
          );
          // Two others take over at the same time.
          await Promise.all([process().runOnce(), process().runOnce()]);
          now = NOON + 1.5 * HOUR;
          await process().runOnce();
          expect(await started(), `call ${n} ${after ? "after" : "before"}`).toEqual([1]);
          expect(await states()).toEqual(["started"]);
          if (!died) break;
          calls += 1;
        }
      }
      expect(calls).toBeGreaterThan(10);
    },
  );
});
