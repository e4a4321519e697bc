const canonical = (labels: readonly string[]): string[] => [...new Set(labels)].sort();

/** One text for a set of labels, whatever their order: sorted, each once, as a JSON list. */
export function laneOf(needs: readonly string[]): string {
  return JSON.stringify(canonical(needs));
}

/** Whether a worker with `labels` has all that is needed. */
export function hasLabels(labels: readonly string[], needs: readonly string[]): boolean {
  return needs.every((need) => labels.includes(need));
}

/** What a run waits for that no live worker can take, as `waitingFor` shows it; `null` when one of them can. */
export function missingWorker(
  needs: readonly string[],
  workers: readonly (readonly string[])[],
): string | null {
  return workers.some((labels) => hasLabels(labels, needs)) ? null : `worker:${canonical(needs).join(",")}`;
}
