import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect, it } from "vitest";
import { createMemoryStore } from "../../src/adapters/store/memory/store.ts";
import type { Clock } from "../../src/base/clock.ts";
import type { Price } from "../../src/contracts/price-source.ts";
import type { SpendLedger } from "../../src/contracts/spend-ledger.ts";
import { accountKey, type Budget, type BudgetSettings, type Payer } from "../../src/domain/budget.ts";
import { NO_USAGE } from "../../src/domain/message.ts";
import { type Account, type SpendAnswer, type SpendOp, usedMicros } from "../../src/domain/spend.ts";
import { SpendDesk } from "../../src/gateway/spend.ts";
import { budget, settings } from "./world.ts";

/** `SCHEDULES=100000` for the whole proof (about ten minutes on a slow machine). */
const SCHEDULES = Number(process.env.SCHEDULES ?? 1_000);
const HOLD_MS = 3_000;
const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 10, 21, 23, 59, 50);
/** A micro-dollar a token, so that the figures can be read. */
const PRICE: Price = { input: 1_000_000, cacheRead: 0, cacheWrite: 0, output: 1_000_000 };
const PROMPT = 4;
const MODEL = "p/m";
const STAGE = "execute";

interface Call {
  readonly tenant: number;
  readonly user: number;
  readonly run: number;
  /** Output tokens as they come; their sum is what the provider bills. */
  readonly chunks: readonly number[];
  readonly max: number;
  readonly fate: "ends" | "ends_twice" | "aborted" | "crashes" | "silent";
  /** What an abort is charged, beside the truth. */
  readonly guess: number;
  readonly priced: boolean;
}

interface Plan {
  /** Calls of each process. */
  readonly processes: readonly (readonly Call[])[];
  readonly events: readonly (
    | { readonly kind: "time"; readonly ms: number }
    | { readonly kind: "limit"; readonly scale: number }
    | { readonly kind: "sweep" }
  )[];
  /** Answers of the database are lost, and everything is sent again. */
  readonly resent: boolean;
  /** Output tokens of earlier calls: holds begin small and grow. */
  readonly usual: number | null;
  readonly unknownPrice: BudgetSettings["unknownPrice"];
  readonly estimate: BudgetSettings["estimate"];
  readonly hard: {
    readonly global: number;
    readonly tenant: number;
    readonly run: number;
    readonly day: number;
  };
}

const call: fc.Arbitrary<Call> = fc.record({
  tenant: fc.nat(1),
  user: fc.nat(1),
  run: fc.nat(2),
  chunks: fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 4 }),
  max: fc.integer({ min: 1, max: 80 }),
  fate: fc.constantFrom("ends", "ends", "ends_twice", "aborted", "crashes", "silent"),
  guess: fc.nat(60),
  priced: fc.oneof({ weight: 8, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
});

const plan: fc.Arbitrary<Plan> = fc.record({
  processes: fc.array(fc.array(call, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 }),
  events: fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant("time" as const), ms: fc.constantFrom(1, 500, HOLD_MS, 15_000, DAY_MS) }),
      fc.record({ kind: fc.constant("limit" as const), scale: fc.constantFrom(0.25, 1, 4) }),
      fc.constant({ kind: "sweep" as const }),
    ),
    { maxLength: 5 },
  ),
  resent: fc.boolean(),
  usual: fc.constantFrom(null, 2, 6),
  unknownPrice: fc.constantFrom("deny", "allow"),
  estimate: fc.constantFrom("p95", "worst"),
  hard: fc.record({
    global: fc.integer({ min: 20, max: 300 }),
    tenant: fc.integer({ min: 20, max: 200 }),
    run: fc.integer({ min: 20, max: 150 }),
    day: fc.integer({ min: 20, max: 200 }),
  }),
});

/** Time that goes on when it is told to; a timer is fired by whoever moves it past its moment. */
class StoppedClock implements Clock {
  #now = START;
  #timers: { readonly at: number; readonly wake: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, wake: () => void): () => void {
    const timer = { at: this.#now + ms, wake };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  advance(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter((timer) => timer.at <= this.#now);
    this.#timers = this.#timers.filter((timer) => timer.at > this.#now);
    for (const { wake } of due) wake();
  }
}

/** A call from before, which no budget counted. */
function earlier(n: number, output: number): SpendOp {
  return {
    kind: "settle",
    id: `earlier-${n}`,
    subject: { tenant: "", user: "", path: "", model: MODEL, stage: STAGE },
    allowances: [],
    micros: output,
    estimated: false,
    unpriced: false,
    tokens: { input: 1, output },
  };
}

interface Known {
  ceiling: number;
  /** Reserved when it was admitted. */
  first: number;
  accrued: number;
  reserved: number;
  readonly accounts: readonly string[];
  settled: number | null;
  late: boolean;
}

