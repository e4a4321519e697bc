import type { QueueLoad, RunReader, SlotView, Unserved } from "../../../contracts/run-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import type { RunSummary } from "../../../domain/run.ts";
import { type Served, serviceRate } from "../../../domain/service-rate.ts";
import { APPROVAL_COLUMNS, type ApprovalRow, toApproval } from "../sql/approval-row.ts";
import { pastPrefix } from "../sql/prefix.ts";
import {
  filterValues,
  newest,
  RUN_COLUMNS,
  type RunRow,
  type Single,
  singlesOf,
  toCounts,
  toLoad,
  toSummary,
  usedFilters,
} from "../sql/run-row.ts";
import { type LaneRow, toUnserved, unservedLanes } from "../sql/unserved.ts";
import { toWorker, WORKERS, type WorkerRow } from "../sql/worker-row.ts";
import { type BodyRow, bodyText, type JournalRow, READ_FACTS, toFact } from "./journal.ts";
import { COUNTERS } from "./ledger.ts";
import type { Reads } from "./reads.ts";
import { type Statement, statement } from "./sql.ts";

type Row = RunRow & Omit<BodyRow, "body"> & { readonly result: string | null };

const RUNS = `SELECT ${RUN_COLUMNS}, run.result_blob AS hash, blob.enc, blob.data
  FROM run LEFT JOIN blob ON blob.hash = run.result_blob`;

const lists = new Map<string, Statement>();

/** A list over the given filters; its parameters are their values, then `no <`, then the limit. */
export function listStatement(filters: Single): Statement {
  const used = usedFilters(filters);
  const where = used.map((filter, index) => `run.${filter.column} = $${index + 1} AND `).join("");
  const text = `${RUNS} WHERE ${where}run.no < $${used.length + 1} ORDER BY run.no DESC LIMIT $${used.length + 2}`;
  const known = lists.get(text) ?? statement(text);
  lists.set(text, known);
  return known;
}

const BY_ID = statement(`${RUNS} WHERE run.id = $1`);
const BY_KEY = statement("SELECT id, idem_hash FROM run WHERE tenant = $1 AND idem_key = $2");
const CLASSES = statement(
  `SELECT priority, sum(n)::bigint AS queued FROM waiting GROUP BY priority HAVING sum(n) > 0 ORDER BY priority`,
);
const TENANTS = statement(
  `SELECT tenant, priority, sum(n)::bigint AS queued FROM waiting GROUP BY tenant, priority HAVING sum(n) > 0
   ORDER BY queued DESC, tenant, priority LIMIT ${LIMITS.loadTenants}`,
);
const SERVED = statement(
  "SELECT served_runs AS runs, served_ms AS ms, served_at AS at FROM counter WHERE served_at > 0",
);
const LABELS = statement("SELECT labels FROM worker ORDER BY id");
const WAITING_LANES = statement(
  `SELECT id, labels FROM lane WHERE (SELECT true FROM ready WHERE ready.lane = lane.id LIMIT 1) ORDER BY id`,
);
const COUNT_LANES = statement(
  `SELECT lane.labels, (SELECT count(*) FROM (
     SELECT 1 FROM ready WHERE ready.lane = lane.id LIMIT ${LIMITS.unservedRuns}) AS seen)::bigint AS queued
   FROM lane WHERE id = ANY($1::int[])`,
);
const SLOTS = statement(
  'SELECT key, cap AS "limit", held FROM slot WHERE key > $1 AND key < $2 ORDER BY key LIMIT $3',
);
const ALL_WORKERS = statement(WORKERS);
const NUMBER = statement("SELECT no FROM run WHERE id = $1");
const APPROVALS = `SELECT ${APPROVAL_COLUMNS} FROM approval JOIN run ON run.no = approval.run_no`;
const PAGE = (from: number) => `approval.ord < $${from} ORDER BY approval.ord DESC LIMIT $${from + 1}`;
const APPROVAL = statement(`${APPROVALS} WHERE approval.id = $1`);
const APPROVAL_ORD = statement("SELECT ord FROM approval WHERE id = $1");
const ALL_APPROVALS = statement(`${APPROVALS} WHERE ${PAGE(1)}`);
const BY_STATUS = statement(`${APPROVALS} WHERE approval.status = $1 AND ${PAGE(2)}`);
const BY_RUN = statement(`${APPROVALS} WHERE approval.run_no = $1 AND ${PAGE(2)}`);
const BY_BOTH = statement(`${APPROVALS} WHERE approval.run_no = $1 AND approval.status = $2 AND ${PAGE(3)}`);
// One statement, so that all numbers are of one moment.
const COUNTS = statement(
  `SELECT ${COUNTERS.map((name) => `sum(${name})::bigint AS ${name}`).join(", ")},
     (SELECT count(*) FROM lease) AS leased, (SELECT count(*) FROM worker WHERE slots > 0) AS workers,
     (SELECT coalesce(sum(slots), 0) FROM worker) AS slots FROM counter`,
);

