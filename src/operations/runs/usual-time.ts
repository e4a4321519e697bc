import { median } from "../../base/median.ts";
import type { Parts } from "../parts.ts";

/** Completed runs that are looked at, the newest. */
const RUNS_SEEN = 20;

/** How long runs of a workflow take from their start to their end: the median of the latest, in ms. `null` without one. */
export async function usualTime(parts: Pick<Parts, "reader">, workflow: string): Promise<number | null> {
  const ended = await parts.reader.runs({
    filter: { workflow, status: ["completed"] },
    after: null,
    limit: RUNS_SEEN,
  });
  return median(
    ended.map(({ startedAt, endedAt, createdAt }) => (endedAt ?? createdAt) - (startedAt ?? createdAt)),
  );
}
