import { hasRunEnded, hasStepEnded, type RunStatus } from "./run.ts";
import { parentOf, type StepView } from "./step-view.ts";

export interface RunProgress {
  /** A few words: what goes on at this moment. */
  readonly phase: string;
  /** From the start (or, before it, the admission) to the end or to now. */
  readonly elapsedMs: number;
  /** Whole, 0 to 100; 100 only when the run has completed. */
  readonly percent: number;
  readonly stepsEnded: number;
  readonly stepsTotal: number;
}

interface ProgressSource {
  readonly status: RunStatus;
  readonly paused: boolean;
  readonly cancelRequested: unknown;
  readonly queuedAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly steps: ReadonlyMap<string, StepView>;
}

/** How far a run is, from what its view holds so far. Pure; `now` is ms since the epoch. */
export function progressOf(state: ProgressSource, now: number): RunProgress {
  const tops = [...state.steps.values()].filter((step) => parentOf(step.id) === null);
  const ended = tops.filter((step) => hasStepEnded(step.status)).length;
  const share = tops.reduce((sum, step) => sum + doneShare(step), 0) / Math.max(1, tops.length);
  return {
    phase: phaseOf(state),
    elapsedMs: Math.max(0, (state.endedAt ?? now) - (state.startedAt ?? state.queuedAt)),
    percent: state.status === "completed" ? 100 : Math.min(99, Math.floor(share * 100)),
    stepsEnded: ended,
    stepsTotal: tops.length,
  };
}

function doneShare(step: StepView): number {
  if (hasStepEnded(step.status)) return 1;
  return step.instances ? step.instances.ended / Math.max(1, step.instances.total) : 0;
}

function phaseOf(state: ProgressSource): string {
  if (hasRunEnded(state.status)) return state.status;
  if (state.cancelRequested) return "canceling";
  if (state.paused) return "paused";
  const all = [...state.steps.values()];
  const running = all.filter((step) => step.status === "running" && step.instances === null);
  if (running.length > 0) return nameSome(running);
  const waiting = all.filter((step) => step.status === "waiting");
  return waiting.length > 0 ? `${nameSome(waiting)} waiting` : state.status;
}

const NAMES_SHOWN = 3;

function nameSome(steps: readonly StepView[]): string {
  const names = steps.slice(0, NAMES_SHOWN).map((step) => step.id);
  const more = steps.length - names.length;
  return more > 0 ? `${names.join(", ")} and ${more} more` : names.join(", ");
}
