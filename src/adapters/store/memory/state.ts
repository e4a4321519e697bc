import type { Json } from "../../../base/json.ts";
import type { InboxMessage, RunNo, WorkerInfo } from "../../../contracts/run-store.ts";
import type { Approval } from "../../../domain/approval.ts";
import type { Failure } from "../../../domain/errors.ts";
import type { Fact, RunRequest } from "../../../domain/fact.ts";
import type { RunStatus } from "../../../domain/run.ts";

/** An open run is in exactly one place; an ended one in none. */
export type Place =
  | { readonly at: "ready"; readonly priority: number; readonly vt: number }
  | { readonly at: "lease"; readonly token: number; readonly worker: string }
  | { readonly at: "rest"; readonly wakeAt: number | null; readonly waitingFor: readonly string[] }
  | { readonly at: "nowhere" };

export interface MemoryMessage {
  readonly message: InboxMessage;
  consumed: boolean;
}

export interface MemoryRun {
  readonly no: RunNo;
  readonly id: string;
  readonly request: RunRequest;
  readonly idempotency: { readonly key: string; readonly bodyHash: string } | null;
  readonly vt: number;
  readonly createdAt: number;
  readonly facts: Fact[];
  /** The token the last fact was written under. */
  lastToken: number;
  readonly endedSteps: Set<string>;
  status: RunStatus;
  paused: boolean;
  startedAt: number | null;
  endedAt: number | null;
  output: Json;
  failure: Failure | null;
  place: Place;
  inbox: MemoryMessage[];
}

export interface MemoryWorker {
  readonly info: WorkerInfo;
  readonly joinedAt: number;
  beatAt: number;
}

/** Everything the store knows. */
export interface MemoryState {
  /** In the order of their numbers. */
  readonly runs: MemoryRun[];
  readonly byNo: Map<RunNo, MemoryRun>;
  readonly byId: Map<string, MemoryRun>;
  readonly workers: Map<string, MemoryWorker>;
  readonly approvals: Map<string, Approval>;
  lastNo: RunNo;
  fence: number;
  vt: number;
  arrival: number;
}

export function emptyState(): MemoryState {
  return {
    runs: [],
    byNo: new Map(),
    lastNo: 0,
    byId: new Map(),
    workers: new Map(),
    approvals: new Map(),
    fence: 0,
    vt: 0,
    arrival: 0,
  };
}

/** What a value is after a trip through a database: a copy nobody else holds. Throws what is no JSON. */
export function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
