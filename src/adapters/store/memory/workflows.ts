import type { StoredWorkflow, WorkflowStore } from "../../../contracts/workflow-store.ts";
import type { MemorySchedules } from "./schedules.ts";
import { copy } from "./state.ts";

export function createMemoryWorkflows(schedules: Pick<MemorySchedules, "follow">): WorkflowStore {
  const byHash = new Map<string, StoredWorkflow>();
  const newest = new Map<string, string>();
  const find = (hash: string | undefined): StoredWorkflow | null => {
    const stored = hash === undefined ? undefined : byHash.get(hash);
    return stored === undefined ? null : copy(stored);
  };
  return {
    async save(stored) {
      const { hash, name } = stored.workflow;
      if (!byHash.has(hash)) byHash.set(hash, copy(stored));
      newest.set(name, hash);
      schedules.follow(stored.workflow, stored.savedAt);
    },
    byHash: async (hash) => find(hash),
    latest: async (name) => find(newest.get(name)),
    async list() {
      const names = [...newest.keys()].sort((a, b) => (a < b ? -1 : 1));
      return names.map((name) => find(newest.get(name))).filter((stored) => stored !== null);
    },
  };
}
