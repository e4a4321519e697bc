import type { QueueLoad, RunFilter, RunReader } from "../../../contracts/run-store.ts";
import { RUN_STATUSES, type RunStatus, type RunSummary } from "../../../domain/run.ts";

export interface RunRow {
  readonly no: number;
  readonly id: string;
  readonly tenant: string;
  readonly queue: string;
  readonly priority: number;
  readonly workflow: string;
  readonly workflow_hash: string;
  readonly title: string;
  readonly parent_id: string | null;
  readonly parent_step: string | null;
  readonly status: RunStatus;
  /** A number where the database has no truth values. */
  readonly paused: number | boolean;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  readonly deadline_at: number | null;
  readonly sla: string | null;
  readonly waiting_for: string | null;
}

export const RUN_COLUMNS = `run.no, run.id, run.tenant, run.queue, run.priority, run.workflow, run.workflow_hash, run.title,
  run.parent_id, run.parent_step, run.status, run.paused, run.created_at, run.started_at, run.ended_at,
  run.deadline_at, run.sla, run.result, run.result_blob,
  (SELECT waiting_for FROM rest WHERE rest.run_no = run.no) AS waiting_for`;

/** `result` is the text of the run's result; `null` while it has none. */
export function toSummary(row: RunRow, result: string | null): RunSummary {
  const { output, failure } = result === null ? { output: null, failure: null } : JSON.parse(result);
  return {
    id: row.id,
    workflow: row.workflow,
    workflowHash: row.workflow_hash,
    status: row.status,
    paused: Boolean(row.paused),
    waitingFor: row.waiting_for === null ? [] : JSON.parse(row.waiting_for),
    title: row.title,
    tenant: row.tenant,
    queue: row.queue,
    priority: row.priority,
    parent: row.parent_id === null ? null : { run: row.parent_id, step: row.parent_step ?? "" },
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    deadlineAt: row.deadline_at,
    sla: row.sla === null ? null : JSON.parse(row.sla),
    output,
    failure,
  };
}

/** Each filter alone has an index in list order; of several, the first here drives and the others sieve. */
export const FILTERS = [
  { key: "parent", column: "parent_id", index: "run_by_parent" },
  { key: "status", column: "status", index: "run_by_status" },
  { key: "workflow", column: "workflow", index: "run_by_workflow" },
  { key: "tenant", column: "tenant", index: "run_by_tenant" },
] as const;

/** A filter with one status at most: one indexed list. */
export type Single = Partial<Record<(typeof FILTERS)[number]["key"], string>>;

export function usedFilters(filters: Single): readonly (typeof FILTERS)[number][] {
  return FILTERS.filter((filter) => filters[filter.key] !== undefined);
}

export function filterValues(filters: Single): string[] {
  return FILTERS.map((filter) => filters[filter.key]).filter((value) => value !== undefined);
}

/** The indexed lists a filter is made of, one a status: a list over several at once would sort all of them. */
export function singlesOf({ status, workflow, tenant, parent }: RunFilter): readonly Single[] {
  const rest = {
    ...(workflow === undefined ? {} : { workflow }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(parent === undefined ? {} : { parent }),
  };
  return status === undefined ? [rest] : [...new Set(status)].map((one) => ({ ...rest, status: one }));
}

/** The newest of several lists. */
export function newest<Row extends { readonly no: number }>(
  lists: readonly (readonly Row[])[],
  limit: number,
): Row[] {
  const [only] = lists;
  if (lists.length === 1 && only !== undefined) return [...only];
  return lists
    .flat()
    .sort((a, b) => b.no - a.no)
    .slice(0, limit);
}

/** From numbers by name: the statuses, `ready`, `leased` and `workers`. */
export function toCounts(of: (name: string) => number): Awaited<ReturnType<RunReader["counts"]>> {
  const byStatus = Object.fromEntries(RUN_STATUSES.map((status) => [status, of(status)]));
  const open = of("queued") + of("running");
  return {
    byStatus: byStatus as Record<RunStatus, number>,
    ready: of("ready"),
    resting: open - of("ready") - of("leased"),
    leased: of("leased"),
    workers: of("workers"),
  };
}

/** From the same numbers, and those that wait by class. */
export function toLoad(of: (name: string) => number, classes: QueueLoad["byClass"]): QueueLoad {
  const counts = toCounts(of);
  return {
    queued: counts.byStatus.queued,
    byClass: classes,
    byTenant: [],
    ready: counts.ready,
    parked: 0,
    leased: counts.leased,
    resting: counts.resting,
    workers: counts.workers,
    slots: of("slots"),
    serviceMs: null,
    drainedPerSecond: 0,
    refused: { queueFull: 0, tenantQueueFull: 0, conflict: 0 },
    dropped: 0,
  };
}
