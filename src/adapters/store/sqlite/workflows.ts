import type { StoredWorkflow, WorkflowStore } from "../../../contracts/workflow-store.ts";
import type { Connection } from "./connection.ts";
import { encode, storeFailure } from "./failures.ts";

interface Row {
  readonly body: string;
  readonly source: string;
  readonly origin: StoredWorkflow["origin"];
  readonly saved_at: number;
}

const COLUMNS = "workflow.body, workflow.source, workflow.origin, workflow.saved_at";

function toStored(row: Row): StoredWorkflow {
  return { workflow: JSON.parse(row.body), source: row.source, origin: row.origin, savedAt: row.saved_at };
}

export function createWorkflowStore(write: Connection, read: Connection): WorkflowStore {
  const insert = write.run(
    `INSERT INTO workflow (hash, name, body, source, origin, saved_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (hash) DO NOTHING`,
  );
  const point = write.run(
    "INSERT INTO workflow_latest (name, hash) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET hash = excluded.hash",
  );
  const byHash = read.one<Row>(`SELECT ${COLUMNS} FROM workflow WHERE hash = ?`);
  const latest = read.one<Row>(
    `SELECT ${COLUMNS} FROM workflow_latest JOIN workflow ON workflow.hash = workflow_latest.hash
     WHERE workflow_latest.name = ?`,
  );
  const list = read.many<Row>(
    `SELECT ${COLUMNS} FROM workflow_latest JOIN workflow ON workflow.hash = workflow_latest.hash
     ORDER BY workflow_latest.name`,
  );
  const guarded = async <T>(work: () => T): Promise<T> => {
    try {
      return work();
    } catch (error) {
      throw storeFailure(error, write.path);
    }
  };
  const maybe = (row: Row | undefined) => (row === undefined ? null : toStored(row));

  return {
    save: ({ workflow, source, origin, savedAt }) =>
      guarded(() =>
        write.transaction(() => {
          insert(workflow.hash, workflow.name, encode(workflow), source, origin, savedAt);
          point(workflow.name, workflow.hash);
        }),
      ),
    byHash: (hash) => guarded(() => maybe(byHash(hash))),
    latest: (name) => guarded(() => maybe(latest(name))),
    list: () => guarded(() => list().map(toStored)),
  };
}
