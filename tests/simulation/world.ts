import { createHash } from "node:crypto";
import { createMemoryStore, type MemoryStore } from "../../src/adapters/store/memory/store.ts";
import { newId } from "../../src/base/id.ts";
import { SteadyClock } from "../../src/base/steady-clock.ts";
import type { Lead, Leaders } from "../../src/contracts/leader.ts";
import type { Log } from "../../src/contracts/log.ts";
import type { RunStore, StoreHint, WorkerInfo } from "../../src/contracts/run-store.ts";
import type { EffectClass } from "../../src/domain/effect.ts";
import { ok } from "../../src/domain/errors.ts";
import type { Fact } from "../../src/domain/fact.ts";
import { LIMITS } from "../../src/domain/limits.ts";
import { hasRunEnded } from "../../src/domain/run.ts";
import { request, step, tinyExpressions, workflow } from "../../src/domain/testing.suite.ts";
import type { Workflow } from "../../src/domain/workflow.ts";
import type { EngineParts } from "../../src/engine/parts.ts";
import { createLeadership } from "../../src/engine/services/leadership.ts";
import { repeat } from "../../src/engine/services/repeat.ts";
import { rescuer } from "../../src/engine/services/rescuer.ts";
import { timers } from "../../src/engine/services/timers.ts";
import { Worker } from "../../src/engine/worker.ts";
import { type Outside, simulatedActions } from "./actions.ts";
import { pick, seeded } from "./random.ts";
import { ProcessTime, Scheduler } from "./scheduler.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const retry = { maxAttempts: 4, backoff: { initialMs: 100, factor: 2, maxMs: 1_000 } };
const each = { items: "[1, 2, 3]", maxParallel: 2, failFast: false };

export const WORKFLOWS: readonly Workflow[] = [
  {
    ...workflow([
      step("a", { uses: "effects" }),
      step("b", { uses: "effects", needs: ["a"] }),
      step("c", { uses: "noop", needs: ["b"] }),
    ]),
    name: "linear",
    hash: "linear",
  },
  {
    ...workflow(
      [step("fan", { uses: "effects", foreach: each }), step("join", { uses: "noop", needs: ["fan"] })],
      { maxParallel: 3 },
    ),
    name: "fan-out",
    hash: "fan-out",
  },
  {
    ...workflow([
      step("nap", { uses: "sleep" }),
      step("hear", { uses: "listen", needs: ["nap"] }),
      step("ask", { uses: "ask", needs: ["hear"] }),
    ]),
    name: "waiting",
    hash: "waiting",
  },
  {
    ...workflow([
      step("spawn", { uses: "spawn" }),
      step("fan", { uses: "spawn", foreach: { ...each, items: "[1, 2]" } }),
    ]),
    name: "parent",
    hash: "parent",
  },
  {
    ...workflow([
      step("work", { uses: "effects" }),
      step("flaky", { uses: "flaky", retry, needs: ["work"] }),
    ]),
    name: "leaf",
    hash: "leaf",
  },
  {
    ...workflow([step("slow", { uses: "slow" }), step("never", { uses: "effects", needs: ["slow"] })]),
    name: "canceled",
    hash: "canceled",
  },
  {
    ...workflow([
      step("tell", { uses: "tell", with: { to: "${{ run.id }}" } }),
      step("hear", { uses: "listen", needs: ["tell"] }),
    ]),
    name: "message",
    hash: "message",
  },
  {
    ...workflow([
      step("slow", { uses: "slow", timeoutMs: 1_000, onFailure: { kind: "run", step: "undo" } }),
      step("undo", { uses: "effects" }),
    ]),
    name: "timeout",
    hash: "timeout",
  },
];

interface Process {
  readonly worker: Worker;
  readonly time: ProcessTime;
  readonly info: WorkerInfo;
  readonly stop: () => void;
  readonly listeners: ((hint: StoreHint) => void)[];
  /** Beats come from a thread of their own; a frozen process has none. */
  beating: boolean;
}

/** What went wrong, said as a sentence; the harness fails with all of them. */
export class World {
  readonly random: () => number;
  readonly scheduler: Scheduler;
  readonly memory: MemoryStore;
  readonly outside: Outside = { performed: [] };
  readonly broken: string[] = [];
  readonly runs: string[] = [];
  crashes = 0;
  #processes: Process[] = [];
  #spawned = 0;
  #lead: Lead | null = null;
  #dieBefore: Process | null = null;
  #dieAfter: Process | null = null;

