import type { RunFilter, RunReader } from "../../../contracts/run-store.ts";
import { RUN_STATUSES, type RunStatus, type RunSummary } from "../../../domain/run.ts";
import { APPROVAL_COLUMNS, type ApprovalRow, toApproval } from "./approvals.ts";
import { type Bodies, createBodies } from "./bodies.ts";
import type { Connection } from "./connection.ts";
import { storeFailure } from "./failures.ts";
import { createJournalReader } from "./journal.ts";

interface RunRow {
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
  readonly paused: number;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  readonly deadline_at: number | null;
  readonly result: string | null;
  readonly result_blob: Uint8Array | null;
  readonly waiting_for: string | null;
}

const RUN_COLUMNS = `run.no, run.id, run.tenant, run.queue, run.priority, run.workflow, run.workflow_hash, run.title,
  run.parent_id, run.parent_step, run.status, run.paused, run.created_at, run.started_at, run.ended_at,
  run.deadline_at, run.result, run.result_blob,
  (SELECT waiting_for FROM rest WHERE rest.run_no = run.no) AS waiting_for`;

/** Each filter alone has an index in list order; of several, the first here drives and the others sieve. */
const FILTERS = [
  { key: "parent", column: "parent_id", index: "run_by_parent" },
  { key: "status", column: "status", index: "run_by_status" },
  { key: "workflow", column: "workflow", index: "run_by_workflow" },
  { key: "tenant", column: "tenant", index: "run_by_tenant" },
] as const;

type Single = Partial<Record<(typeof FILTERS)[number]["key"], string>>;

/** The text of a list query over the given filters; its parameters are their values, then `no <`, then the limit. */
export function listSql(filters: Single): string {
  const used = FILTERS.filter((filter) => filters[filter.key] !== undefined);
  const index = used[0] === undefined ? "NOT INDEXED" : `INDEXED BY ${used[0].index}`;
  const where = used.map((filter) => `run.${filter.column} = ? AND `).join("");
  return `SELECT ${RUN_COLUMNS} FROM run ${index} WHERE ${where}run.no < ? ORDER BY run.no DESC LIMIT ?`;
}

type Lists = (filters: Single, below: number, limit: number) => RunRow[];

function createLists(connection: Connection): Lists {
  // At most one statement for each set of filters: sixteen.
  const kept = new Map<string, ReturnType<typeof connection.many<RunRow>>>();
  return (filters, below, limit) => {
    const sql = listSql(filters);
    const statement = kept.get(sql) ?? connection.many<RunRow>(sql);
    kept.set(sql, statement);
    const values = FILTERS.map((filter) => filters[filter.key]).filter((value) => value !== undefined);
    return statement(...values, below, limit);
  };
}

function withoutStatus({ workflow, tenant, parent }: RunFilter): Single {
  return {
    ...(workflow === undefined ? {} : { workflow }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(parent === undefined ? {} : { parent }),
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

function createSummary(bodies: Bodies): (row: RunRow) => RunSummary {
  return (row) => {
    const result =
      row.result === null && row.result_blob === null ? null : { text: row.result, blob: row.result_blob };
    const { output, failure } =
      result === null ? { output: null, failure: null } : JSON.parse(bodies.load(result));
    return {
      id: row.id,
      workflow: row.workflow,
      workflowHash: row.workflow_hash,
      status: row.status,
      paused: row.paused === 1,
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
      output,
      failure,
    };
  };
}

/** The readers' side, over a connection of its own that cannot write: it never waits for a writer, nor a writer for it. */
export function createRunReader(connection: Connection): RunReader {
  const bodies = createBodies(connection);
  const facts = createJournalReader(connection, bodies);
  const lists = createLists(connection);
  const approvalLists = createApprovalLists(connection);
  const byId = connection.one<RunRow>(`SELECT ${RUN_COLUMNS} FROM run WHERE run.id = ?`);
  const numberOf = connection.one<{ no: number }>("SELECT no FROM run WHERE id = ?");
  const approvalById = connection.one<ApprovalRow>(
    `SELECT ${APPROVAL_COLUMNS} FROM approval JOIN run ON run.no = approval.run_no WHERE approval.id = ?`,
  );
  // One statement, so that all numbers are of one moment.
  const counts = connection.many<{ name: string; value: number }>(
    `SELECT name, value FROM counter UNION ALL SELECT 'leased', count(*) FROM lease
     UNION ALL SELECT 'workers', count(*) FROM worker`,
  );

  const read = async <T>(work: () => T): Promise<T> => {
    try {
      return work();
    } catch (error) {
      throw storeFailure(error, connection.path);
    }
  };
  const summary = createSummary(bodies);

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
        const rest = withoutStatus(filter);
        if (filter.status === undefined) return lists(rest, below, limit).map(summary);
        // One indexed list a status, merged: a list over several at once would sort all of them.
        const rows = [...new Set(filter.status)].flatMap((status) =>
          lists({ ...rest, status }, below, limit),
        );
        return rows
          .sort((a, b) => b.no - a.no)
          .slice(0, limit)
          .map(summary);
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
    counts: () =>
      read(() => {
        const count = new Map(counts().map((row) => [row.name, row.value]));
        const of = (name: string) => count.get(name) ?? 0;
        const byStatus = Object.fromEntries(RUN_STATUSES.map((status) => [status, of(status)]));
        const open = of("queued") + of("running");
        return {
          byStatus: byStatus as Record<RunStatus, number>,
          ready: of("ready"),
          resting: open - of("ready") - of("leased"),
          leased: of("leased"),
          workers: of("workers"),
        };
      }),
  };
}
