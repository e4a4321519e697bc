import { newId } from "../base/id.ts";
import type { CallBudget } from "../contracts/model-gateway.ts";
import type { Price } from "../contracts/price-source.ts";
import type { SpendLedger } from "../contracts/spend-ledger.ts";
import {
  type Allowance,
  allowancesFor,
  type BudgetSettings,
  budgetExhausted,
  describeAllowance,
  NOBODY,
  type Payer,
} from "../domain/budget.ts";
import { type Failure, FailureError, failure } from "../domain/errors.ts";
import type { Usage } from "../domain/message.ts";
import { formatUsd } from "../domain/money.ts";
import {
  type SoftCap,
  type SpendAnswer,
  type SpendOp,
  type SpendSubject,
  subjectOf,
} from "../domain/spend.ts";
import { type CallSize, Estimates, priced } from "./estimate.ts";
import { costMicros } from "./prices.ts";
import { SpendQueue, type SpendQueueParts } from "./spend-queue.ts";

/** Of a hold's time, the share after which it is renewed. */
const RENEW_SHARE = 1 / 3;
/** How far an answer may come before what it holds is raised, and to how much of what it has come to. */
const RAISE_AT = 0.9;
const RAISE_TO = 1.5;
const RECALLED = 100;

export interface SpendDeskParts extends SpendQueueParts {
  readonly ledger: SpendLedger;
  /** Read before every attempt, so that a reload holds from the next one on. */
  readonly settings: () => BudgetSettings;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** One attempt that is about to be sent. */
export interface Attempt {
  readonly payer: Payer | undefined;
  /** `provider/model`. */
  readonly model: string;
  readonly stage: string;
  readonly price: Price | null;
  readonly size: CallSize;
}

export type Admission =
  | { readonly ok: true; readonly hold: Hold }
  | { readonly ok: false; readonly failure: Failure };

/** What an attempt used, as far as anybody knows. */
export interface Spent {
  readonly usage: Usage;
  readonly estimated: boolean;
}

/** Where every attempt at a model is paid for. */
export class SpendDesk {
  readonly #parts: SpendDeskParts;
  readonly queue: SpendQueue;
  readonly estimates = new Estimates();

  constructor(parts: SpendDeskParts) {
    this.#parts = parts;
    this.queue = new SpendQueue(parts);
  }

  get settings(): BudgetSettings {
    return this.#parts.settings();
  }

  get clock(): SpendDeskParts["clock"] {
    return this.#parts.clock;
  }

  /** Reserves what the attempt may cost. Without a budget that holds for it there is nothing to wait for. */
  admit(attempt: Attempt): Admission | Promise<Admission> {
    const payer = attempt.payer ?? NOBODY;
    const allowances = allowancesFor(this.settings.budgets, payer, attempt.model);
    const subject = subjectOf(payer, { model: attempt.model, stage: attempt.stage });
    const id = newId("spend", this.#parts.clock.now(), this.#parts.random);
    const open = { id, subject, allowances, attempt };
    if (allowances.length === 0) return { ok: true, hold: new Hold(this, { ...open, micros: 0 }) };
    return this.#reserve(open);
  }

  /** Writes what is still to be written. */
  flush(): Promise<void> {
    return this.queue.flush();
  }

  async #reserve(open: Omit<Opened, "micros">): Promise<Admission> {
    const { attempt, allowances } = open;
    const { unknownPrice, estimate: basis, holdMs } = this.settings;
    const capped = allowances.some((one) => one.hardMicros !== null);
    if (attempt.price === null && capped && unknownPrice === "deny") {
      return { ok: false, failure: priceUnknown(attempt, allowances) };
    }
    if (basis === "p95" && !this.estimates.knows(attempt)) await this.#recall(attempt);
    const estimate = this.estimates.of(attempt, attempt.size, basis);
    const micros = estimate?.micros ?? 0;
    let answer: SpendAnswer;
    try {
      answer = await this.queue.ask({
        kind: "reserve",
        id: open.id,
        subject: open.subject,
        allowances,
        micros,
        ceiling: estimate?.ceiling ?? 0,
        accrued: estimate?.accrued ?? 0,
        unpriced: estimate === null,
        holdMs,
      });
    } catch (error) {
      return { ok: false, failure: unchecked(error) };
    }
    if (answer.kind === "refused") {
      return { ok: false, failure: budgetExhausted(answer.refusal, `a call to ${attempt.model}`) };
    }
    const hold = new Hold(this, { ...open, micros, outputTokens: estimate?.outputTokens ?? 0 });
    hold.keep();
    return { ok: true, hold };
  }

