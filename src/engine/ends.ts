import { type Failure, FailureError, failure } from "../domain/errors.ts";
import type { Outcome, Wait } from "../domain/outcome.ts";

/** Thrown by a context's waits: the step rests here and is performed again from its top when it wakes. */
export class Rest extends Error {
  override readonly name = "Rest";
  readonly waits: readonly Wait[];

  constructor(waits: readonly Wait[]) {
    super("the step rests");
    this.waits = waits;
  }
}

/** The reason on a step's abort signal. `gone`: this worker no longer has a say in the run (lost lease, shutdown). */
export class StepAbort extends Error {
  override readonly name = "StepAbort";
  readonly kind: "cancel" | "timeout" | "gone";

  constructor(kind: "cancel" | "timeout" | "gone") {
    super(`the step was stopped: ${kind}`);
    this.kind = kind;
  }
}

const STACK_CHARS = 2_000;

/** The one place where a throw becomes a value. */
export function failureOf(error: unknown): Failure {
  if (error instanceof FailureError) return error.failure;
  if (error instanceof Error) {
    return failure("action_crashed", error.message || error.name, {
      stack: (error.stack ?? "").slice(0, STACK_CHARS),
    });
  }
  return failure("action_crashed", String(error));
}

/** How an attempt ended; `null` when it is not for this worker to say. */
export function outcomeOf(error: unknown, aborted: StepAbort | null, step: string): Outcome | null {
  if (aborted?.kind === "gone") return null;
  if (aborted?.kind === "cancel") return { kind: "canceled", reason: "canceled while it ran" };
  if (aborted?.kind === "timeout") {
    return {
      kind: "failed",
      failure: failure("step_timeout", `step "${step}" did not end within its timeout`),
    };
  }
  if (error instanceof Rest) return { kind: "waiting", waits: error.waits };
  return { kind: "failed", failure: failureOf(error) };
}
