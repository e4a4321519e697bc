import type { Commit, Posting, RunNo, StoreHint } from "../../../contracts/run-store.ts";
import type { Slot } from "../../../domain/fact.ts";
import type { RunStatus } from "../../../domain/run.ts";
import type { Served } from "../../../domain/service-rate.ts";
import type { FactRow } from "../sql/fact-row.ts";
import { blobHash, largeBytes, packBlob, type StoredBody } from "../sql/packing.ts";
import type { SlotEvent } from "./slots.ts";

export const classKey = (tenant: string, priority: number): string => JSON.stringify([tenant, priority]);

/** Where a run is. `elsewhere`: in the queue or in another claim's hands, which is not ours to know. */
export type Place =
  | { readonly at: "ready"; readonly first: boolean }
  | { readonly at: "lease"; readonly token: number; readonly since: number }
  | { readonly at: "rest"; readonly wakeAt: number | null; readonly waitingFor: readonly string[] }
  | { readonly at: "elsewhere" }
  | { readonly at: "nowhere" };

/** One locked run as it is in the middle of a batch: what was read, changed by the entries before. */
export interface HeldRun {
  readonly no: RunNo;
  readonly id: string;
  readonly parentNo: RunNo | null;
  readonly parentId: string | null;
  readonly tenant: string;
  readonly priority: number;
  /** Names slots. */
  readonly gated: boolean;
  readonly was: Place["at"];
  status: RunStatus;
  paused: boolean;
  place: Place;
  /** Moved before all others, if it is in the queue. */
  hurried: boolean;
  /** Unconsumed messages. */
  open: number;
  /** Messages that were asked for, and whether they are unconsumed. */
  readonly messages: Map<string, boolean>;
}

export interface NewRun {
  readonly no: RunNo;
  readonly id: string;
  readonly tenant: string;
  readonly queue: string;
  readonly priority: number;
  readonly vt: number;
  readonly workflow: { readonly name: string; readonly version: string; readonly hash: string };
  readonly title: string;
  readonly parent: { readonly no: RunNo; readonly id: string; readonly step: string } | null;
  readonly idempotency: { readonly key: string; readonly bodyHash: string } | null;
  readonly at: number;
  readonly deadlineAt: number | null;
  readonly lane: number;
  readonly slots: readonly Slot[];
}

/** A run that waits in the queue, locked there, and may be the one that gives way. */
export interface Victim {
  readonly no: RunNo;
  readonly id: string;
  readonly tenant: string;
  readonly priority: number;
  readonly gated: boolean;
  readonly parent_no: number | null;
  readonly parent_id: string | null;
  readonly place: "ready" | "parked";
}

/** A tenant's clock in a class. */
export interface Share {
  readonly tenant: string;
  readonly priority: number;
  readonly floor: number;
  vt: number;
  moved: boolean;
}

export interface RunChange {
  status: RunStatus;
  paused: boolean;
  startedAt: number | null;
  endedAt: number | null;
  result: StoredBody | null;
}

export const COUNTERS = [
  "ready",
  "parked",
  "queued",
  "running",
  "completed",
  "failed",
  "canceled",
  "dropped",
  "refused_queue",
  "refused_tenant",
  "refused_conflict",
] as const;
export type CounterName = (typeof COUNTERS)[number];

/** Everything one batch will write, gathered before any of it is sent. */
export class Ledger {
  readonly runs = new Map<string, HeldRun>();
  readonly newRuns: NewRun[] = [];
  readonly facts: (FactRow & { readonly no: RunNo; readonly token: number; readonly body: StoredBody })[] =
    [];
  readonly blobs = new Map<string, { hash: Buffer; enc: string; size: number; data: Uint8Array }>();
  readonly changes = new Map<RunNo, RunChange>();
  readonly messages: (Omit<Posting, "run" | "body"> & { readonly no: RunNo; readonly body: string })[] = [];
  readonly consumed: { readonly no: RunNo; readonly id: string }[] = [];
  /** Runs that have ended: what is still theirs goes. */
  readonly ended: RunNo[] = [];
  readonly asked: {
    no: RunNo;
    at: number;
    step: string;
    details: string;
    of: Commit["approvals"][number];
  }[] = [];
  readonly closed: { readonly no: RunNo; readonly id: string; readonly status: string }[] = [];
  readonly shares = new Map<string, Share>();
  /** Runs that have not begun, more or fewer, by class. */
  readonly waiting = new Map<string, { readonly tenant: string; readonly priority: number; n: number }>();
  readonly slotEvents: SlotEvent[] = [];
  /** Victims in the queue: their place goes. */
  readonly dropped: Victim[] = [];
  /** What runs that were given back had been held for. */
  served: Served = { runs: 0, ms: 0, at: 0 };
  readonly counters = new Map<CounterName, number>();
  readonly hints: StoreHint[] = [];

  body(text: string): StoredBody {
    const plain = largeBytes(text);
    if (plain === null) return { text, blob: null };
    const hash = blobHash(plain);
    const name = hash.toString("hex");
    if (!this.blobs.has(name)) this.blobs.set(name, { hash, size: plain.length, ...packBlob(plain) });
    return { text: null, blob: hash };
  }

  count(name: CounterName, amount: number): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + amount);
  }

  hint(hint: StoreHint): void {
    if (hint.kind === "ready" && this.hints.some((other) => other.kind === "ready")) return;
    this.hints.push(hint);
  }

  change(run: HeldRun): RunChange {
    const known = this.changes.get(run.no);
    if (known !== undefined) return known;
    const { status, paused } = run;
    const change = { status, paused, startedAt: null, endedAt: null, result: null };
    this.changes.set(run.no, change);
    return change;
  }

  /** A run of this class more, or fewer, has not begun. */
  countWaiting({ tenant, priority }: { tenant: string; priority: number }, n: number): void {
    const key = classKey(tenant, priority);
    const known = this.waiting.get(key);
    if (known === undefined) this.waiting.set(key, { tenant, priority, n });
    else known.n += n;
  }

  makeReady(run: HeldRun, first: boolean): void {
    run.place = { at: "ready", first };
    this.count("ready", 1);
    this.hint({ kind: "ready" });
  }
}
