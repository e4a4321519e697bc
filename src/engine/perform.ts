import type { StepOrder } from "../domain/draft.ts";
import { failure } from "../domain/errors.ts";
import { LIMITS } from "../domain/limits.ts";
import type { Outcome } from "../domain/outcome.ts";
import { createContext } from "./context.ts";
import { outcomeOf, StepAbort } from "./ends.ts";
import type { EngineParts } from "./parts.ts";
import type { RunJournal } from "./run-journal.ts";

export interface Performance {
  readonly order: StepOrder;
  readonly uses: string;
  readonly journal: RunJournal;
  readonly controller: AbortController;
}

/**
 * One attempt of one step, from its arguments to its outcome. Never throws; `null` when the worker lost its say
 * while it ran. An aborted action has a grace to end by itself, then its late result is nobody's.
 */
export async function perform(parts: EngineParts, work: Performance): Promise<Outcome | null> {
  const { order, controller, journal } = work;
  const cancelTimeout = armTimeout(parts, work);
  try {
    const action = parts.actions.get(work.uses);
    if (!action)
      return {
        kind: "failed",
        failure: failure("unknown_action", `this worker has no action "${work.uses}"`),
      };
    const input = action.parse(order.input);
    if (!input.ok) return { kind: "failed", failure: input.failure };
    const context = createContext({
      parts,
      journal,
      step: order.step,
      attempt: order.attempt,
      signal: controller.signal,
    });
    const output = await untilGrace(parts, action.perform(input.value, context), controller.signal);
    const aborted = abortOf(controller.signal);
    return aborted ? outcomeOf(null, aborted, order.step) : succeeded(output, order.step);
  } catch (error) {
    return outcomeOf(error, abortOf(controller.signal), order.step);
  } finally {
    cancelTimeout();
  }
}

function succeeded(output: Parameters<typeof JSON.stringify>[0], step: string): Outcome {
  const text: string | undefined = JSON.stringify(output);
  if (text !== undefined && text.length > LIMITS.outputBytes) {
    const much = `the output of step "${step}" has ${text.length} bytes, the limit is ${LIMITS.outputBytes}: save it as an artifact`;
    return { kind: "failed", failure: failure("limit_exceeded", much) };
  }
  // As the journal will give it back: no undefined, no dates, no class instances.
  return { kind: "succeeded", output: text === undefined ? null : JSON.parse(text) };
}

function abortOf(signal: AbortSignal): StepAbort | null {
  if (!signal.aborted) return null;
  return signal.reason instanceof StepAbort ? signal.reason : new StepAbort("gone");
}

function armTimeout(parts: EngineParts, work: Performance): () => void {
  const { deadlineAt } = work.order;
  if (deadlineAt === null) return () => {};
  const left = Math.max(0, deadlineAt - parts.clock.now());
  return parts.clock.after(left, () => work.controller.abort(new StepAbort("timeout")));
}

function untilGrace<T>(parts: EngineParts, work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let cancelTimer = () => {};
    const onAbort = () => {
      cancelTimer = parts.clock.after(LIMITS.cancelGraceMs, () => reject(signal.reason));
    };
    const settle = () => {
      cancelTimer();
      signal.removeEventListener("abort", onAbort);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    work.then(
      (value) => {
        settle();
        resolve(value);
      },
      (error) => {
        settle();
        reject(error);
      },
    );
  });
}
