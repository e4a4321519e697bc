import type { RunSummary } from "../../domain/run.ts";
import { startView, type ViewState } from "../../domain/run-view.ts";

const KEPT = {
  /** Runs whose folded journals are kept, those that were looked at last. */
  runs: 32,
  /** A shorter journal is read in one go anyway. */
  leastFacts: 200,
  /** A state with more steps takes too much room to be kept. */
  mostSteps: 200,
} as const;

/**
 * Folded journals of long runs, so that who looks at one again reads only what is new. A state belongs to whoever took
 * it until it is given back: of two who look at the same moment, one folds anew.
 */
export class RunViews {
  /** The one that was given back last stands last. */
  readonly #kept = new Map<string, ViewState>();

  take(run: Pick<RunSummary, "id" | "createdAt">, steps: () => readonly string[]): ViewState {
    const known = this.#kept.get(run.id);
    this.#kept.delete(run.id);
    // A run that was deleted may have left its name to another one.
    return known?.queuedAt === run.createdAt ? known : startView(steps());
  }

  giveBack(id: string, state: ViewState): void {
    if (state.lastSeq < KEPT.leastFacts || state.steps.size > KEPT.mostSteps) return;
    const other = this.#kept.get(id);
    if (other !== undefined && other.lastSeq > state.lastSeq) return;
    this.#kept.delete(id);
    this.#kept.set(id, state);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT.runs && oldest !== undefined) this.#kept.delete(oldest);
  }
}
