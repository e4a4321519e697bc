import { formatDuration } from "../base/duration.ts";
import { type AdmissionRules, tenantRules } from "./admission-rules.ts";
import { type Failure, failure } from "./errors.ts";

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

/** Whether a run is let in, by what is known at the door; the store counts again, exactly. Pure. */
export function decideAdmission(rules: AdmissionRules, load: Load, of: Entry & { now: number }): Verdict {
  const own = tenantRules(rules, of.tenant);
  const waiting = queuedOf(load, of.tenant);
  const waitMs = estimateWait(rules, load, of);
  if (own.maxQueued !== null && waiting >= own.maxQueued) {
    const retryAfterMs = untilRoom(load, {
      over: waiting - own.maxQueued + 1,
      share: shareOf(rules, load, of),
    });
    const known = { waiting, limit: own.maxQueued, retryAfterMs };
    return { kind: "refuse", scope: "tenant", failure: tenantFull(of.tenant, known) };
  }
  if (load.queued >= rules.maxQueued && !canShed(load, of.priority)) {
    const retryAfterMs = untilRoom(load, { over: load.queued - rules.maxQueued + 1, share: 1 });
    const known = { waiting: load.queued, limit: rules.maxQueued, retryAfterMs };
    return { kind: "refuse", scope: "queue", failure: queueFull(known) };
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
 * lets go before. `null` without a live worker or a measured time. ms.
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
  const inQueue = ahead < free ? 0 : ((ahead - free + 1) * serviceMs) / slots;
  // Its own tenant's cap may hold it back longer than the others do.
  const inTenant = tight ? (queuedOf(load, of.tenant) * serviceMs) / maxRunning : 0;
  return Math.round(Math.max(inQueue, inTenant));
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

/** Of all that is drained, the part that goes to this tenant while the others have work too. */
function shareOf(rules: AdmissionRules, load: Load, { tenant }: Pick<Entry, "tenant">): number {
  const busy = new Set([tenant, ...load.byTenant.map((one) => one.tenant)]);
  let all = 0;
  for (const one of busy) all += tenantRules(rules, one).weight;
  return tenantRules(rules, tenant).weight / all;
}

function untilRoom(load: Load, of: { readonly over: number; readonly share: number }): number {
  if (load.serviceMs === null || load.slots <= 0) return LEAST_RETRY_MS;
  return bounded((of.over * load.serviceMs) / (load.slots * of.share));
}

function bounded(ms: number): number {
  return Math.min(MOST_RETRY_MS, Math.max(LEAST_RETRY_MS, Math.ceil(ms)));
}

function tooLate(of: Entry & { readonly now: number }, waitMs: number): Failure | null {
  const start = of.now + waitMs;
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

interface Full {
  readonly waiting: number;
  readonly limit: number;
  readonly retryAfterMs: number;
}

export function tenantFull(tenant: string, { waiting, limit, retryAfterMs }: Full): Failure {
  return failure(
    "tenant_queue_full",
    `Tenant ${JSON.stringify(tenant)} has ${waiting} runs waiting; at most ${limit} may.`,
    { scope: "tenant", tenant, queued: waiting, limit, retry_after_ms: retryAfterMs },
  );
}

export function queueFull({ waiting, limit, retryAfterMs }: Full): Failure {
  return failure(
    "queue_full",
    `${waiting} runs wait already, at most ${limit} may, and none of them is less urgent than this one.`,
    { scope: "queue", queued: waiting, limit, retry_after_ms: retryAfterMs },
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