/** One plan under one schedule: every operation is checked when it is carried out. */
class Trial {
  readonly clock = new StoppedClock();
  readonly ledger: SpendLedger;
  readonly known = new Map<string, Known>();
  readonly #plan: Plan;
  readonly #scheduler: fc.Scheduler;
  #scale = 1;
  #largest = 1;
  #committed = new Map<string, number>();
  #failed: unknown = null;
  #turn: Promise<unknown> = Promise.resolve();
  billed = 0;
  /** By how much what an abort was charged differs from what was billed. */
  guessed = 0;

  constructor(of: Plan, scheduler: fc.Scheduler) {
    this.#plan = of;
    this.#scheduler = scheduler;
    this.ledger = createMemoryStore({ clock: this.clock }).spend;
  }

  get #budgets(): readonly Budget[] {
    const { hard } = this.#plan;
    const of = (limit: number) => Math.ceil(limit * this.#scale);
    return [
      budget({ hardMicros: of(hard.global) }),
      budget({ scope: "tenant", hardMicros: of(hard.tenant), softMicros: 10 }),
      budget({ scope: "user", hardMicros: of(hard.day), window: "day" }),
      budget({ scope: "run", hardMicros: of(hard.run) }),
    ];
  }

  settings = (): BudgetSettings =>
    settings(this.#budgets, {
      unknownPrice: this.#plan.unknownPrice,
      estimate: this.#plan.estimate,
      holdMs: HOLD_MS,
    });

  async run(): Promise<void> {
    const { usual } = this.#plan;
    if (usual !== null) await this.ledger.apply(Array.from({ length: 20 }, (_, n) => earlier(n, usual)));
    // Whoever belongs to a process that died waits for ever, and is not waited for.
    const processes = this.#plan.processes.map((calls) => this.#process(calls));
    for (const process of processes) process.catch((error: unknown) => this.#fail(error));
    this.#events();
    do {
      await this.#scheduler.waitAll();
      await setImmediate();
    } while (this.#scheduler.count() > 0);
    if (this.#failed !== null) throw this.#failed;
    await this.#audit();
  }

  #fail(error: unknown): void {
    this.#failed ??= error;
  }

  #events(): void {
    for (const event of this.#plan.events) {
      const happen = async () => {
        if (event.kind === "time") this.clock.advance(event.ms);
        if (event.kind === "sweep") await this.ledger.sweep(1);
        if (event.kind === "limit") {
          this.#scale = event.scale;
          this.#largest = Math.max(this.#largest, event.scale);
        }
        await this.#invariants();
      };
      void this.#scheduler
        .schedule(Promise.resolve(), event.kind)
        .then(() => this.#inTurn(happen))
        .catch((error: unknown) => this.#fail(error));
    }
  }

  /** A process: a desk of its own, whose way to the database may take any time and end at any await. */
  async #process(calls: readonly Call[]): Promise<void> {
    const life = { dead: false };
    const never = new Promise<never>(() => undefined);
    const reach: SpendLedger = {
      ...this.ledger,
      apply: async (ops) => {
        await this.#scheduler.schedule(Promise.resolve(), "sent");
        if (life.dead) return never;
        const sent = async () => {
          const first = await this.#carryOut(ops);
          return this.#plan.resent ? this.#carryOut(ops) : first;
        };
        const answers = await this.#inTurn(sent).catch((error: unknown) => {
          this.#fail(error);
          return never;
        });
        await this.#scheduler.schedule(Promise.resolve(), "answered");
        return life.dead ? never : answers;
      },
    };
    const desk = new SpendDesk({
      ledger: reach,
      settings: this.settings,
      clock: {
        now: () => this.clock.now(),
        after: (ms, wake) => this.clock.after(ms, () => life.dead || wake()),
      },
      random: Math.random,
      defer: queueMicrotask,
      onProblem: () => undefined,
    });
    await Promise.all(calls.map((one) => this.#call(desk, one, life)));
  }

  async #call(desk: SpendDesk, one: Call, life: { dead: boolean }): Promise<void> {
    const runs = [
      { id: `run_${one.run}`, budgetMicros: null },
      ...(one.user === 1 ? [{ id: `run_${one.run}_${one.tenant}`, budgetMicros: 60 }] : []),
    ];
    const payer: Payer = { tenant: `t${one.tenant}`, user: `u${one.user}`, runs };
    const admitted = await desk.admit({
      payer,
      model: MODEL,
      stage: STAGE,
      price: one.priced ? PRICE : null,
      size: { inputTokens: PROMPT, maxOutputTokens: one.max },
    });
    if (!admitted.ok) {
      // P7: of an unknown price, what was configured.
      const denied = !one.priced && this.#plan.unknownPrice === "deny";
      expect(admitted.failure.code).toBe(denied ? "price_unknown" : "budget_exhausted");
      return;
    }
    expect(one.priced || this.#plan.unknownPrice === "allow").toBe(true);
    let tokens = 0;
    const bill = one.priced ? 1 : 0;
    this.billed += PROMPT * bill;
    for (const chunk of one.chunks) {
      await this.#scheduler.schedule(Promise.resolve(), "chunk");
      if (life.dead) return;
      const more = Math.min(chunk, one.max - tokens);
      tokens += more;
      this.billed += more * bill;
      admitted.hold.progress(tokens);
    }
    if (one.fate === "crashes") life.dead = true;
    if (one.fate === "crashes" || one.fate === "silent") return;
    if (one.fate === "aborted") {
      this.guessed += Math.abs(one.guess - tokens) * bill;
      await admitted.hold.settle({
        usage: { ...NO_USAGE, input: PROMPT, output: one.guess },
        estimated: true,
      });
      return;
    }
    const spent = { usage: { ...NO_USAGE, input: PROMPT, output: tokens }, estimated: false };
    const ends = one.fate === "ends_twice" ? 2 : 1;
    await Promise.all(Array.from({ length: ends }, () => admitted.hold.settle(spent)));
  }

  /** What is looked at before and after an operation is looked at in peace. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #carryOut(ops: readonly SpendOp[]): Promise<readonly SpendAnswer[]> {
    const answers: SpendAnswer[] = [];
    for (const op of ops) {
      const before = op.kind === "reserve" ? await this.#accounts() : [];
      const held = await this.#heldBy(op);
      const [answer] = await this.ledger.apply([op]);
      if (answer === undefined) throw new Error("no answer");
      answers.push(answer);
      this.#note(op, answer);
      if (op.kind === "reserve") await this.#judge(op, answer, before);
      if (op.kind === "renew" && answer.kind === "renewed")
        await this.#judgeRenewal(op, answer.covered, held);
      await this.#invariants();
    }
    return answers;
  }

  #note(op: SpendOp, answer: SpendAnswer): void {
    const known = this.known.get(op.id);
    if (op.kind === "reserve" && answer.kind === "granted" && known === undefined) {
      const { ceiling, micros } = op;
      const accounts = op.allowances.map((one) => accountKey(one, this.clock.now()));
      const accrued = Math.min(op.accrued, micros);
      const amounts = { ceiling, first: micros, accrued, reserved: micros };
      this.known.set(op.id, { ...amounts, accounts, settled: null, late: false });
    }
    if (op.kind === "renew" && known !== undefined && answer.kind === "renewed") {
      known.accrued = Math.max(known.accrued, op.accrued);
      known.ceiling = Math.max(known.ceiling, known.reserved);
    }
    if (op.kind === "settle" && answer.kind === "settled") {
      // P6: however often and in whatever order, it is booked once.
      expect(answer.booked).toBe(known?.settled === null);
      if (known !== undefined && known.settled === null) {
        known.settled = op.micros;
        known.late = answer.late;
        known.ceiling = Math.max(known.ceiling, op.micros);
      }
    }
  }

  /** P1 exactly, at the moment that counts; P4: on all accounts or on none. */
  async #judge(
    op: Extract<SpendOp, { kind: "reserve" }>,
    answer: SpendAnswer,
    before: readonly Account[],
  ): Promise<void> {
    const now = this.clock.now();
    const accounts = await this.#accounts();
    if (answer.kind === "granted") {
      for (const allowance of op.allowances) {
        const account = accounts.find((one) => one.key === accountKey(allowance, now));
        if (account === undefined) throw new Error(`${op.id} was granted and is on no account`);
        if (op.micros > 0) expect(usedMicros(account)).toBeLessThanOrEqual(allowance.hardMicros ?? Infinity);
      }
      return;
    }
    if (answer.kind !== "refused") throw new Error(answer.kind);
    const { allowance, limitMicros } = answer.refusal;
    const account = accounts.find((one) => one.key === accountKey(allowance, now));
    expect((account === undefined ? 0 : usedMicros(account)) + Math.max(1, op.micros)).toBeGreaterThan(
      limitMicros,
    );
    // What was given up meanwhile moved from held to presumed; nothing else has changed.
    const committed = (all: readonly Account[]) => all.map((one) => [one.key, one.committed]);
    expect(committed(accounts)).toEqual(committed(before));
    for (const one of accounts) {
      expect(one.held).toBeLessThanOrEqual(before.find(({ key }) => key === one.key)?.held ?? 0);
    }
  }

  /** What the accounts of an entry hold together, once those whose time is over are given up. */
  async #heldBy({ id }: SpendOp): Promise<readonly Account[]> {
    await this.ledger.sweep(1_000);
    return this.ledger.accounts(this.known.get(id)?.accounts ?? []);
  }

  /** P1 for holds that grow, or come back after they had expired: only into room that is there. */
  async #judgeRenewal(
    op: Extract<SpendOp, { kind: "renew" }>,
    covered: boolean,
    before: readonly Account[],
  ): Promise<void> {
    const known = this.known.get(op.id);
    for (const [index, key] of (known?.accounts ?? []).entries()) {
      const [account] = await this.ledger.accounts([key]);
      const was = before.find((one) => one.key === key);
      if (account === undefined || was === undefined) throw new Error(`${key} is gone`);
      const more = usedMicros(account) - usedMicros(was);
      if (!covered) expect(more).toBe(0);
      const limit = op.allowances[index]?.hardMicros ?? Number.POSITIVE_INFINITY;
      if (more > 0) expect(usedMicros(account), key).toBeLessThanOrEqual(limit);
    }
    if (covered && known !== undefined) known.reserved = Math.max(known.reserved, op.micros);
  }

  #accounts(): Promise<readonly Account[]> {
    return this.ledger.accountsFrom({ prefix: "", after: null, limit: 1_000 });
  }

  async #invariants(): Promise<void> {
    const accounts = await this.#accounts();
    const known = [...this.known.values()];
    // The declared overshoot: what calls may come to beyond what they reserved, and those that ended late, whole.
    const overshoot = known.reduce(
      (sum, one) => sum + (one.ceiling - one.first) + (one.late ? one.ceiling : 0),
      0,
    );
    const { hard } = this.#plan;
    const limits: Readonly<Record<string, number>> = {
      global: hard.global,
      tenant: hard.tenant,
      run: hard.run,
      user: hard.day,
    };
    const sum = { committed: 0, held: 0, presumed: 0 };
    for (const account of accounts) {
      const { key, committed, held, presumed, risk } = account;
      // P5: never below nothing, and what is committed only grows, whatever resets meanwhile.
      for (const figure of [committed, held, presumed, risk]) expect(figure).toBeGreaterThanOrEqual(0);
      expect(committed).toBeGreaterThanOrEqual(this.#committed.get(key) ?? 0);
      this.#committed.set(key, committed);
      const scope = key.slice(0, key.indexOf(":"));
      const limit = Math.ceil((limits[scope] ?? 0) * this.#largest);
      expect(usedMicros(account), key).toBeLessThanOrEqual(limit + overshoot);
      if (scope !== "tenant") continue;
      sum.committed += committed;
      sum.held += held;
      sum.presumed += presumed;
    }
    // P4: a call is on all of its accounts or on none, so the tenants' accounts make up everybody's.
    const all = accounts.find((one) => one.key.startsWith("global:"));
    if (all !== undefined) {
      expect({ committed: all.committed, held: all.held, presumed: all.presumed }).toEqual(sum);
    }
  }

  async #audit(): Promise<void> {
    // P3: whatever died holds nothing when its time is over.
    this.clock.advance(HOLD_MS);
    await this.ledger.sweep(1_000);
    const accounts = await this.#accounts();
    for (const one of accounts) expect([one.held, one.risk], one.key).toEqual([0, 0]);
    // P2: the ledger is what was settled, and for the dead what they had accrued; that is near what was billed.
    const all = accounts.find((one) => one.key.startsWith("global:"));
    const booked = (all?.committed ?? 0) + (all?.presumed ?? 0);
    const known = [...this.known.values()];
    expect(booked).toBe(known.reduce((sum, one) => sum + (one.settled ?? one.accrued), 0));
    const unknown = known.reduce((sum, one) => sum + (one.settled === null ? one.ceiling : 0), 0);
    expect(Math.abs(booked - this.billed)).toBeLessThanOrEqual(unknown + this.guessed);
    // P3: and nobody is refused for their sake: all that is left can be had, and not a micro-dollar more.
    const left = 1_000_000 - booked;
    const ask = { kind: "reserve", holdMs: HOLD_MS, ceiling: 0, accrued: 0, unpriced: false } as const;
    const subject = { tenant: "", user: "", path: "", model: MODEL, stage: STAGE };
    const allowances = [{ ...budget({ hardMicros: 1_000_000 }), name: "*" }];
    const answers = await this.ledger.apply([
      { ...ask, id: "too-much", subject, allowances, micros: left + 1 },
      { ...ask, id: "the-rest", subject, allowances, micros: left },
    ]);
    expect(answers.map((answer) => answer.kind)).toEqual(["refused", "granted"]);
  }
}

it(`P1–P7 hold in ${SCHEDULES} schedules of processes that reserve, settle, abort, crash, expire, reset and reload`, {
  timeout: 3_600_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(plan, fc.scheduler(), async (of, scheduler) => new Trial(of, scheduler).run()),
    { numRuns: SCHEDULES },
  );
});