  constructor(seed: number) {
    this.random = seeded(seed);
    this.scheduler = new Scheduler(this.random);
    this.memory = createMemoryStore({
      clock: { now: () => this.scheduler.now, after: (ms, wake) => this.scheduler.after(ms, wake) },
    });
  }

  async setUp(runs: number): Promise<void> {
    for (const flow of WORKFLOWS) {
      await this.memory.workflows.save({ workflow: flow, source: "", origin: "built-in", savedAt: 0 });
    }
    for (let n = 0; n < runs; n += 1) await this.admit();
    this.spawn();
    this.spawn();
    this.#beat();
  }

  async admit(): Promise<void> {
    const flow = pick(this.random, WORKFLOWS);
    const id = newId("run", this.scheduler.now, this.random);
    const deadlineAt = this.random() < 0.1 ? this.scheduler.now + 20_000 : null;
    const asked = request({ workflow: { name: flow.name, version: "1", hash: flow.hash }, deadlineAt });
    await this.memory.store.admit([{ id, request: asked, idempotency: null, at: this.scheduler.now }]);
    this.runs.push(id);
  }

  /** A new process: own clock, own turn-taking, the same store. */
  spawn(): void {
    this.#spawned += 1;
    const number = this.#spawned;
    const time = new ProcessTime(this.scheduler);
    time.skewMs = pick(this.random, [0, 0, -3_600_000, 3_600_000]);
    const info: WorkerInfo = {
      id: `w${number}`,
      host: "sim",
      pid: number,
      processStart: String(number),
      slots: 3,
    };
    const process: Process = {
      info,
      time,
      beating: true,
      listeners: [],
      worker: null as unknown as Worker,
      stop: () => {},
    };
    const parts = this.#parts(process, number);
    const worker = new Worker(parts, info);
    const leadership = createLeadership({
      leaders: this.#leadersOf(process),
      clock: parts.clock,
      log: silent,
      duty: "housekeeping",
      candidate: { member: info.id, host: info.host, pid: info.pid, processStart: info.processStart },
      chores: [rescuer(parts, "all"), timers(parts)],
    });
    const services = [repeat(parts, rescuer(parts, "host")), leadership];
    Object.assign(process, { worker });
    this.#processes.push(process);
    worker.start();
    for (const service of services) service.start();
  }

  /** kill -9: nothing of it runs any more, whatever it was waiting for. */
  kill(process: Process): void {
    this.crashes += 1;
    process.time.alive = false;
    process.beating = false;
    this.#processes = this.#processes.filter((one) => one !== process);
    this.scheduler.after(Math.floor(this.random() * 3_000), () => this.spawn());
  }

  /** One fault of the seed's choosing, now or at the next commit. */
  fault(): void {
    const process = this.#processes.length > 0 ? pick(this.random, this.#processes) : null;
    if (!process) return;
    const chance = this.random();
    if (chance < 0.3) this.kill(process);
    else if (chance < 0.45) this.#dieBefore = process;
    else if (chance < 0.6) this.#dieAfter = process;
    else if (chance < 0.75) this.#freeze(process);
    else if (chance < 0.85) process.time.skewMs = pick(this.random, [-3_600_000, 3_600_000]);
    else if (chance < 0.9) process.time.skewMs = 0;
    else void process.worker.stop(500).then(() => this.kill(process));
  }