  /** Once for each model and stage: what earlier processes learnt of how long answers are. */
  async #recall(call: Pick<Attempt, "model" | "stage">): Promise<void> {
    const { model, stage } = call;
    try {
      const outputs = await this.#parts.ledger.outputs({ model, stage, limit: RECALLED });
      if (!this.estimates.knows(call)) this.estimates.recall(call, outputs);
    } catch (error) {
      this.#parts.onProblem(`the length of earlier answers cannot be read: ${String(error)}`);
    }
  }
}

interface Opened {
  readonly id: string;
  readonly subject: SpendSubject;
  readonly allowances: readonly Allowance[];
  readonly attempt: Attempt;
  readonly micros: number;
  readonly outputTokens?: number;
}

/** What one attempt holds, from its reservation to its end. */
export class Hold {
  readonly #desk: SpendDesk;
  readonly #of: Opened;
  #reserved: number;
  #outputTokens: number;
  #heard = 0;
  #cancelTimer = () => {};
  #raising = false;
  #ended = false;
  /** Called when the answer has outgrown what can be reserved and shall be cut off. */
  onCut: (why: Failure) => void = () => {};

  constructor(desk: SpendDesk, of: Opened) {
    this.#desk = desk;
    this.#of = of;
    this.#reserved = of.micros;
    this.#outputTokens = of.outputTokens ?? Number.POSITIVE_INFINITY;
  }

  /** Renews it again and again until it is settled: a process that is gone renews nothing. */
  keep(): void {
    const { clock, settings } = this.#desk;
    this.#cancelTimer = clock.after(settings.holdMs * RENEW_SHARE, () => {
      if (this.#ended) return;
      void this.#renew(this.#reserved);
      this.keep();
    });
  }

  /** Output tokens so far, by a rough count. */
  progress(tokens: number): void {
    this.#heard = tokens;
    if (tokens < this.#outputTokens * RAISE_AT || this.#raising || this.#ended) return;
    const { price, size } = this.#of.attempt;
    if (price === null || this.#outputTokens >= size.maxOutputTokens) return;
    this.#outputTokens = Math.min(size.maxOutputTokens, Math.ceil(tokens * RAISE_TO));
    const input = this.#desk.estimates.inputTokens(this.#of.attempt.model, size.inputTokens);
    void this.#renew(priced(price, input, this.#outputTokens));
  }

  /** Its end, whatever it was; resolves when it is booked. What nobody has a budget for is booked in passing: `null`. */
  settle(spent: Spent): Promise<CallBudget> | null {
    this.#ended = true;
    this.#cancelTimer();
    const { id, subject, allowances, attempt } = this.#of;
    const micros = costMicros(attempt.price, spent.usage) ?? 0;
    const output = spent.usage.output + spent.usage.reasoning;
    const input = spent.usage.input + spent.usage.cacheRead + spent.usage.cacheWrite;
    if (!spent.estimated && output > 0) this.#desk.estimates.observe(attempt, attempt.size, spent.usage);
    const unpriced = attempt.price === null && input + output > 0;
    const { estimated } = spent;
    const tokens = { input, output };
    const op = { kind: "settle", id, subject, allowances, micros, estimated, unpriced, tokens } as const;
    if (allowances.length > 0) return this.#book(op);
    if (input + output > 0) this.#desk.queue.tell(op);
    return null;
  }

  async #book(op: Extract<SpendOp, { kind: "settle" }>): Promise<CallBudget> {
    let answer: SpendAnswer | null = null;
    try {
      answer = await this.#desk.queue.ask(op);
    } catch {
      // The same again, as soon as the ledger can be reached: what was billed is not forgotten.
      this.#desk.queue.tell(op);
    }
    const ended = answer?.kind === "settled" ? answer : null;
    return {
      reserved: this.#reserved,
      settled: op.micros,
      estimated: op.estimated,
      scopes: op.allowances.map(describeAllowance),
      ...(ended !== null && ended.warnings.length > 0 && { warnings: ended.warnings.map(describeWarning) }),
      ...(ended?.late === true && { late: true as const }),
      ...(op.unpriced && { unpriced: true as const }),
    };
  }

  /** It was never sent. */
  release(): void {
    this.#ended = true;
    this.#cancelTimer();
    const { id, subject, allowances } = this.#of;
    if (allowances.length === 0) return;
    const nothing = { micros: 0, estimated: false, unpriced: false, tokens: { input: 0, output: 0 } };
    // Asked for rather than told: others may be waiting for the room.
    this.#desk.queue.ask({ kind: "settle", id, subject, allowances, ...nothing }).catch(() => {
      this.#desk.queue.tell({ kind: "settle", id, subject, allowances, ...nothing });
    });
  }

  async #renew(micros: number): Promise<void> {
    const { id, allowances, attempt } = this.#of;
    const { holdMs, atCap } = this.#desk.settings;
    const accrued = attempt.price === null ? 0 : priced(attempt.price, attempt.size.inputTokens, this.#heard);
    this.#raising = true;
    try {
      const answer = await this.#desk.queue.ask({ kind: "renew", id, allowances, micros, accrued, holdMs });
      const covered = answer.kind === "renewed" && answer.covered;
      if (covered) this.#reserved = Math.max(this.#reserved, micros);
      else if (atCap === "cut" && !this.#ended) this.onCut(cutOff(attempt.model, micros, allowances));
    } catch {
      // The next renewal is as good as this one, and the end is booked either way.
    } finally {
      this.#raising = false;
    }
  }
}

