import type { Json } from "../../../base/json.ts";
import type { InboxMessage, RunNo, WorkerInfo } from "../../../contracts/run-store.ts";
import type { Approval } from "../../../domain/approval.ts";
import type { Failure } from "../../../domain/errors.ts";
import type { Fact, RunRequest } from "../../../domain/fact.ts";
import type { RunStatus } from "../../../domain/run.ts";
import type { Served } from "../../../domain/service-rate.ts";

/** An open run is in exactly one place; an ended one in none. */
export type Place =
  /** `gated`: its slots are looked at when it is claimed. `needs`: what the worker must have. */
  | {
      readonly at: "ready";
      readonly priority: number;
      readonly vt: number;
      readonly needs: readonly string[];
      readonly gated: boolean;
    }
  | { readonly at: "parked"; readonly key: string }
  /** `since` is `null` when it is held only to be ended. */
  | { readonly at: "lease"; readonly token: number; readonly worker: string; readonly since: number | null }
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
  /** Keys of the slots it holds now. */
  readonly holds: Set<string>;
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

export interface MemoryCounts {
  dropped: number;
  queueFull: number;
  tenantQueueFull: number;
  conflict: number;
}

/** Everything the store knows. */
export interface MemoryState {
  /** In the order of their numbers. */
  readonly runs: MemoryRun[];
  readonly byNo: Map<RunNo, MemoryRun>;
  readonly byId: Map<string, MemoryRun>;
  readonly workers: Map<string, MemoryWorker>;
  readonly approvals: Map<string, Approval>;
  /** Each tenant's clock in each class, by `[tenant, priority]`. */
  readonly shares: Map<string, number>;
  /** The highest virtual time ever claimed, by class. */
  readonly floors: Map<number, number>;
  /** How many may hold a slot, by its key. */
  readonly caps: Map<string, number>;
  readonly counts: MemoryCounts;
  served: Served;
  lastNo: RunNo;
  fence: number;
  arrival: number;
}

export function emptyState(): MemoryState {
  return {
    runs: [],
    byNo: new Map(),
    byId: new Map(),
    workers: new Map(),
    approvals: new Map(),
    shares: new Map(),
    floors: new Map(),
    caps: new Map(),
    counts: { dropped: 0, queueFull: 0, tenantQueueFull: 0, conflict: 0 },
    served: { runs: 0, ms: 0, at: 0 },
    lastNo: 0,
    fence: 0,
    arrival: 0,
  };
}

export function slotsOf(run: { readonly request: RunRequest }): NonNullable<RunRequest["slots"]> {
  return run.request.slots ?? [];
}

/** What a value is after a trip through a database: a copy nobody else holds. Throws what is no JSON. */
export function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
