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
  /**
   * A guess at what is left: from how long such runs usually take, or else from how far this one has come. `null` when
   * there is nothing to go by, when it waits, and after its end.
   */
  readonly etaMs: number | null;
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

/** An agent's turns are not known beforehand: after this many it counts as half done, and it never counts as done. */
const HALFWAY_TURNS = 8;
/** Below this share, how far a run has come says nothing about how long it will take. */
const TELLING_SHARE = 0.1;

/** How far a run is, from what its view holds so far. Pure; `now` is ms since the epoch. */
export function progressOf(
  state: ProgressSource,
  { now, usualMs }: { readonly now: number; readonly usualMs: number | null },
): RunProgress {
  const tops = [...state.steps.values()].filter((step) => parentOf(step.id) === null);
  const ended = tops.filter((step) => hasStepEnded(step.status)).length;
  const share = tops.reduce((sum, step) => sum + doneShare(step), 0) / Math.max(1, tops.length);
  const elapsedMs = Math.max(0, (state.endedAt ?? now) - (state.startedAt ?? state.queuedAt));
  return {
    phase: phaseOf(state),
    elapsedMs,
    percent: state.status === "completed" ? 100 : Math.min(99, Math.floor(share * 100)),
    stepsEnded: ended,
    stepsTotal: tops.length,
    etaMs: isMoving(state) ? etaOf({ elapsedMs, share, usualMs }) : null,
  };
}

function doneShare(step: StepView): number {
  if (hasStepEnded(step.status)) return 1;
  if (step.instances) return step.instances.ended / Math.max(1, step.instances.total);
  return step.turns / (step.turns + HALFWAY_TURNS);
}

/** Whether time brings it nearer to its end: it has begun, and nobody is waited for. */
function isMoving(state: ProgressSource): boolean {
  if (state.status !== "running" || state.paused) return false;
  return [...state.steps.values()].some((step) => step.status === "running");
}

function etaOf(of: {
  readonly elapsedMs: number;
  readonly share: number;
  readonly usualMs: number | null;
}): number | null {
  if (of.usualMs !== null && of.usualMs > of.elapsedMs) return of.usualMs - of.elapsedMs;
  return of.share < TELLING_SHARE ? null : Math.round((of.elapsedMs * (1 - of.share)) / of.share);
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
