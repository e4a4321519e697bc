import { formatDuration } from "../base/duration.ts";
import { isJsonObject } from "../base/json.ts";
import { type AdmissionRules, tenantRules } from "./admission-rules.ts";
import { type Failure, failure } from "./errors.ts";
import { queueFull, tenantQueueFull } from "./queue.ts";

/** How full the queue is, and how fast it empties, as the door knows it: some moments old. */
export interface Load {
  /** Runs that were accepted and have not begun. */
  readonly queued: number;
  /** Of those, by tenant and priority; the fullest only. */
  readonly byTenant: readonly {
    readonly tenant: string;
    readonly priority: number;
    readonly queued: number;
  }[];
  readonly byClass: readonly { readonly priority: number; readonly queued: number }[];
  readonly leased: number;
  /** Of all live workers together. */
  readonly slots: number;
  /** How long a run keeps a slot, on average; `null` while nobody knows. */
  readonly serviceMs: number | null;
  /** How many runs of a priority come a second, where that is known: more urgent ones will go before. */
  readonly arriving?: readonly { readonly priority: number; readonly perSecond: number }[];
}

/** A run at the door. */
export interface Entry {
  readonly tenant: string;
  readonly priority: number;
  /** ms since the epoch. */
  readonly startBy: number | null;
  readonly deadlineAt: number | null;
  /** From its beginning to its end, where that is known of its workflow. */
  readonly expectedMs: number | null;
}

/** Who or what has no room: the label of a refusal, in answers and in figures. */
export const REFUSAL_SCOPES = ["tenant", "principal", "queue", "deadline", "concurrency"] as const;
export type RefusalScope = (typeof REFUSAL_SCOPES)[number];

export type Verdict =
  /** `waitMs` is the estimated wait until it begins; `null` when nobody can tell. */
  | { readonly kind: "admit"; readonly waitMs: number | null }
  | { readonly kind: "refuse"; readonly scope: RefusalScope; readonly failure: Failure };

/** Asked to come again no sooner than this where nothing better is known. */
const LEAST_RETRY_MS = 1_000;
const MOST_RETRY_MS = 3_600_000;
const SECOND_MS = 1_000;
/** An estimate is missed as often as it is kept; a promise should be kept, so that much more is reckoned with. */
const SAFETY = 1.25;
/** However much urgent work comes, less urgent work is taken to have so much of the slots. */
const LEAST_LEFT_OVER = 0.05;

/** Whether a run is let in, by what is known at the door; the store counts again, exactly. Pure. */
export function decideAdmission(
  rules: AdmissionRules,
  load: Load,
  of: Entry & { readonly now: number; readonly waitMs: number | null },
): Verdict {
  const own = tenantRules(rules, of.tenant);
  const waiting = queuedOf(load, of.tenant);
  const { waitMs } = of;
  if (own.maxQueued !== null && waiting >= own.maxQueued) {
    const full = tenantQueueFull({ tenant: of.tenant, queued: waiting, cap: own.maxQueued });
    const retryAfterMs = roomAfter(rules, load, { tenant: of.tenant, over: waiting - own.maxQueued + 1 });
    return { kind: "refuse", scope: "tenant", failure: withRetry(full, "tenant", retryAfterMs) };
  }
  if (load.queued >= rules.maxQueued && !canShed(load, of.priority)) {
    const full = queueFull({ queued: load.queued, cap: rules.maxQueued, priority: of.priority });
    const retryAfterMs = roomAfter(rules, load, { tenant: null, over: load.queued - rules.maxQueued + 1 });
    return { kind: "refuse", scope: "queue", failure: withRetry(full, "queue", retryAfterMs) };
  }
  const late = waitMs === null ? null : tooLate(of, waitMs);
  return late === null ? { kind: "admit", waitMs } : { kind: "refuse", scope: "deadline", failure: late };
}

/** More urgent work takes the place of less urgent work that has not begun. */
function canShed(load: Load, priority: number): boolean {
  return load.byClass.some((one) => one.priority > priority && one.queued > 0);
}

function queuedOf(load: Load, tenant: string): number {
  return load.byTenant.reduce((sum, one) => sum + (one.tenant === tenant ? one.queued : 0), 0);
}

/**
 * How long a run that comes now waits: what is ahead of it times the measured service time, over the live slots.
 * Ahead are all runs of more urgent classes, its tenant's own of its class, and of other tenants as many as fair share
 * lets go before; and more urgent ones that come while it waits take their part of the slots. `null` without a live
 * worker or a measured time. ms.
 */
export function estimateWait(
  rules: AdmissionRules,
  load: Load,
  of: Pick<Entry, "tenant" | "priority">,
): number | null {
  const { slots, serviceMs, leased } = load;
  if (slots <= 0) return null;
  const ahead = aheadOf(rules, load, of);
  const free = Math.max(0, slots - leased);
  const { maxRunning } = tenantRules(rules, of.tenant);
  const tight = maxRunning !== null && maxRunning < slots;
  if (ahead < free && !tight) return 0;
  if (serviceMs === null) return null;
  const inQueue =
    ahead < free
      ? 0
      : ((ahead - free + 1) * serviceMs) / (slots * leftOver({ ...load, serviceMs }, of.priority));
  // Its own tenant's cap may hold it back longer than the others do.
  const inTenant = tight ? (queuedOf(load, of.tenant) * serviceMs) / maxRunning : 0;
  return Math.round(Math.max(inQueue, inTenant));
}

