import type { JsonObject } from "../base/json.ts";

/** What is worth seeing now and not worth keeping: heartbeats, tokens, output of a running command. */
export interface LiveEvent {
  readonly run: string;
  readonly step: string;
  readonly name: "heartbeat" | "delta" | "output" | "progress";
  readonly at: number;
  readonly data: JsonObject;
}

export interface Live {
  publish(event: LiveEvent): void;
  /** Returns the unsubscribe. A slow listener loses events, never slows a run. */
  subscribe(run: string, listener: (event: LiveEvent) => void): () => void;
}

/** Where a reader of a run is in what the relay holds; meaningful to that relay only. */
export type LiveCursor = number;

/**
 * Carries live events to readers in other processes on the same database. Events may be lost, never told twice, and those
 * of one sender stay in order. Rejects with a `FailureError` when the database cannot be reached.
 */
export interface LiveRelay {
  /** Says that readers of this process watch these runs for the next `LIMITS.liveWatchMs`; where each reader begins. */
  watch(runs: readonly string[]): Promise<ReadonlyMap<string, LiveCursor>>;
  /** Of these runs, those that readers in other processes watch. */
  watched(runs: readonly string[]): Promise<ReadonlySet<string>>;
  send(events: readonly LiveEvent[]): Promise<void>;
  /** What other processes have sent of these runs, oldest first; at most `LIMITS.liveBatch` a run. */
  receive(
    from: ReadonlyMap<string, LiveCursor>,
  ): Promise<readonly { readonly event: LiveEvent; readonly cursor: LiveCursor }[]>;
}
