import type { Account, SpendAnswer, SpendOp } from "../domain/spend.ts";

/** Which spending is meant; absent fields do not narrow it. Times in ms since the epoch. */
export interface SpendQuery {
  readonly since?: number;
  readonly until?: number;
  readonly tenant?: string;
  /** With its tenant. */
  readonly user?: string;
  /** Ids of a run and its ancestors, the first of them first, joined by `/`: it and all that was started from it. */
  readonly path?: string;
}

/** What was spent on one model in one stage. Micro-dollars. */
export interface SpendSum {
  readonly model: string;
  readonly stage: string;
  /** Attempts at the model, hedges and failed ones included. */
  readonly calls: number;
  readonly chargedMicros: number;
  /** Part of what was charged that is an estimate: of answers that were taken back or broke off. */
  readonly estimatedMicros: number;
  /** Reserved by calls under way. */
  readonly heldMicros: number;
  /** Taken for spent by calls whose process died. */
  readonly presumedMicros: number;
  /** Calls of which nobody knows what they cost. */
  readonly unpricedCalls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/**
 * What is reserved and spent, for all processes of one database. Rejects only when the store as a whole failed; then
 * nothing of the batch was written, or all of it (an answer that was lost): every operation may be sent again.
 */
export interface SpendLedger {
  /**
   * In order and in one transaction, by the rules of `domain/spend.ts` and the database's clock. Each operation is
   * carried out on all of its accounts or on none. Holds whose time is over are given up first.
   */
  apply(batch: readonly SpendOp[]): Promise<readonly SpendAnswer[]>;
  /** Gives up holds whose time is over, up to `limit`; returns how many. */
  sweep(limit: number): Promise<number>;
  /** Those that exist of the given keys; one that counts nothing yet is the same as none. */
  accounts(keys: readonly string[]): Promise<readonly Account[]>;
  /** Accounts whose key begins so, in order, after `after`. */
  accountsFrom(query: {
    readonly prefix: string;
    readonly after: string | null;
    readonly limit: number;
  }): Promise<readonly Account[]>;
  /** By model and stage, in order. */
  spent(query: SpendQuery): Promise<readonly SpendSum[]>;
  /** Output tokens of the latest calls that ended well, for estimates; newest first. */
  outputs(call: {
    readonly model: string;
    readonly stage: string;
    readonly limit: number;
  }): Promise<readonly number[]>;
  /** The database's clock, ms since the epoch: windows go by it. */
  now(): Promise<number>;
  /**
   * Deletes up to `limit` settled entries that ended before `before`, and as many expired ones that nobody settled since,
   * and returns how many; with them as many accounts of runs and of windows on which nothing was booked since, and nothing is held. Total accounts of others stay for ever.
   */
  prune(before: number, limit: number): Promise<number>;
}
