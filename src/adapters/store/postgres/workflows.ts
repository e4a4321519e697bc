import type { WorkflowStore } from "../../../contracts/workflow-store.ts";
import { encode } from "../sql/encode.ts";
import { toStored, WORKFLOW_COLUMNS, type WorkflowRow } from "../sql/workflow-row.ts";
import { storeFailure } from "./failures.ts";
import type { Reads } from "./reads.ts";
import { followWorkflow } from "./schedules.ts";
import type { Session } from "./session.ts";
import { statement } from "./sql.ts";

const INSERT = statement(
  `INSERT INTO workflow (hash, name, body, source, origin, saved_at) VALUES ($1, $2, $3, $4, $5, $6)
   ON CONFLICT (hash) DO NOTHING`,
);
const POINT = statement(
  "INSERT INTO workflow_latest (name, hash) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET hash = excluded.hash",
);
const BY_HASH = statement(`SELECT ${WORKFLOW_COLUMNS} FROM workflow WHERE hash = $1`);
const NEWEST = `SELECT ${WORKFLOW_COLUMNS} FROM workflow_latest JOIN workflow ON workflow.hash = workflow_latest.hash`;
const LATEST = statement(`${NEWEST} WHERE workflow_latest.name = $1`);
const LIST = statement(`${NEWEST} ORDER BY workflow_latest.name`);

export function createWorkflowStore(session: Session, reads: Reads): WorkflowStore {
  const one = async (asked: typeof LATEST, value: string) => {
    const [row] = await reads.many<WorkflowRow>(asked, [value]);
    return row === undefined ? null : toStored(row);
  };
  return {
    async save({ workflow, source, origin, savedAt }) {
      const { hash, name } = workflow;
      try {
        const body = encode(workflow);
        await session.transaction(async (tx) => {
          await tx.run(INSERT, [hash, name, body, source, origin, savedAt]);
          await tx.run(POINT, [name, hash]);
          await followWorkflow(tx, workflow, savedAt);
          tx.identify();
        });
      } catch (error) {
        throw storeFailure(error, session.database);
      }
    },
    byHash: (hash) => one(BY_HASH, hash),
    latest: (name) => one(LATEST, name),
    list: async () => (await reads.many<WorkflowRow>(LIST, [])).map(toStored),
  };
}
