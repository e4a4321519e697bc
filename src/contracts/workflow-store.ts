import type { Workflow } from "../domain/workflow.ts";

export interface StoredWorkflow {
  readonly workflow: Workflow;
  /** The YAML as it was uploaded or shipped. */
  readonly source: string;
  readonly origin: "built-in" | "uploaded" | "project";
  readonly savedAt: number;
}

/** Workflows by content hash: a run is pinned to a hash, so a saved version is never changed or lost. */
export interface WorkflowStore {
  /** A hash that is known keeps what was saved first; saving it again only makes it the newest of its name again. */
  save(workflow: StoredWorkflow): Promise<void>;
  byHash(hash: string): Promise<StoredWorkflow | null>;
  /** The newest saved under this name. */
  latest(name: string): Promise<StoredWorkflow | null>;
  /** The newest of each name, by name. */
  list(): Promise<readonly StoredWorkflow[]>;
}
