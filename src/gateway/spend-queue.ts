import type { Clock } from "../base/clock.ts";
import type { SpendLedger } from "../contracts/spend-ledger.ts";
import { FailureError, failure } from "../domain/errors.ts";
import { LIMITS } from "../domain/limits.ts";
import type { SpendAnswer, SpendOp } from "../domain/spend.ts";

/** How long an entry that nobody waits for may stay unwritten. */
const IDLE_MS = 1_000;
/** What nobody waits for and cannot be written, at most; what is beyond is told and left out. */
const MAX_WAITING = 10_000;
const MAX_RETRY_MS = 30_000;

export interface SpendQueueParts {
  readonly ledger: Pick<SpendLedger, "apply">;
  readonly clock: Clock;
  /** Runs it in a moment, after whatever else is to be done at once. */
  readonly defer: (run: () => void) => void;
  /** An entry could not be written, and nobody waits for it. */
  readonly onProblem: (problem: string) => void;
}

interface Waiting {
  readonly op: SpendOp;
  readonly resolve: (answer: SpendAnswer) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Natural group commit of one process's bookings: one flush is in flight, and what comes meanwhile is the next batch.
 * What nobody waits for goes along, or alone after a second.
 */
export class SpendQueue {
  readonly #parts: SpendQueueParts;
  #queue: Waiting[] = [];
  #later: SpendOp[] = [];
  #flushing: Promise<void> | null = null;
  /** Begins the flush that is put off; `null` when there is none, or it has begun. */
  #begin: (() => void) | null = null;
  #cancelTimer: (() => void) | null = null;
  #failures = 0;

  constructor(parts: SpendQueueParts) {
    this.#parts = parts;
  }

  /** Resolves when it is durable; rejects when the ledger as a whole failed. */
  ask(op: SpendOp): Promise<SpendAnswer> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ op, resolve, reject });
      this.#schedule();
      if (op.kind === "reserve") this.#hurry();
    });
  }

  /** Will be written within a second, or as soon as the ledger can be reached again. */
  tell(op: SpendOp): void {
    if (this.#later.length >= MAX_WAITING) {
      this.#parts.onProblem(`the spend ledger cannot be written: the booking ${op.id} is left out`);
      return;
    }
    this.#later.push(op);
    if (this.#later.length >= LIMITS.commitBatch) this.#schedule();
    else this.#wake(IDLE_MS);
  }

  /** Writes what is there; gives up on what cannot be written. */
  async flush(): Promise<void> {
    while (this.#queue.length + this.#later.length > 0 || this.#flushing !== null) {
      const before = this.#failures;
      await (this.#flushing ?? this.#start());
      if (this.#failures > before) break;
    }
    this.#sleep();
  }

  #wake(ms: number): void {
    this.#cancelTimer ??= this.#parts.clock.after(ms, () => {
      this.#cancelTimer = null;
      this.#schedule();
    });
  }

  #sleep(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #schedule(): void {
    if (this.#flushing === null) void this.#start();
  }

  /**
   * Before it is reserved a call does nothing at all, so it does not wait for whatever else this turn of the loop has to
   * do, which among many streams is most of a millisecond. Calls that begin in one piece of work still share a flush.
   */
  #hurry(): void {
    if (this.#begin !== null) queueMicrotask(this.#begin);
  }

  #start(): Promise<void> {
    this.#flushing = new Promise<void>((resolve) => {
      const begin = () => {
        if (this.#begin !== begin) return;
        this.#begin = null;
        void this.#flush().then(() => {
          this.#flushing = null;
          if (this.#queue.length > 0 || this.#later.length >= LIMITS.commitBatch) this.#schedule();
          resolve();
        });
      };
      this.#begin = begin;
      this.#parts.defer(begin);
    });
    return this.#flushing;
  }

  async #flush(): Promise<void> {
    this.#sleep();
    const asked = this.#queue.splice(0, LIMITS.commitBatch);
    const told = this.#later.splice(0, LIMITS.commitBatch - asked.length);
    if (asked.length + told.length === 0) return;
    try {
      const answers = await this.#parts.ledger.apply([...asked.map(({ op }) => op), ...told]);
      this.#failures = 0;
      for (const [index, { resolve, reject }] of asked.entries()) {
        const answer = answers[index];
        if (answer !== undefined) resolve(answer);
        else
          reject(new FailureError(failure("internal", "the ledger left an operation of a batch unanswered")));
      }
    } catch (error) {
      for (const { reject } of asked) reject(error);
      this.#failures += 1;
      this.#later.unshift(...told);
      if (told.length > 0) this.#wake(Math.min(MAX_RETRY_MS, IDLE_MS * 2 ** Math.min(this.#failures, 10)));
    }
  }
}
