/** What a process does: answers requests, drives runs, keeps house (timers, reaping, pruning) when it leads. */
export type Role = "http" | "worker" | "services";

/** A process that works on the database, as it tells of itself. */
export interface Member {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  /** Tells a reused pid from the old process; "" where the system has no such thing. */
  readonly processStart: string;
  /** Of agent-runner. */
  readonly version: string;
  readonly roles: readonly Role[];
  readonly labels: readonly string[];
  /** Runs it drives at the same time; 0 for a process that drives none. */
  readonly slots: number;
  /** Runs it drives now. */
  readonly held: number;
  /** It takes nothing new and ends as soon as it can. */
  readonly draining: boolean;
}

export interface MemberView extends Member {
  /** ms since the epoch, by the database's clock. */
  readonly joinedAt: number;
  /** Since its last report, by the database's clock. */
  readonly silentMs: number;
}

/** What others want of a member. Each number changes with each new wish, so that a wish is granted once. */
export interface Wishes {
  readonly slots: { readonly no: number; readonly value: number } | null;
  readonly reloadNo: number;
}

export interface Reported {
  /** ms since the epoch, by the database's clock, at some moment between the call and its answer. */
  readonly now: number;
  readonly wishes: Wishes;
}

/** The processes of one database. Rejects with a `FailureError` only when the store as a whole failed. */
export interface Fleet {
  /** The database's clock: the one that all processes share. ms since the epoch. */
  now(): Promise<number>;
  /** Makes a member known, or up to date. */
  report(member: Member): Promise<Reported>;
  leave(id: string): Promise<void>;
  /** Oldest first; those that have been silent for more than a minute are no members any more. */
  members(): Promise<readonly MemberView[]>;
  /** False when there is no such member. */
  wish(id: string, wish: { readonly slots?: number; readonly reload?: boolean }): Promise<boolean>;
}
