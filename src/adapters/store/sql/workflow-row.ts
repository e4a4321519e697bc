import type { StoredWorkflow } from "../../../contracts/workflow-store.ts";

export interface WorkflowRow {
  readonly body: string;
  readonly source: string;
  readonly origin: StoredWorkflow["origin"];
  readonly saved_at: number;
}

export const WORKFLOW_COLUMNS = "workflow.body, workflow.source, workflow.origin, workflow.saved_at";

export function toStored(row: WorkflowRow): StoredWorkflow {
  return { workflow: JSON.parse(row.body), source: row.source, origin: row.origin, savedAt: row.saved_at };
}
