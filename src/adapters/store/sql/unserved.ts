import type { Unserved } from "../../../contracts/run-store.ts";
import { hasLabels } from "../../../domain/labels.ts";
import { LIMITS } from "../../../domain/limits.ts";

export interface LaneRow {
  readonly id: number;
  /** A JSON list. */
  readonly labels: string;
}

/** Of lanes in which somebody waits, those that no worker serves: as many as are told. Both sides' labels are JSON lists. */
export function unservedLanes(lanes: readonly LaneRow[], workers: readonly string[]): readonly LaneRow[] {
  const labels = workers.map((one) => JSON.parse(one) as string[]);
  return lanes
    .filter((lane) => !labels.some((has) => hasLabels(has, JSON.parse(lane.labels) as string[])))
    .slice(0, LIMITS.unservedSets);
}

export function toUnserved(
  rows: readonly { readonly labels: string; readonly queued: number }[],
): readonly Unserved[] {
  return [...rows]
    .sort((a, b) => b.queued - a.queued || (a.labels < b.labels ? -1 : 1))
    .slice(0, LIMITS.unservedSets)
    .map(({ labels, queued }) => ({
      needs: JSON.parse(labels) as string[],
      queued: Math.min(queued, LIMITS.unservedRuns),
    }));
}
