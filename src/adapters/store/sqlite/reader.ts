import type { QueueLoad, RunReader, SlotView, Unserved } from "../../../contracts/run-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import type { RunSummary } from "../../../domain/run.ts";
import { type Served, serviceRate } from "../../../domain/service-rate.ts";
import { APPROVAL_COLUMNS, type ApprovalRow, toApproval } from "../sql/approval-row.ts";
import type { StoredBody } from "../sql/packing.ts";
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
import { type Bodies, createBodies } from "./bodies.ts";
import type { Connection } from "./connection.ts";
import { storeFailure } from "./failures.ts";
import { createJournalReader } from "./journal.ts";

/** The text of a list query over the given filters; its parameters are their values, then `no <`, then the limit. */
export function listSql(filters: Single): string {
  const used = usedFilters(filters);
  const index = used[0] === undefined ? "NOT INDEXED" : `INDEXED BY ${used[0].index}`;
  const where = used.map((filter) => `run.${filter.column} = ? AND `).join("");
  return `SELECT ${RUN_COLUMNS} FROM run ${index} WHERE ${where}run.no < ? ORDER BY run.no DESC LIMIT ?`;
}

type Lists = (filters: Single, below: number, limit: number) => Row[];

function createLists(connection: Connection): Lists {
  // At most one statement for each set of filters: sixteen.
  const kept = new Map<string, ReturnType<typeof connection.many<Row>>>();
  return (filters, below, limit) => {
    const sql = listSql(filters);
    const statement = kept.get(sql) ?? connection.many<Row>(sql);
    kept.set(sql, statement);
    return statement(...filterValues(filters), below, limit);
  };
}

interface ApprovalQuery {
  readonly status?: string;
  readonly run?: string;
  readonly after: string | null;
  readonly limit: number;
}

function createApprovalLists(connection: Connection) {
  const select = (where: string) =>
    connection.many<ApprovalRow>(
      `SELECT ${APPROVAL_COLUMNS} FROM approval JOIN run ON run.no = approval.run_no
       WHERE ${where} approval.ord < ? ORDER BY approval.ord DESC LIMIT ?`,
    );
  const all = select("");
  const byStatus = select("approval.status = ? AND");
  const byRun = select("approval.run_no = ? AND");
  const byBoth = select("approval.run_no = ? AND approval.status = ? AND");
  const order = connection.one<{ ord: number }>("SELECT ord FROM approval WHERE id = ?");
  const runNo = connection.one<{ no: number }>("SELECT no FROM run WHERE id = ?");
  return ({ status, run, after, limit }: ApprovalQuery): ApprovalRow[] => {
    const below = after === null ? Number.MAX_SAFE_INTEGER : order(after)?.ord;
    if (below === undefined) return [];
    if (run === undefined) return status === undefined ? all(below, limit) : byStatus(status, below, limit);
    const no = runNo(run)?.no;
    if (no === undefined) return [];
    return status === undefined ? byRun(no, below, limit) : byBoth(no, status, below, limit);
  };
}

interface Row extends RunRow {
  readonly result: string | null;
  readonly result_blob: StoredBody["blob"];
}

function createSummary(connection: Connection, bodies: Bodies): (row: Row) => RunSummary {
  const labels = connection.many<{ labels: string }>("SELECT labels FROM worker ORDER BY id");
  const workers = () => labels().map((row) => JSON.parse(row.labels) as string[]);
  return (row) => {
    const result =
      row.result === null && row.result_blob === null ? null : { text: row.result, blob: row.result_blob };
    return toSummary(row, result === null ? null : bodies.load(result), workers);
  };
}

function createUnserved(connection: Connection): () => readonly Unserved[] {
  const labels = connection.many<{ labels: string }>("SELECT labels FROM worker ORDER BY id");
  const lanes = connection.many<LaneRow>(
    "SELECT id, labels FROM lane WHERE id > 0 AND EXISTS (SELECT 1 FROM ready WHERE ready.lane = lane.id) ORDER BY id",
  );
  const count = connection.one<{ queued: number }>(
    `SELECT count(*) AS queued FROM (SELECT 1 FROM ready WHERE lane = ? LIMIT ${LIMITS.unservedRuns})`,
  );
  return () => {
    const waiting = lanes();
    const left = unservedLanes(
      waiting,
      (waiting.length === 0 ? [] : labels()).map((row) => row.labels),
    );
    return toUnserved(left.map((lane) => ({ ...lane, queued: count(lane.id)?.queued ?? 0 })));
  };
}

