import type { Clock } from "../base/clock.ts";
import type { Json } from "../base/json.ts";
import type { Actions } from "../contracts/action.ts";
import type { ArtifactStore } from "../contracts/artifact-store.ts";
import type { Live } from "../contracts/live.ts";
import type { Log } from "../contracts/log.ts";
import type { RunReader, RunStore } from "../contracts/run-store.ts";
import type { WorkflowStore } from "../contracts/workflow-store.ts";
import type { Result } from "../domain/errors.ts";
import type { Fact, RunRequest } from "../domain/fact.ts";
import type { Redactor } from "../domain/redact.ts";
import type { RetryBudgetRules } from "../domain/retry-budget.ts";
import type { Expressions } from "../domain/workflow.ts";

export interface ChildOrder {
  readonly workflow: string;
  readonly inputs: Json;
  readonly title?: string;
}

/** Facts of one run that were written together. */
export interface WrittenFacts {
  readonly facts: readonly Fact[];
  readonly request: RunRequest;
  /** ms since the epoch. */
  readonly queuedAt: number;
}

/** Everything the engine needs from the house; `app` gives it, and so do the tests and the simulation. */
export interface EngineParts {
  readonly store: RunStore;
  /** Whether another run is there to be written to. */
  readonly runs: Pick<RunReader, "run">;
  readonly workflows: WorkflowStore;
  readonly artifacts: ArtifactStore;
  readonly actions: Actions;
  readonly expressions: Expressions;
  readonly live: Live;
  readonly log: Log;
  /** Keeps secrets out of artifacts of text; without one they are saved as they are. */
  readonly redactor?: Redactor;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Hex sha-256. */
  readonly hash: (text: string) => string;
  /** Runs a function after everything that is ready now has had its turn (`setImmediate`). */
  readonly defer: (run: () => void) => void;
  /** How much may be tried again; the defaults when absent. */
  readonly retryBudget?: () => RetryBudgetRules;
  /** Told of facts once they are durable; must not throw. */
  readonly observe?: (written: WrittenFacts) => void;
  /** Turns a child's order into a checked, pinned request: the same admission as at the door. */
  readonly prepareChild: (child: ChildOrder, parent: RunRequest) => Promise<Result<RunRequest>>;
}
