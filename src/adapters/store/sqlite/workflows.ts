import type { WorkflowStore } from "../../../contracts/workflow-store.ts";
import { encode } from "../sql/encode.ts";
import { toStored, WORKFLOW_COLUMNS, type WorkflowRow } from "../sql/workflow-row.ts";
import type { Connection } from "./connection.ts";
import { storeFailure } from "./failures.ts";
import { createFollowWorkflow } from "./schedules.ts";

export function createWorkflowStore(write: Connection, read: Connection): WorkflowStore {
  const insert = write.run(
    `INSERT INTO workflow (hash, name, body, source, origin, saved_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (hash) DO NOTHING`,
  );
  const point = write.run(
    "INSERT INTO workflow_latest (name, hash) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET hash = excluded.hash",
  );
  const byHash = read.one<WorkflowRow>(`SELECT ${WORKFLOW_COLUMNS} FROM workflow WHERE hash = ?`);
  const latest = read.one<WorkflowRow>(
    `SELECT ${WORKFLOW_COLUMNS} FROM workflow_latest JOIN workflow ON workflow.hash = workflow_latest.hash
     WHERE workflow_latest.name = ?`,
  );
  const list = read.many<WorkflowRow>(
    `SELECT ${WORKFLOW_COLUMNS} FROM workflow_latest JOIN workflow ON workflow.hash = workflow_latest.hash
     ORDER BY workflow_latest.name`,
  );
  const follow = createFollowWorkflow(write);
  const guarded = async <T>(work: () => T): Promise<T> => {
    try {
      return work();
    } catch (error) {
      throw storeFailure(error, write.path);
    }
  };
  const maybe = (row: WorkflowRow | undefined) => (row === undefined ? null : toStored(row));

  return {
    save: ({ workflow, source, origin, savedAt }) =>
      guarded(() =>
        write.transaction(() => {
          insert(workflow.hash, workflow.name, encode(workflow), source, origin, savedAt);
          point(workflow.name, workflow.hash);
          follow(workflow, savedAt);
        }),
      ),
    byHash: (hash) => guarded(() => maybe(byHash(hash))),
    latest: (name) => guarded(() => maybe(latest(name))),
    list: () => guarded(() => list().map(toStored)),
  };
}
