/** What an agent did, as far as it matters for telling work from running in circles. */
export type Activity =
  /** `input` and `result` are hashes: equal ones mean that nothing was learned. */
  | {
      readonly kind: "call";
      readonly tool: string;
      readonly input: string;
      readonly result: string;
      readonly isError: boolean;
    }
  /** A turn in which the model talked and called nothing. */
  | { readonly kind: "monologue" };

export interface NoProgress {
  readonly pattern: "repeated_result" | "repeated_error" | "monologue" | "alternating";
  readonly message: string;
}

/** How often is once too often, in activities at the end of the list. */
export interface ProgressLimits {
  readonly repeatedResults: number;
  readonly repeatedErrors: number;
  readonly monologues: number;
  /** Length of an A-B-A-B… at the end. */
  readonly alternations: number;
}

export const PROGRESS_LIMITS: ProgressLimits = {
  repeatedResults: 4,
  repeatedErrors: 3,
  monologues: 3,
  alternations: 6,
};

/** One short of each limit: the moment to tell the model, so that it can still turn round. */
export const PROGRESS_WARNINGS: ProgressLimits = {
  repeatedResults: PROGRESS_LIMITS.repeatedResults - 1,
  repeatedErrors: PROGRESS_LIMITS.repeatedErrors - 1,
  monologues: PROGRESS_LIMITS.monologues - 1,
  alternations: PROGRESS_LIMITS.alternations - 1,
};

/** How many activities at the end of the list can matter; older ones may be forgotten. */
export const PROGRESS_WINDOW = Math.max(...Object.values(PROGRESS_LIMITS));

/** Why the latest activities count as running in circles, or `null`. Pure, and looks at the end of the list only. */
export function noProgress(
  activities: readonly Activity[],
  limits: ProgressLimits = PROGRESS_LIMITS,
): NoProgress | null {
  const last = activities.at(-1);
  if (last === undefined) return null;
  if (last.kind === "monologue") {
    const turns = runLength(activities, (activity) => activity.kind === "monologue");
    if (turns < limits.monologues) return null;
    return { pattern: "monologue", message: `${turns} turns in a row without a tool call` };
  }
  const sameCall = (activity: Activity): boolean =>
    activity.kind === "call" && activity.tool === last.tool && activity.input === last.input;
  if (last.isError) {
    const errors = runLength(activities, (activity) => sameCall(activity) && isError(activity));
    if (errors >= limits.repeatedErrors) {
      return {
        pattern: "repeated_error",
        message: `the same call of ${last.tool} failed ${errors} times in a row`,
      };
    }
  }
  const same = runLength(activities, (activity) => sameStep(activity, last));
  if (same >= limits.repeatedResults) {
    return {
      pattern: "repeated_result",
      message: `the same call of ${last.tool} gave the same result ${same} times in a row`,
    };
  }
  return alternating(activities, limits.alternations);
}

function alternating(activities: readonly Activity[], length: number): NoProgress | null {
  const tail = activities.slice(-length);
  const [first, second] = tail;
  if (tail.length < length || first?.kind !== "call" || second?.kind !== "call") return null;
  if (sameStep(first, second)) return null;
  const alternates = tail.every((activity, at) => sameStep(activity, at % 2 === 0 ? first : second));
  if (!alternates) return null;
  return {
    pattern: "alternating",
    message: `${length} calls in a row went back and forth between ${first.tool} and ${second.tool} with the same results`,
  };
}

function runLength(activities: readonly Activity[], belongs: (activity: Activity) => boolean): number {
  const breaks = activities.findLastIndex((activity) => !belongs(activity));
  return activities.length - 1 - breaks;
}

function isError(activity: Activity): boolean {
  return activity.kind === "call" && activity.isError;
}

function sameStep(a: Activity, b: Activity): boolean {
  if (a.kind !== "call" || b.kind !== "call") return false;
  return a.tool === b.tool && a.input === b.input && a.result === b.result && a.isError === b.isError;
}
