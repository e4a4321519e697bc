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
