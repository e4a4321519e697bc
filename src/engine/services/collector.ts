import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../contracts/log.ts";
import type { RunReader } from "../../contracts/run-store.ts";
import type { Chore } from "../../contracts/service.ts";
import type { Workspaces } from "../../contracts/workspace.ts";
import { hasRunEnded } from "../../domain/run.ts";

const ROUND_MS = 600_000;
/** Whoever reads a run's end still finds its workspace for a while. */
const KEEP_MS = 3_600_000;

/** Removes workspaces of runs that ended a while ago; what is dirty or unpushed stays, and the log says why. */
export function collector(parts: {
  readonly clock: Clock;
  readonly log: Log;
  readonly reader: Pick<RunReader, "run">;
  readonly workspaces: Pick<Workspaces, "collect">;
}): Chore {
  const ended = async (id: string): Promise<boolean> => {
    const run = await parts.reader.run(id);
    return run !== null && hasRunEnded(run.status) && (run.endedAt ?? 0) + KEEP_MS <= parts.clock.now();
  };
  return {
    name: "collector",
    everyMs: ROUND_MS,
    runOnce: async () => {
      const collected = await parts.workspaces.collect(ended, new AbortController().signal);
      if (!collected.ok) parts.log.warn({ failure: collected.failure }, "workspaces could not be collected");
      else if (collected.value.removed.length > 0)
        parts.log.info(collected.value, "removed workspaces of ended runs");
    },
  };
}