/** Of the slots, the part that more urgent work leaves: as in any queue with priorities, 1 - its load. */
function leftOver(
  { arriving = [], slots, serviceMs }: Load & { readonly serviceMs: number },
  priority: number,
): number {
  const urgent = arriving.reduce((sum, one) => sum + (one.priority < priority ? one.perSecond : 0), 0);
  const drained = (slots * SECOND_MS) / Math.max(1, serviceMs);
  return Math.max(LEAST_LEFT_OVER, 1 - urgent / drained);
}

function aheadOf(rules: AdmissionRules, load: Load, of: Pick<Entry, "tenant" | "priority">): number {
  let urgent = 0;
  let same = 0;
  for (const { priority, queued } of load.byClass) {
    if (priority < of.priority) urgent += queued;
    if (priority === of.priority) same = queued;
  }
  const peers = load.byTenant.filter(({ priority }) => priority === of.priority);
  const mine = peers.find(({ tenant }) => tenant === of.tenant)?.queued ?? 0;
  const { weight } = tenantRules(rules, of.tenant);
  let fair = mine;
  for (const { tenant, queued } of peers) {
    if (tenant === of.tenant) continue;
    fair += Math.min(queued, ((mine + 1) * tenantRules(rules, tenant).weight) / weight);
  }
  return urgent + Math.min(same, fair);
}

/** When there will be room for `over` more runs, of a tenant by its share of the slots, or of all (`null`). ms. */
export function roomAfter(
  rules: AdmissionRules,
  load: Load,
  of: { readonly tenant: string | null; readonly over: number },
): number {
  const { serviceMs, slots } = load;
  if (serviceMs === null || slots <= 0) return LEAST_RETRY_MS;
  const share = of.tenant === null ? 1 : shareOf(rules, load, of.tenant);
  return bounded((of.over * serviceMs) / (slots * share));
}

/** Of all that is drained, the part that goes to this tenant while the others have work too. */
function shareOf(rules: AdmissionRules, load: Load, tenant: string): number {
  const busy = new Set([tenant, ...load.byTenant.map((one) => one.tenant)]);
  let all = 0;
  for (const one of busy) all += tenantRules(rules, one).weight;
  return tenantRules(rules, tenant).weight / all;
}

/** A refusal with whose limit it met, and when to come again. */
export function withRetry(why: Failure, scope: RefusalScope, retryAfterMs: number): Failure {
  const details = isJsonObject(why.details) ? why.details : {};
  return { ...why, details: { ...details, scope, retry_after_ms: retryAfterMs } };
}

function bounded(ms: number): number {
  return Math.min(MOST_RETRY_MS, Math.max(LEAST_RETRY_MS, Math.ceil(ms)));
}

function tooLate(of: Entry & { readonly now: number }, waitMs: number): Failure | null {
  const start = of.now + Math.round(waitMs * SAFETY);
  const end = start + (of.expectedMs ?? 0);
  const byStart = of.startBy === null ? 0 : start - of.startBy + 1;
  const byEnd = of.deadlineAt === null ? 0 : end - of.deadlineAt + 1;
  if (byStart <= 0 && byEnd <= 0) return null;
  const what = byStart >= byEnd ? "start_by" : "deadline";
  const dueAt = Number(what === "start_by" ? of.startBy : of.deadlineAt);
  const takes =
    what === "deadline" && of.expectedMs !== null ? ` and takes ${formatDuration(of.expectedMs)}` : "";
  return failure(
    "deadline_unmeetable",
    `${what} is in ${formatDuration(Math.max(0, dueAt - of.now))}, but the run would wait about ${formatDuration(waitMs)}${takes}; it was not accepted.`,
    {
      scope: "deadline",
      what,
      due_in_ms: dueAt - of.now,
      estimated_wait_ms: waitMs,
      expected_ms: of.expectedMs,
      // The wait becomes shorter as the queue drains: by then a request with the same span would be in time.
      retry_after_ms: bounded(Math.max(byStart, byEnd)),
    },
  );
}

/** The load with one more run waiting: what the door lets in counts before the next look at the store. */
export function withOneMore(load: Load, of: Pick<Entry, "tenant" | "priority">): Load {
  return {
    ...load,
    queued: load.queued + 1,
    byClass: added(load.byClass, { priority: of.priority }),
    byTenant: added(load.byTenant, { tenant: of.tenant, priority: of.priority }),
  };
}

type Counted = { readonly queued: number };

function added<T extends Counted>(rows: readonly T[], wanted: Omit<T, "queued">): readonly T[] {
  const keys = Object.keys(wanted) as (keyof Omit<T, "queued">)[];
  const at = rows.findIndex((row) => keys.every((key) => row[key] === wanted[key]));
  if (at < 0) return [...rows, { ...wanted, queued: 1 } as T];
  return rows.map((row, i) => (i === at ? { ...row, queued: row.queued + 1 } : row));
}