/** The readers' side, over a connection of its own that cannot write: it never waits for a writer, nor a writer for it. */
export function createRunReader(connection: Connection): RunReader {
  const bodies = createBodies(connection);
  const facts = createJournalReader(connection, bodies);
  const lists = createLists(connection);
  const approvalLists = createApprovalLists(connection);
  const byId = connection.one<Row>(`SELECT ${RUN_COLUMNS} FROM run WHERE run.id = ?`);
  const numberOf = connection.one<{ no: number }>("SELECT no FROM run WHERE id = ?");
  const byKey = connection.one<{ id: string; idem_hash: string }>(
    "SELECT id, idem_hash FROM run WHERE tenant = ? AND idem_key = ?",
  );
  const classes = connection.many<QueueLoad["byClass"][number]>(
    "SELECT priority, sum(waiting) AS queued FROM share WHERE waiting > 0 GROUP BY priority ORDER BY priority",
  );
  const tenants = connection.many<QueueLoad["byTenant"][number]>(
    `SELECT tenant, priority, waiting AS queued FROM share WHERE waiting > 0
     ORDER BY waiting DESC, tenant, priority LIMIT ${LIMITS.loadTenants}`,
  );
  const served = connection.many<Served>("SELECT runs, ms, at FROM served");
  const workers = connection.many<WorkerRow>(WORKERS);
  const unserved = createUnserved(connection);
  const slots = connection.many<SlotView>(
    'SELECT key, cap AS "limit", held FROM slot WHERE key > ? AND key < ? ORDER BY key LIMIT ?',
  );
  const approvalById = connection.one<ApprovalRow>(
    `SELECT ${APPROVAL_COLUMNS} FROM approval JOIN run ON run.no = approval.run_no WHERE approval.id = ?`,
  );
  // One statement, so that all numbers are of one moment.
  const counts = connection.many<{ name: string; value: number }>(
    `SELECT name, value FROM counter UNION ALL SELECT 'leased', count(*) FROM lease
     UNION ALL SELECT 'workers', count(*) FROM worker WHERE slots > 0
     UNION ALL SELECT 'slots', coalesce(sum(slots), 0) FROM worker`,
  );

  const read = async <T>(work: () => T): Promise<T> => {
    try {
      return work();
    } catch (error) {
      throw storeFailure(error, connection.path);
    }
  };
  const summary = createSummary(connection, bodies);

  return {
    run: (id) =>
      read(() => {
        const row = byId(id);
        return row === undefined ? null : summary(row);
      }),
    runs: ({ filter, after, limit }) =>
      read(() => {
        const below = after === null ? Number.MAX_SAFE_INTEGER : numberOf(after)?.no;
        if (below === undefined || limit <= 0) return [];
        const rows = singlesOf(filter).map((single) => lists(single, below, limit));
        return newest(rows, limit).map(summary);
      }),
    factsOf: (run, { after, limit }) =>
      read(() => {
        const no = numberOf(run)?.no;
        return no === undefined ? null : facts(no, after, limit);
      }),
    approval: (id) =>
      read(() => {
        const row = approvalById(id);
        return row === undefined ? null : toApproval(row);
      }),
    approvals: (query) => read(() => approvalLists(query).map(toApproval)),
    byIdempotencyKey: (tenant, key) =>
      read(() => {
        const row = byKey(tenant, key);
        return row === undefined ? null : { id: row.id, bodyHash: row.idem_hash };
      }),
    counts: () =>
      read(() => {
        const count = new Map(counts().map((row) => [row.name, row.value]));
        return toCounts((name) => count.get(name) ?? 0);
      }),
    load: (now) =>
      read(() => {
        const count = new Map(counts().map((row) => [row.name, row.value]));
        const waiting = { byClass: classes(), byTenant: tenants() };
        return toLoad((name) => count.get(name) ?? 0, { ...waiting, ...serviceRate(served(), now) });
      }),
    unserved: () => read(unserved),
    slots: ({ prefix, after, limit }) =>
      read(() => slots(after ?? prefix, pastPrefix(prefix), Math.max(0, limit))),
    workers: () => read(() => workers().map(toWorker)),
  };
}