  /** Longer than its lease without a beat, while its work goes on: a zombie when it wakes. */
  #freeze(process: Process): void {
    process.beating = false;
    this.scheduler.after(LIMITS.leaseTtlMs * 2, () => {
      process.beating = true;
    });
  }

  #beat(): void {
    for (const { info, beating, listeners } of this.#processes) {
      // The thread that beats is told first that the worker is not known any more.
      if (beating && !this.memory.beat(info.id))
        for (const tell of listeners) tell({ kind: "lost", worker: info.id });
    }
    this.scheduler.after(LIMITS.beatMs, () => this.#beat());
  }

  #parts(process: Process, number: number): EngineParts {
    const parts: EngineParts = {
      store: this.#storeOf(process),
      runs: this.memory.reader,
      workflows: this.memory.workflows,
      artifacts: { put: async () => ({ sha256: "0", bytes: 0 }), get: async () => null },
      actions: simulatedActions({
        outside: this.outside,
        random: this.random,
        process: number,
        onPerform: (did) => this.#judgePerform({ ...did, process: number }),
      }),
      expressions: tinyExpressions,
      live: { publish() {}, subscribe: () => () => {} },
      log: silent,
      clock: this.#steady(process),
      random: this.random,
      hash: (text) => createHash("sha256").update(text).digest("hex"),
      defer: process.time.defer,
      prepareChild: async (child) =>
        ok(request({ workflow: { name: child.workflow, version: "1", hash: child.workflow } })),
    };
    return parts;
  }

  /** As every process has it: its own wall clock may be wrong, and jump, and nobody is disturbed. */
  #steady({ time }: Process): SteadyClock {
    const now = this.scheduler.now;
    const steady = new SteadyClock({ local: time.clock, ticks: () => this.scheduler.now });
    steady.correct({ asked: now, answered: now, said: now });
    return steady;
  }

  #leadersOf(process: Process): Leaders {
    const { leaders } = this.memory;
    const never = new Promise<never>(() => {});
    const alive = async <T>(work: () => Promise<T>): Promise<T> => {
      if (!process.time.alive) return never;
      const result = await work();
      return process.time.alive ? result : never;
    };
    return {
      stand: (duty, candidate) =>
        alive(async () => {
          const before = this.#lead;
          const lead = await leaders.stand(duty, candidate);
          if (lead === null) return null;
          if (before?.held()) this.broken.push(`${duty} has two leaders`);
          this.#lead = lead;
          return { ...lead, renew: () => alive(() => lead.renew()) };
        }),
      leading: () => leaders.leading(),
    };
  }

  /** The store as one process sees it: a dead process gets no answer, and may die around a commit. */
  #storeOf(process: Process): RunStore {
    const never = new Promise<never>(() => {});
    const call = async <T>(work: () => Promise<T>): Promise<T> => {
      if (!process.time.alive) return never;
      const result = await work();
      return process.time.alive ? result : never;
    };
    const { store } = this.memory;
    return {
      ...store,
      admit: (batch) => call(() => store.admit(batch)),
      join: (worker) => call(() => store.join(worker)),
      leave: (worker) => call(() => store.leave(worker)),
      claim: (ask) =>
        call(async () => {
          const claims = await store.claim(ask);
          for (const claim of claims ?? []) this.#driver.set(claim.run, process.info.pid);
          return claims;
        }),
      commit: (batch) =>
        call(async () => {
          if (this.#dieBefore === process) this.#die(process, "before");
          if (!process.time.alive) return never;
          const result = await store.commit(batch);
          if (this.#dieAfter === process) this.#die(process, "after");
          return result;
        }),
      post: (batch) => call(() => store.post(batch)),
      inbox: (runs) => call(() => store.inbox(runs)),
      wakeDue: (now, limit) => call(() => store.wakeDue(now, limit)),
      reap: (now, scope) => call(() => store.reap(now, scope)),
      facts: (no, after, limit) => call(() => store.facts(no, after, limit)),
      watch: (listener) => {
        process.listeners.push(listener);
        return store.watch((hint) => process.time.alive && listener(hint));
      },
    };
  }

  #die(process: Process, when: "before" | "after"): void {
    if (when === "before") this.#dieBefore = null;
    else this.#dieAfter = null;
    this.kill(process);
  }

  /** Told before the world is touched: may this process do this, by what the journal says? */
  #judgePerform(did: {
    readonly run: string;
    readonly step: string;
    readonly attempt: number;
    readonly key: string;
    readonly effect: EffectClass;
    readonly process: number;
  }): void {
    const id = `${did.run}/${did.step}/${did.attempt}/${did.key}`;
    const before = this.outside.performed.filter((one) => one.id === id).length;
    // A process that lost the run while it was in the middle of an effect may still finish it: no lease can stop the
    // hand that is already moving. Its key makes that harmless, its writes are refused, and it must not be `manual`.
    const zombie = this.#driver.get(did.run) !== did.process;
    if (zombie && did.effect !== "manual") return;
    if (this.recorded.has(id))
      this.broken.push(`${id} (${did.effect}) was performed after its outcome was recorded`);
    if (did.effect === "manual" && before > 0 && !this.approvedAgain.has(id)) {
      this.broken.push(`${id} (manual) was repeated without anybody's word`);
    }
    if (did.effect !== "pure" && !this.intended.has(id))
      this.broken.push(`${id} (${did.effect}) was performed without a durable intent`);
  }

  /** Which process claimed a run last. */
  readonly #driver = new Map<string, number>();
  readonly recorded = new Set<string>();
  readonly intended = new Set<string>();
  readonly approvedAgain = new Set<string>();
  readonly #read = new Map<string, number>();

  /** Reads what was newly written and checks it against everything before. */
  async observe(): Promise<void> {
    for (const run of this.runs) {
      const after = this.#read.get(run) ?? 0;
      const facts = (await this.memory.reader.factsOf(run, { after, limit: 10_000 })) ?? [];
      for (const fact of facts) this.#observeFact(run, fact);
      const last = facts.at(-1);
      if (last) this.#read.set(run, last.seq);
    }
  }

  #observeFact(run: string, fact: Fact): void {
    const expected = (this.#read.get(run) ?? 0) + 1;
    if (fact.seq !== expected) this.broken.push(`${run}: seq ${fact.seq} where ${expected} was next`);
    this.#read.set(run, fact.seq);
    if (fact.kind === "child_started" && !this.runs.includes(fact.run)) this.runs.push(fact.run);
    if (!("step" in fact) || !("key" in fact)) return;
    const id = "attempt" in fact ? `${run}/${fact.step}/${fact.attempt}/${fact.key}` : "";
    if (fact.kind === "effect_intended") this.intended.add(id);
    if (fact.kind === "effect_uncertain") this.approvedAgain.add(id);
    if (fact.kind === "effect_recorded") {
      if (this.recorded.has(id)) this.broken.push(`${id} was recorded twice`);
      this.recorded.add(id);
    }
  }

  /** People: they answer approvals, send signals, cancel, pause and resume. */
  async people(): Promise<void> {
    const { store, reader } = this.memory;
    const at = this.scheduler.now;
    for (const approval of await reader.approvals({ status: "pending", after: null, limit: 50 })) {
      if (this.random() < 0.5)
        await store.answerApproval({
          approval: approval.id,
          answer: this.random() < 0.7 ? "approved" : "denied",
          by: "ann",
          comment: "",
          at,
        });
    }
    const run = pick(this.random, this.runs);
    const kind = pick(this.random, [
      "signal",
      "signal",
      "signal",
      "pause",
      "resume",
      "resume",
      "cancel",
    ] as const);
    if (kind === "cancel" && this.random() < 0.7) return;
    const id = newId("msg", at, this.random);
    await store.post([{ run, id, kind, name: kind === "signal" ? "go" : kind, body: {}, from: "ann", at }]);
    if (kind === "signal") await store.post([{ run, id, kind, name: "go", body: {}, from: "ann", at }]);
  }

  async resumeAll(): Promise<void> {
    for (const run of this.runs) {
      const id = newId("msg", this.scheduler.now, this.random);
      await this.memory.store.post([
        { run, id, kind: "resume", name: "resume", body: {}, from: "ann", at: this.scheduler.now },
      ]);
    }
  }

  async open(): Promise<readonly string[]> {
    const open: string[] = [];
    for (const run of this.runs) {
      const summary = await this.memory.reader.run(run);
      if (!summary || !hasRunEnded(summary.status))
        open.push(`${run} ${summary?.workflow} ${summary?.status} ${summary?.waitingFor}`);
    }
    return open;
  }

  async finalChecks(): Promise<void> {
    for (const run of this.runs) {
      const facts = (await this.memory.reader.factsOf(run, { after: 0, limit: 100_000 })) ?? [];
      const ends = facts.filter((fact) => /^run_(completed|failed|canceled)$/.test(fact.kind));
      if (ends.length !== 1 || facts.at(-1) !== ends[0]) this.broken.push(`${run} has ${ends.length} ends`);
      const failed = facts.find((fact) => fact.kind === "run_failed");
      if (failed?.kind === "run_failed" && failed.failure.code === "internal")
        this.broken.push(`${run} failed inside: ${failed.failure.message}`);
      const summary = await this.memory.reader.run(run);
      const deadline = summary?.deadlineAt ?? null;
      for (const fact of facts) {
        if (fact.kind === "step_started" && deadline !== null && fact.at > deadline)
          this.broken.push(`${run}: ${fact.step} began after the deadline`);
      }
    }
    const counts = await this.memory.reader.counts();
    if (counts.leased + counts.ready + counts.resting > 0)
      this.broken.push(`left over: ${JSON.stringify(counts)}`);
  }
}
