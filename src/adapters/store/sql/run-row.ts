import type { QueueLoad, RunFilter, RunReader } from "../../../contracts/run-store.ts";
import { missingWorker } from "../../../domain/labels.ts";
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
  readonly waiting_for: string | null;
  /** The full slot it was put aside for. */
  readonly parked_for: string | null;
  /** Labels that whoever takes it from the queue must have, as JSON. */
  readonly needs: string | null;
}

export const RUN_COLUMNS = `run.no, run.id, run.tenant, run.queue, run.priority, run.workflow, run.workflow_hash, run.title,
  run.parent_id, run.parent_step, run.status, run.paused, run.created_at, run.started_at, run.ended_at,
  run.deadline_at, run.result, run.result_blob,
  (SELECT waiting_for FROM rest WHERE rest.run_no = run.no) AS waiting_for,
  (SELECT key FROM parked WHERE parked.run_no = run.no) AS parked_for,
  CASE WHEN run.lane <> 0 THEN (SELECT lane.labels FROM ready JOIN lane ON lane.id = ready.lane
    WHERE ready.run_no = run.no) END AS needs`;

/** The labels of each live worker, as far as a row needs them. */
export type LabelsOf = () => readonly (readonly string[])[];

function waitingOf(row: RunRow, workers: LabelsOf): readonly string[] {
  if (row.waiting_for !== null) return JSON.parse(row.waiting_for) as string[];
  if (row.parked_for !== null) return [`slot:${row.parked_for}`];
  if (row.needs === null) return [];
  const missing = missingWorker(JSON.parse(row.needs) as string[], workers());
  return missing === null ? [] : [missing];
}

/** `result` is the text of the run's result; `null` while it has none. */
export function toSummary(row: RunRow, result: string | null, workers: LabelsOf): RunSummary {
  const { output, failure } = result === null ? { output: null, failure: null } : JSON.parse(result);
  return {
    id: row.id,
    workflow: row.workflow,
    workflowHash: row.workflow_hash,
    status: row.status,
    paused: Boolean(row.paused),
    waitingFor: waitingOf(row, workers),
    title: row.title,
    tenant: row.tenant,
    queue: row.queue,
    priority: row.priority,
    parent: row.parent_id === null ? null : { run: row.parent_id, step: row.parent_step ?? "" },
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    deadlineAt: row.deadline_at,
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

/** From numbers by name: the statuses, `ready`, `parked`, `leased` and `workers`. */
export function toCounts(of: (name: string) => number): Awaited<ReturnType<RunReader["counts"]>> {
  const byStatus = Object.fromEntries(RUN_STATUSES.map((status) => [status, of(status)]));
  const open = of("queued") + of("running");
  return {
    byStatus: byStatus as Record<RunStatus, number>,
    ready: of("ready"),
    resting: open - of("ready") - of("parked") - of("leased"),
    leased: of("leased"),
    workers: of("workers"),
  };
}

/** From the same numbers and `slots`, `dropped` and `refused_…`, with what waits and what was served. */
export function toLoad(
  of: (name: string) => number,
  rest: Pick<QueueLoad, "byClass" | "byTenant" | "serviceMs" | "drainedPerSecond">,
): QueueLoad {
  const { byStatus, ready, leased, resting, workers } = toCounts(of);
  return {
    queued: byStatus.queued,
    ready,
    parked: of("parked"),
    leased,
    resting,
    workers,
    slots: of("slots"),
    refused: {
      queueFull: of("refused_queue"),
      tenantQueueFull: of("refused_tenant"),
      conflict: of("refused_conflict"),
    },
    dropped: of("dropped"),
    ...rest,
  };
}
