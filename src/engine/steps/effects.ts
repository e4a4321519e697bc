import type { Clock } from "../../base/clock.ts";
import type { Json } from "../../base/json.ts";
import type { ActionContext, Effect } from "../../contracts/action.ts";
import { FailureError, failure, type Result } from "../../domain/errors.ts";

export interface EffectCall {
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

/** An effect whose value is plain data of a known shape. */
export interface EffectOf<T> extends Omit<Effect<Json>, "perform" | "query" | "request"> {
  readonly request: unknown;
  perform(call: EffectCall): Promise<T>;
  query?(call: EffectCall): Promise<T | null>;
}

/**
 * `once` for plain data of a known shape. The value goes through JSON before it is used, so that a first
 * performance and a resumed one go on with exactly the same.
 */
export async function onceOf<T>(context: ActionContext, key: string, effect: EffectOf<T>): Promise<T> {
  const { perform, query, request, ...rest } = effect;
  const recorded = await context.once<Json>(key, {
    ...rest,
    request: plain(request),
    perform: async (call) => plain(await perform(call)),
    ...(query && {
      query: async (call: EffectCall) => {
        const found = await query(call);
        return found === null ? null : plain(found);
      },
    }),
  });
  return recorded as T;
}

/** A value as JSON has it: no `undefined`, no prototypes. */
export function plain(value: unknown): Json {
  return JSON.parse(JSON.stringify(value ?? null)) as Json;
}

export function unwrap<T>(result: Result<T>): T {
  if (!result.ok) throw new FailureError(result.failure);
  return result.value;
}

/** After an abort nothing that came back may count as an outcome. */
export function throwIfAborted(...signals: readonly AbortSignal[]): void {
  if (signals.some((signal) => signal.aborted)) {
    throw new FailureError(failure("canceled", "the step was stopped while this was under way"));
  }
}

export interface TimeLimit {
  readonly signal: AbortSignal;
  /** Whether it was this limit that fired. */
  fired(): boolean;
  cancel(): void;
}

/** A signal that fires after `ms` of the context's clock. */
export function timeLimit(clock: Clock, ms: number): TimeLimit {
  const controller = new AbortController();
  const cancel = clock.after(Math.max(0, ms), () => controller.abort());
  return { signal: controller.signal, fired: () => controller.signal.aborted, cancel };
}
