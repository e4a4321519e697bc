import type { ServerResponse } from "node:http";
import type { Clock } from "../../../base/clock.ts";
import type { Played } from "../script/play.ts";

/** US dollars per million tokens, as vendors print them; reasoning is billed as output. */
export interface FakeRates {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
}

/** By the model's name as it was asked for; `*` for every other. */
export type FakePrices = Readonly<Record<string, FakeRates>>;

export interface FakeTokens {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
  readonly reasoning: number;
}

/**
 * How a request ended, as the provider sees it: `answered` to its terminal frame · `rejected` by an error before any
 * answer · `broken` by the provider in its answer · `aborted` by the client · `open` still.
 */
export type BillEnd = "open" | "answered" | "rejected" | "broken" | "aborted";

/** One line of the provider's own books. Times are ms since the epoch. */
export interface Bill {
  /** What the client was told as `request-id`. */
  readonly id: string;
  readonly wire: string;
  readonly model: string;
  /** What the client sent as `x-fake-tag`, so that several clients of one server can be told apart. */
  readonly tag: string | null;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly end: BillEnd;
  /** When the client went away before the end; `null` when it did not. */
  readonly abortedAt: number | null;
  readonly fault: string | null;
  /** Of the answer's pieces: how many were sent, of how many. */
  readonly sent: number;
  readonly of: number;
  /** Whether the terminal frame was sent. */
  readonly terminal: boolean;
  /** Whether the client was told what was used. */
  readonly told: boolean;
  /** What is billed: nothing of what was rejected, of the rest the prompt and what was emitted. */
  readonly tokens: FakeTokens;
  readonly costMicros: number;
}

export interface Totals {
  readonly requests: number;
  readonly billed: number;
  readonly tokens: FakeTokens;
  readonly costMicros: number;
}

export interface BillingView {
  readonly totals: Totals;
  readonly byModel: Readonly<Record<string, Totals>>;
  readonly open: number;
  /** Ended requests whose lines were let go of; the totals still hold them. */
  readonly forgotten: number;
  readonly entries: readonly Bill[];
}

/** Lines kept in memory; the totals count every request. */
const MAX_BILLS = 200_000;
const MAX_MODELS = 1_000;
const FREE: FakeTokens = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };
/** Not the price of any real model, so that nobody takes the one for the other. */
export const FAKE_PRICES: FakePrices = {
  "*": { input: 3, cacheRead: 0.3, cacheWrite: 3.75, output: 15 },
};

export interface BillingSettings {
  readonly clock: Clock;
  readonly prices?: FakePrices;
  /** Hears every line once, when its request has ended. */
  readonly onBill?: (bill: Bill) => void;
}

/**
 * The provider's books. They follow from what the server did, not from what a client made of it, and know nothing of the
 * gateway that is to be compared with them.
 */
export class Billing {
  readonly #settings: BillingSettings;
  readonly #prices: FakePrices;
  #bills = new Set<Meter>();
  #count = 0;
  #forgotten = 0;
  #open = 0;
  #epoch = 0;
  #totals = new Tally();
  #byModel = new Map<string, Tally>();

  constructor(settings: BillingSettings) {
    this.#settings = settings;
    this.#prices = { ...FAKE_PRICES, ...settings.prices };
  }

