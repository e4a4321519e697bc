import type { Wait } from "./outcome.ts";
import type { Resolution, RunState, SignalState, StepState } from "./state.ts";

export interface Woken extends Resolution {
  readonly key: string;
  /** The wait that is over. */
  readonly wait: Wait;
}

/**
 * The first wait of a step that is over, or `null`. A signal goes to one wait only: the oldest free one of the
 * name, and `taken` holds those already given away in the same decision.
 */
export function wokenBy(
  state: RunState,
  step: StepState,
  at: { readonly now: number; readonly taken: ReadonlySet<string> },
): Woken | null {
  for (const wait of step.waits) {
    const by = endOf(state, wait, at.taken);
    if (by !== null) return { key: wait.key, wait, ...by };
    if (wait.until !== null && wait.until <= at.now) {
      return { key: wait.key, wait, by: wait.on === "timer" ? "timer" : "timeout", signal: null };
    }
  }
  return null;
}

function endOf(state: RunState, wait: Wait, taken: ReadonlySet<string>): Resolution | null {
  switch (wait.on) {
    case "timer":
      return null;
    case "signal": {
      const free = (one: SignalState) => one.name === wait.name && one.takenBy === null && !taken.has(one.id);
      const signal = state.signals.find(free);
      return signal ? { by: "signal", signal: signal.id } : null;
    }
    case "child":
      return state.children.get(wait.run)?.ended ? { by: "child", signal: null } : null;
    case "approval":
      return (state.approvals.get(wait.approval)?.answer ?? null) === null
        ? null
        : { by: "approval", signal: null };
  }
}

/** How a list or a screen names a wait. */
export function describeWait(wait: Wait): string {
  switch (wait.on) {
    case "timer":
      return "timer";
    case "signal":
      return `signal:${wait.name}`;
    case "child":
      return `run:${wait.run}`;
    case "approval":
      return `approval:${wait.approval}`;
  }
}