/** Of several attempts, what they did to budgets together. */
export function sumBudget(one: CallBudget | undefined, other: CallBudget | null): CallBudget | undefined {
  if (one === undefined || other === null) return one ?? other ?? undefined;
  const warnings = [...(one.warnings ?? []), ...(other.warnings ?? [])];
  return {
    reserved: one.reserved + other.reserved,
    settled: one.settled + other.settled,
    estimated: one.estimated || other.estimated,
    scopes: [...new Set([...one.scopes, ...other.scopes])],
    ...(warnings.length > 0 && { warnings }),
    ...((one.late ?? other.late) && { late: true as const }),
    ...((one.unpriced ?? other.unpriced) && { unpriced: true as const }),
  };
}

function describeWarning({ allowance, softMicros, spentMicros }: SoftCap): string {
  const limit = allowance.hardMicros === null ? "" : ` of at most ${formatUsd(allowance.hardMicros)}`;
  return `${describeAllowance(allowance)} has passed ${formatUsd(softMicros)}: ${formatUsd(spentMicros)}${limit} are spent`;
}

function priceUnknown({ model }: Attempt, allowances: readonly Allowance[]): Failure {
  const [first] = allowances.filter((one) => one.hardMicros !== null);
  const whose = first === undefined ? "a budget" : describeAllowance(first);
  return failure("price_unknown", `the price of ${model} is unknown, so ${whose} cannot be kept with it`, {
    model,
  });
}

/** Fail closed: what cannot be reserved is not sent. */
function unchecked(error: unknown): Failure {
  const said = error instanceof FailureError ? error.failure.message : String(error);
  return failure("unavailable", `the budget could not be checked, so nothing was sent: ${said}`);
}

function cutOff(model: string, micros: number, allowances: readonly Allowance[]): Failure {
  const whose = allowances.filter((one) => one.hardMicros !== null).map(describeAllowance);
  return failure(
    "budget_exhausted",
    `the answer of ${model} was cut off: it needs ${formatUsd(micros)}, for which there is no room in ${whose.join(", ")}`,
    { model, needed_micros: micros },
  );
}