/** Of PostgreSQL's largest number only what JavaScript counts exactly. */
const ABOVE_ALL = Number.MAX_SAFE_INTEGER;

/** The labels of the workers are asked for only when a run in the queue needs some. */
async function summaries(reads: Reads, rows: readonly Row[]): Promise<RunSummary[]> {
  const needed = rows.some((row) => row.needs !== null);
  const workers = needed ? await reads.many<{ labels: string }>(LABELS, []) : [];
  const labels = workers.map((worker) => JSON.parse(worker.labels) as string[]);
  return rows.map((row) => {
    const { result, hash, enc, data } = row;
    return toSummary(row, bodyText({ body: result, hash, enc, data }), () => labels);
  });
}

async function unserved(reads: Reads): Promise<readonly Unserved[]> {
  const lanes = await reads.many<LaneRow>(WAITING_LANES, []);
  if (lanes.length === 0) return [];
  const workers = await reads.many<{ labels: string }>(LABELS, []);
  const left = unservedLanes(
    lanes,
    workers.map((row) => row.labels),
  );
  if (left.length === 0) return [];
  return toUnserved(
    await reads.many<{ labels: string; queued: number }>(COUNT_LANES, [left.map(({ id }) => id)]),
  );
}

async function approvalRows(
  reads: Reads,
  { status, run, after, limit }: Parameters<RunReader["approvals"]>[0],
): Promise<readonly ApprovalRow[]> {
  const below =
    after === null ? ABOVE_ALL : (await reads.many<{ ord: number }>(APPROVAL_ORD, [after]))[0]?.ord;
  if (below === undefined) return [];
  if (run === undefined) {
    if (status === undefined) return reads.many<ApprovalRow>(ALL_APPROVALS, [below, limit]);
    return reads.many<ApprovalRow>(BY_STATUS, [status, below, limit]);
  }
  const no = (await reads.many<{ no: number }>(NUMBER, [run]))[0]?.no;
  if (no === undefined) return [];
  if (status === undefined) return reads.many<ApprovalRow>(BY_RUN, [no, below, limit]);
  return reads.many<ApprovalRow>(BY_BOTH, [no, status, below, limit]);
}

/** The readers' side, over connections of its own: it never waits for a writer, nor a writer for it. */
export function createRunReader(reads: Reads): RunReader {
  const numberOf = async (run: string) => (await reads.many<{ no: number }>(NUMBER, [run]))[0]?.no;
  return {
    async run(id) {
      const [summary] = await summaries(reads, await reads.many<Row>(BY_ID, [id]));
      return summary ?? null;
    },
    async runs({ filter, after, limit }) {
      const below = after === null ? ABOVE_ALL : await numberOf(after);
      if (below === undefined || limit <= 0) return [];
      const rows = await Promise.all(
        singlesOf(filter).map((single) =>
          reads.many<Row>(listStatement(single), [...filterValues(single), below, limit]),
        ),
      );
      return summaries(reads, newest(rows, limit));
    },
    async factsOf(run, { after, limit }) {
      const no = await numberOf(run);
      if (no === undefined) return null;
      return (await reads.many<JournalRow>(READ_FACTS, [no, after, Math.max(0, limit)])).map(toFact);
    },
    async approval(id) {
      const [row] = await reads.many<ApprovalRow>(APPROVAL, [id]);
      return row === undefined ? null : toApproval(row);
    },
    approvals: async (query) => (await approvalRows(reads, query)).map(toApproval),
    async byIdempotencyKey(tenant, key) {
      const [row] = await reads.many<{ id: string; idem_hash: string }>(BY_KEY, [tenant, key]);
      return row === undefined ? null : { id: row.id, bodyHash: row.idem_hash };
    },
    async counts() {
      const [row] = await reads.many<Record<string, number>>(COUNTS, []);
      return toCounts((name) => row?.[name] ?? 0);
    },
    async load(now) {
      const [[row], byClass, byTenant, served] = await Promise.all([
        reads.many<Record<string, number>>(COUNTS, []),
        reads.many<QueueLoad["byClass"][number]>(CLASSES, []),
        reads.many<QueueLoad["byTenant"][number]>(TENANTS, []),
        reads.many<Served>(SERVED, []),
      ]);
      const rates = serviceRate(served, now);
      return toLoad((name) => row?.[name] ?? 0, { byClass, byTenant, ...rates });
    },
    unserved: () => unserved(reads),
    slots: ({ prefix, after, limit }) =>
      reads.many<SlotView>(SLOTS, [after ?? prefix, pastPrefix(prefix), Math.max(0, limit)]),
    async workers() {
      return (await reads.many<WorkerRow>(ALL_WORKERS, [])).map(toWorker);
    },
  };
}