  /** A line for a request that was understood; it ends with its response. */
  open(request: Pick<Bill, "wire" | "model" | "tag">, response: ServerResponse): Meter {
    this.#count += 1;
    const epoch = this.#epoch;
    const meter = new Meter(`req_fake_${this.#count}`, request, this.#settings.clock.now());
    this.#bills.add(meter);
    this.#open += 1;
    response.once("close", () => {
      meter.close(response.writableFinished, this.#settings.clock.now());
      // A line from before a reset is of no interest any more.
      if (epoch === this.#epoch) this.#close(meter);
      this.#settings.onBill?.(this.#bill(meter));
    });
    return meter;
  }

  #close(meter: Meter): void {
    this.#open -= 1;
    const bill = this.#bill(meter);
    this.#totals.add(bill);
    const known = this.#byModel.get(bill.model);
    if (known !== undefined) known.add(bill);
    else if (this.#byModel.size < MAX_MODELS) this.#byModel.set(bill.model, new Tally().add(bill));
    if (this.#bills.size <= MAX_BILLS) return;
    for (const oldest of this.#bills) {
      if (oldest.end === "open") continue;
      this.#bills.delete(oldest);
      this.#forgotten += 1;
      return;
    }
  }

  #bill(meter: Meter): Bill {
    const tokens = meter.billed;
    return { ...meter.facts, tokens, costMicros: cost(this.#ratesOf(meter.facts.model), tokens) };
  }

  #ratesOf(model: string): FakeRates {
    return this.#prices[model] ?? (this.#prices["*"] as FakeRates);
  }

  view(entries: boolean): BillingView {
    return {
      totals: this.#totals.view,
      byModel: Object.fromEntries([...this.#byModel].map(([model, tally]) => [model, tally.view])),
      open: this.#open,
      forgotten: this.#forgotten,
      entries: entries ? Array.from(this.#bills, (meter) => this.#bill(meter)) : [],
    };
  }

  /** Forgets everything; requests under way are not counted when they end. */
  reset(): void {
    this.#epoch += 1;
    this.#bills.clear();
    this.#forgotten = 0;
    this.#open = 0;
    this.#totals = new Tally();
    this.#byModel = new Map();
  }
}

/** Notes what one request was given while it is given it. */
export class Meter {
  readonly id: string;
  end: BillEnd = "open";
  fault: string | null = null;
  readonly #request: Pick<Bill, "wire" | "model" | "tag">;
  readonly #startedAt: number;
  #usage: FakeTokens = FREE;
  #endedAt: number | null = null;
  #abortedAt: number | null = null;
  #sent = 0;
  #of = 0;
  #rejected = false;
  #broke = false;
  #terminal = false;
  #told = false;

  constructor(id: string, request: Pick<Bill, "wire" | "model" | "tag">, startedAt: number) {
    this.id = id;
    this.#request = request;
    this.#startedAt = startedAt;
  }

  /** The model has the prompt and begins to answer: from here on the prompt is paid for. */
  plays(played: Played): void {
    this.#usage = played.usage;
  }

  /** An answer of so many pieces follows. An answer in one piece is made, and billed, before it is sent. */
  answers(pieces: number, stream: boolean): void {
    this.#of = pieces;
    if (!stream) this.#sent = pieces;
  }

  sent(): void {
    if (this.#sent < this.#of) this.#sent += 1;
  }

  get atHalf(): boolean {
    return this.#sent === Math.ceil(this.#of / 2);
  }

  finished(told: boolean): void {
    this.#terminal = true;
    this.#told = told;
  }

  /** An error instead of an answer: nothing is billed. */
  rejects(): void {
    this.#rejected = true;
  }

  /** The server itself fails in the middle of its answer. */
  breaks(): void {
    this.#broke = true;
  }

  close(whole: boolean, now: number): void {
    this.#endedAt = now;
    if (this.#rejected) this.end = "rejected";
    else if (this.#broke) this.end = "broken";
    else if (whole && this.#terminal) this.end = "answered";
    else {
      this.end = "aborted";
      this.#abortedAt = now;
    }
  }

  get facts(): Omit<Bill, "tokens" | "costMicros"> {
    return {
      id: this.id,
      ...this.#request,
      startedAt: this.#startedAt,
      endedAt: this.#endedAt,
      end: this.end,
      abortedAt: this.#abortedAt,
      fault: this.fault,
      sent: this.#sent,
      of: this.#of,
      terminal: this.#terminal,
      told: this.#told,
    };
  }

  get billed(): FakeTokens {
    // What broke before its first piece was never an answer; what the client took back was being worked on.
    if (this.#rejected || (this.#broke && this.#sent === 0)) return FREE;
    const { input, cacheRead, cacheWrite, output, reasoning } = this.#usage;
    const share = this.#of === 0 ? 0 : this.#sent / this.#of;
    const emitted = Math.ceil((output + reasoning) * share);
    // Models think before they speak.
    const thought = Math.min(reasoning, emitted);
    return { input, cacheRead, cacheWrite, output: emitted - thought, reasoning: thought };
  }
}

class Tally {
  #requests = 0;
  #billed = 0;
  #costMicros = 0;
  #tokens: FakeTokens = FREE;

  add(bill: Bill): this {
    this.#requests += 1;
    if (bill.costMicros > 0) this.#billed += 1;
    this.#costMicros += bill.costMicros;
    const { tokens } = bill;
    this.#tokens = {
      input: this.#tokens.input + tokens.input,
      cacheRead: this.#tokens.cacheRead + tokens.cacheRead,
      cacheWrite: this.#tokens.cacheWrite + tokens.cacheWrite,
      output: this.#tokens.output + tokens.output,
      reasoning: this.#tokens.reasoning + tokens.reasoning,
    };
    return this;
  }

  get view(): Totals {
    return {
      requests: this.#requests,
      billed: this.#billed,
      tokens: this.#tokens,
      costMicros: this.#costMicros,
    };
  }
}

/** Whole micro-dollars: a token at one dollar a million costs one. */
function cost(rates: FakeRates, tokens: FakeTokens): number {
  const micros =
    tokens.input * rates.input +
    tokens.cacheRead * rates.cacheRead +
    tokens.cacheWrite * rates.cacheWrite +
    (tokens.output + tokens.reasoning) * rates.output;
  // Rates have a few decimal digits; binary fractions must not push a whole number over the edge.
  return Math.ceil(Math.round(micros * 1_000) / 1_000);
}
