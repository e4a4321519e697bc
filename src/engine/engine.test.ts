// Long because the promises of the engine share one desk: the store of plain values and a clock that stands still.

import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ManualClock } from "../../tests/support/manual-clock.ts";
import { createMemoryStore, type MemoryStore } from "../adapters/store/memory/store.ts";
import { newId } from "../base/id.ts";
import type { Json } from "../base/json.ts";
import type { Action, ActionContext } from "../contracts/action.ts";
import type { EffectClass } from "../domain/effect.ts";
import { FailureError, fail, failure, ok } from "../domain/errors.ts";
import type { Fact } from "../domain/fact.ts";
import { LIMITS } from "../domain/limits.ts";
import { request, step, tinyExpressions, workflow } from "../domain/testing.suite.ts";
import type { StepSpec, Workflow } from "../domain/workflow.ts";
import type { EngineParts } from "./parts.ts";
import { Worker } from "./worker.ts";

type Perform = (input: Json, context: ActionContext) => Promise<Json>;

/** The engine over the store of plain values and a clock that stands still; each process is a worker of its own. */
class Desk {
  readonly clock = new ManualClock();
  readonly memory: MemoryStore;
  readonly actions = new Map<string, Perform>();
  readonly logged: string[] = [];
  trouble: (() => void) | null = null;
  #workers = 0;

  constructor() {
    this.memory = createMemoryStore({
      clock: this.clock,
      beforeCommit: (verb) => verb === "commit" && this.trouble?.(),
    });
  }

  parts(): EngineParts {
    const log = (_: object, message: string) => void this.logged.push(message);
    const action = (name: string, perform: Perform): Action => ({
      name,
      description: "",
      input: {},
      output: {},
      parse: (input) => (input === "bad" ? fail("invalid_input", "bad") : ok(input)),
      perform,
    });
    const all = () => [...this.actions].map(([name, perform]) => action(name, perform));
    return {
      store: this.memory.store,
      runs: this.memory.reader,
      workflows: this.memory.workflows,
      artifacts: {
        put: async (content) => ({
          sha256: createHash("sha256").update(content).digest("hex"),
          bytes: content.length,
        }),
        get: async () => null,
      },
      actions: { get: (name) => all().find((one) => one.name === name) ?? null, list: all },
      expressions: tinyExpressions,
      live: { publish() {}, subscribe: () => () => {} },
      log: { debug() {}, info() {}, warn: log, error: log },
      clock: this.clock,
      random: () => 0.5,
      hash: (text) => createHash("sha256").update(text).digest("hex"),
      defer: (run) => void setImmediate(run),
      prepareChild: async (child) =>
        ok(request({ workflow: { name: child.workflow, version: "1", hash: child.workflow } })),
    };
  }

