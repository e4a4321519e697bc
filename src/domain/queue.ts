import { type Failure, failure } from "./errors.ts";

/** Runs that one claim puts aside for their full slots before it answers; the next claim goes on. */
export const PARKED_PER_CLAIM = 1_024;

/** How a run ends that made room in a full queue for one of a more urgent class. */
export function droppedFor(of: { readonly priority: number; readonly by: number }): Failure {
  const { priority, by } = of;
  const message = `the queue was full: a run of priority ${by} took the place of this one of priority ${priority}, which had not begun`;
  return failure("dropped_low_priority", message, { priority, by });
}

export function supersededReason(by: string, key: string): string {
  return `run ${by} takes its place (${key})`;
}

/** The refusal of a run whose slot is in use. `holder` is the run that uses it. */
export function slotInUse(of: {
  readonly key: string;
  readonly limit: number;
  readonly holder: string;
}): Failure {
  const { key, limit, holder } = of;
  const most = limit === 1 ? "one run" : `${limit} runs`;
  return failure("concurrency_conflict", `${key} is for ${most} at a time, and run ${holder} has it`, {
    ...of,
  });
}

/** The refusal of a child that would wait for ever for what an ancestor holds while it waits for the child. */
export function slotOfAncestor(of: { readonly key: string; readonly holder: string }): Failure {
  const { key, holder } = of;
  const message = `${key} is held by run ${holder}, which waits for this one; give the child another concurrency key, or none`;
  return failure("concurrency_conflict", message, { ...of });
}

export function tenantQueueFull(of: {
  readonly tenant: string;
  readonly queued: number;
  readonly cap: number;
}): Failure {
  const { tenant, queued, cap } = of;
  return failure("tenant_queue_full", `tenant ${tenant} has ${queued} runs waiting; its cap is ${cap}`, {
    ...of,
  });
}

export function queueFull(of: {
  readonly queued: number;
  readonly cap: number;
  readonly priority: number;
}): Failure {
  const { queued, cap, priority } = of;
  const message = `${queued} runs wait in the queue, its cap is ${cap}, and none of them is less urgent than priority ${priority}`;
  return failure("queue_full", message, { ...of });
}

export function tooManyLanes(needs: readonly string[], most: number): Failure {
  const message = `the labels ${needs.join(", ")} would be one more than the ${most} different sets that runs may need; use one of the sets in use`;
  return failure("limit_exceeded", message);
}
