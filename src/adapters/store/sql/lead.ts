import type { Lead } from "../../../contracts/leader.ts";
import { LIMITS } from "../../../domain/limits.ts";

/** What a lead may not use up of its time: what lies between asking whether it holds and acting upon it. */
const MARGIN_MS = 500;

export interface LeadOptions {
  readonly duty: string;
  readonly term: number;
  /** ms from anywhere, only growing, also while the process is suspended. */
  readonly ticks: () => number;
  /** When the database was asked for it, in ticks: whatever it said, it said later. */
  readonly asked: number;
  /** Moves its end on in the database; false when it is another's. */
  readonly prolong: () => Promise<boolean>;
  readonly giveUp: () => Promise<void>;
}

/** A lead that knows by itself when it is over: earlier than the database gives the duty to another. */
export class TimedLead implements Lead {
  readonly duty: string;
  readonly term: number;
  readonly #options: LeadOptions;
  #sureUntil: number;
  #over = false;

  constructor(options: LeadOptions) {
    this.duty = options.duty;
    this.term = options.term;
    this.#options = options;
    this.#sureUntil = options.asked + LIMITS.leadTtlMs - MARGIN_MS;
  }

  held(): boolean {
    if (this.#options.ticks() >= this.#sureUntil) this.#over = true;
    return !this.#over;
  }

  /** It is lost, whatever its time. */
  end(): void {
    this.#over = true;
  }

  async renew(): Promise<boolean> {
    if (!this.held()) return false;
    const asked = this.#options.ticks();
    const kept = await this.#options.prolong();
    // Late is lost: another may lead already.
    if (!kept || !this.held()) this.#over = true;
    else this.#sureUntil = asked + LIMITS.leadTtlMs - MARGIN_MS;
    return !this.#over;
  }

  async resign(): Promise<void> {
    this.#over = true;
    await this.#options.giveUp();
  }
}