  worker(slots = 4): Worker {
    this.#workers += 1;
    const id = `w${this.#workers}`;
    return new Worker(this.parts(), { id, host: "h", pid: this.#workers, processStart: id, slots });
  }

  async start(flow: Workflow): Promise<string> {
    await this.memory.workflows.save({ workflow: flow, source: "", origin: "built-in", savedAt: 0 });
    const id = newId("run", this.clock.now(), Math.random);
    const asked = request({ workflow: { name: flow.name, version: "1", hash: flow.hash } });
    await this.memory.store.admit([{ id, request: asked, idempotency: null, at: this.clock.now() }]);
    return id;
  }

  one(spec: Partial<StepSpec> = {}): Promise<string> {
    const hash = `one ${JSON.stringify(spec)}`;
    return this.start({ ...workflow([step("a", { uses: "act", ...spec })]), hash });
  }

  /** A worker that dies without a word once its lease is old enough to be taken. */
  async bury(): Promise<void> {
    await this.clock.advance(LIMITS.leaseTtlMs + 1);
    await this.memory.store.reap(this.clock.now());
  }

  async facts(run: string): Promise<readonly Fact[]> {
    return (await this.memory.reader.factsOf(run, { after: 0, limit: 10_000 })) ?? [];
  }

  async kinds(run: string): Promise<readonly string[]> {
    return (await this.facts(run)).map((fact) => fact.kind);
  }

  async end(run: string): Promise<{ status: string; code: string | null; output: Json }> {
    const summary = await this.memory.reader.run(run);
    return {
      status: summary?.status ?? "?",
      code: summary?.failure?.code ?? null,
      output: summary?.output ?? null,
    };
  }
}

let desk: Desk;
beforeEach(() => {
  desk = new Desk();
});
afterEach(() => desk.memory.close());

describe("a step", () => {
  it("that names an action nobody registered, or gives it a bad input, fails by code", async () => {
    const unknown = await desk.one({ uses: "nothing" });
    desk.actions.set("act", async () => null);
    const bad = await desk.one({ with: "bad" as never });
    await desk.worker().runOnce();
    expect((await desk.end(unknown)).code).toBe("unknown_action");
    expect((await desk.end(bad)).code).toBe("invalid_input");
  });

  it("that throws, or says too much, fails with what it was", async () => {
    desk.actions.set("act", async () => {
      throw new Error("boom");
    });
    desk.actions.set("talk", async () => "x".repeat(LIMITS.outputBytes + 1));
    const crashed = await desk.one();
    const loud = await desk.one({ uses: "talk" });
    await desk.worker().runOnce();
    expect(await desk.end(crashed)).toMatchObject({ status: "failed", code: "action_crashed" });
    expect((await desk.end(loud)).code).toBe("limit_exceeded");
  });

  it("that does not listen to its abort is left behind after the grace, and its late result is nobody's", async () => {
    let late: (value: Json) => void = () => {};
    desk.actions.set("act", () => new Promise((resolve) => (late = resolve)));
    const run = await desk.one({ timeoutMs: 1_000 });
    const done = desk.worker().runOnce();
    await desk.clock.run(done);
    late("too late");
    expect(await desk.end(run)).toMatchObject({ status: "failed", code: "step_timeout" });
    expect((await desk.kinds(run)).at(-1)).toBe("run_failed");
  });
});

describe("an effect whose outcome was lost", () => {
  /** Performs once, then hangs as a dead process would; a second worker takes the run over. */
  async function interrupted(
    effect: EffectClass,
    query: () => Promise<Json>,
  ): Promise<{ run: string; performed: number }> {
    const counts = { performed: 0 };
    let alive = true;
    desk.actions.set("act", async (_, context) =>
      context.once("deed", {
        effect,
        request: { what: "deed" },
        label: "the deed",
        perform: async () => {
          counts.performed += 1;
          if (alive) await new Promise(() => {});
          return "done";
        },
        query,
      }),
    );
    const run = await desk.one();
    void desk.worker().runOnce();
    await desk.clock.advance(0);
    await desk.clock.advance(0);
    alive = false;
    await desk.bury();
    await desk.worker().runOnce();
    return { run, performed: counts.performed };
  }

  it.each([
    ["pure", 2],
    ["idempotent", 2],
  ] as const)("is done again when it is %s", async (effect, times) => {
    const { run, performed } = await interrupted(effect, async () => null);
    expect(performed).toBe(times);
    expect((await desk.end(run)).status).toBe("completed");
  });

  it("is asked of the world when it can be: found, it is not repeated; not found, it is done", async () => {
    const found = await interrupted("query", async () => "seen");
    expect(found.performed).toBe(1);
    const facts = await desk.facts(found.run);
    expect(facts.find((fact) => fact.kind === "step_succeeded")).toMatchObject({ output: "seen" });
    const missing = await interrupted("query", async () => null);
    expect(missing.performed).toBe(2);
  });

  it.each([
    ["approved", 2, "completed"],
    ["denied", 1, "failed"],
  ] as const)("is parked when it is manual: %s", async (answer, times, status) => {
    const { run, performed } = await interrupted("manual", async () => null);
    expect(performed).toBe(1);
    const [asked] = await desk.memory.reader.approvals({ status: "pending", run, after: null, limit: 5 });
    expect(asked?.title).toContain("the deed");
    const done = { approval: asked?.id ?? "", answer, by: "ann", comment: "", at: desk.clock.now() };
    expect(await desk.memory.store.answerApproval(done)).toBe("accepted");
    let again = 0;
    const act = desk.actions.get("act");
    if (act) {
      desk.actions.set("act", (input, context) => {
        again += 1;
        return act(input, context);
      });
    }
    await desk.worker().runOnce();
    expect(again).toBe(1);
    expect((await desk.end(run)).status).toBe(status);
    const recorded = (await desk.facts(run)).filter((fact) => fact.kind === "effect_recorded");
    expect(recorded).toHaveLength(1);
    expect(times === 2).toBe(recorded[0]?.kind === "effect_recorded" && recorded[0].result.ok);
  });

  it("cannot be mistaken for another one under the same key", async () => {
    let asked = "first";
    desk.actions.set("act", async (_, context) => {
      await context.once("deed", { effect: "pure", request: asked, label: "", perform: async () => null });
      await context.sleep("nap", 10);
      return null;
    });
    const run = await desk.one();
    await desk.worker().runOnce();
    asked = "second";
    await desk.clock.advance(10);
    await desk.memory.store.wakeDue(desk.clock.now(), 10);
    await desk.worker().runOnce();
    expect((await desk.end(run)).code).toBe("replay_mismatch");
  });

  it("is a recorded failure for ever once it failed", async () => {
    let tried = 0;
    desk.actions.set("act", async (_, context) => {
      const deed = { effect: "idempotent" as const, request: 1, label: "" };
      const perform = async (): Promise<Json> => {
        tried += 1;
        throw new FailureError(failure("model_overloaded", "no"));
      };
      await context.once("deed", { ...deed, perform }).catch(() => null);
      await context.sleep("nap", 10);
      return context.once("deed", { ...deed, perform }).catch((error: FailureError) => error.failure.code);
    });
    const run = await desk.one();
    await desk.worker().runOnce();
    await desk.clock.advance(10);
    await desk.memory.store.wakeDue(desk.clock.now(), 10);
    await desk.worker().runOnce();
    expect(tried).toBe(1);
    expect((await desk.facts(run)).find((fact) => fact.kind === "step_succeeded")).toMatchObject({
      output: "model_overloaded",
    });
  });
});

describe("a worker", () => {
  it("drives no more runs at a time than it has slots, and more when it is resized", async () => {
    let now = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    desk.actions.set("act", async () => {
      now += 1;
      most = Math.max(most, now);
      await new Promise<void>((resolve) => waiting.push(resolve));
      now -= 1;
      return null;
    });
    for (let n = 0; n < 5; n += 1) await desk.one();
    const worker = desk.worker(2);
    worker.start();
    await desk.clock.advance(600);
    expect(most).toBe(2);
    worker.resize(4);
    await desk.clock.advance(600);
    expect(most).toBe(4);
    desk.actions.set("act", async () => null);
    for (const go of waiting) go();
    await desk.clock.advance(2_000);
    expect((await desk.memory.reader.counts()).byStatus.completed).toBe(5);
    await desk.clock.run(worker.stop());
  });

  it("that was taken for dead writes nothing more, and starts anew", async () => {
    let hold: () => void = () => {};
    desk.actions.set("act", () => new Promise((resolve) => (hold = () => resolve("first"))));
    const run = await desk.one();
    const slow = desk.worker();
    slow.start();
    await desk.clock.advance(0);
    await desk.clock.advance(0);
    await desk.bury();
    desk.actions.set("act", async () => "second");
    const other = desk.worker();
    await other.runOnce();
    hold();
    await desk.clock.advance(1_000);
    expect((await desk.facts(run)).filter((fact) => fact.kind === "step_succeeded")).toMatchObject([
      { output: "second" },
    ]);
    const next = await desk.one();
    await desk.clock.advance(1_000);
    expect((await desk.end(next)).status).toBe("completed");
    await desk.clock.run(slow.stop());
  });

  it("that slept past its lease does nothing outside: another has done it meanwhile", async () => {
    let wake: () => void = () => {};
    const done: string[] = [];
    const acting = (name: string, asleep: boolean) => async (_: Json, context: ActionContext) => {
      if (asleep) await new Promise<void>((resolve) => (wake = resolve));
      const effect = "pure" as const;
      const perform = async () => done.push(name);
      return context.once("k", { effect, request: null, label: "k", perform });
    };
    desk.actions.set("act", acting("slow", true));
    const run = await desk.one();
    const slow = desk.worker();
    slow.start();
    await desk.clock.advance(0);
    await desk.clock.advance(0);
    await desk.clock.advance(LIMITS.leaseTtlMs + 1);
    // It wakes before anybody has told it that it was taken for dead.
    wake();
    await desk.clock.advance(0);
    await desk.memory.store.reap(desk.clock.now());
    desk.actions.set("act", acting("quick", false));
    await desk.worker().runOnce();
    await desk.clock.advance(1_000);
    expect(done).toEqual(["quick"]);
    expect((await desk.end(run)).status).toBe("completed");
    await desk.clock.run(slow.stop());
  });

  it("that hears of its lease again goes on where it waited", async () => {
    let wake: () => void = () => {};
    desk.actions.set("act", async (_, context) => {
      await new Promise<void>((resolve) => (wake = resolve));
      const perform = async () => "done";
      return context.once("k", { effect: "pure", request: null, label: "k", perform });
    });
    const run = await desk.one();
    const worker = desk.worker();
    worker.start();
    await desk.clock.advance(0);
    await desk.clock.advance(0);
    await desk.clock.advance(LIMITS.leaseTtlMs + 1);
    wake();
    await desk.clock.advance(500);
    expect((await desk.end(run)).status).toBe("running");
    desk.memory.beat("w1");
    await desk.clock.advance(500);
    expect(await desk.end(run)).toMatchObject({ status: "completed" });
    await desk.clock.run(worker.stop());
  });

  it("gives a run back when the store was in trouble, and it ends when that is over", async () => {
    desk.actions.set("act", async () => null);
    const run = await desk.one();
    desk.trouble = () => {
      throw new FailureError(failure("disk_full", "no space left"));
    };
    const worker = desk.worker();
    worker.start();
    await desk.clock.advance(600);
    expect((await desk.end(run)).status).toBe("queued");
    desk.trouble = null;
    await desk.clock.advance(10_000);
    expect((await desk.end(run)).status).toBe("completed");
    await desk.clock.run(worker.stop());
  });

  it("fails a run whose workflow is not there, and leaves its neighbours alone", async () => {
    desk.actions.set("act", async () => null);
    const { byHash } = desk.memory.workflows;
    desk.memory.workflows.byHash = (hash) => (hash === "gone" ? Promise.resolve(null) : byHash(hash));
    const lost = await desk.start({ ...workflow([step("a", { uses: "act" })]), name: "gone", hash: "gone" });
    const fine = await desk.one();
    await desk.worker().runOnce();
    expect(await desk.end(lost)).toMatchObject({ status: "failed", code: "not_found" });
    expect((await desk.end(fine)).status).toBe("completed");
  });

  it("sends nothing to a run that is not there", async () => {
    desk.actions.set("act", async (_, context) => {
      await context.send("k", { to: "run_nobody", name: "n", body: null });
      return null;
    });
    const run = await desk.one();
    await desk.worker().runOnce();
    expect(await desk.end(run)).toMatchObject({ status: "failed", code: "not_found" });
  });

  it("drains: lets what is under way end, starts nothing more, gives the rest back", async () => {
    let go: () => void = () => {};
    desk.actions.set("act", () => new Promise((resolve) => (go = () => resolve(null))));
    const run = await desk.start(
      workflow([step("a", { uses: "act" }), step("b", { uses: "act", needs: ["a"] })]),
    );
    const worker = desk.worker();
    worker.start();
    await desk.clock.advance(0);
    await desk.clock.advance(0);
    const stopped = worker.stop(5_000);
    go();
    await stopped;
    expect((await desk.kinds(run)).at(-1)).toBe("step_succeeded");
    expect(await desk.memory.reader.counts()).toMatchObject({ ready: 1, leased: 0, workers: 0 });
  });
});
