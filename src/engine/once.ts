import { canonicalJson, type Json } from "../base/json.ts";
import type { Effect } from "../contracts/action.ts";
import type { EffectResult } from "../domain/effect.ts";
import { FailureError, failure } from "../domain/errors.ts";
import { type EffectState, effectId, type StepState } from "../domain/state.ts";
import { failureOf, Rest, StepAbort } from "./ends.ts";
import type { EngineParts } from "./parts.ts";
import type { RunJournal } from "./run-journal.ts";

const HELD_LOOK_MS = 50;

export interface OnceScope {
  readonly parts: EngineParts;
  readonly journal: RunJournal;
  readonly step: string;
  readonly attempt: number;
  readonly signal: AbortSignal;
}

interface Named<T extends Json> {
  readonly key: string;
  readonly effect: Effect<T>;
  readonly requestHash: string;
  readonly idempotencyKey: string;
}

/**
 * Performs an effect at most once: a recorded outcome is the answer; otherwise the intent is made durable, the
 * effect happens, its outcome is recorded. An intent without an outcome (a crash in between) is handled by the
 * effect's class. Rejects with the `FailureError` of a failed effect.
 */
export async function once<T extends Json>(scope: OnceScope, key: string, effect: Effect<T>): Promise<T> {
  const { parts, journal, step, attempt } = scope;
  const requestHash = parts.hash(canonicalJson(effect.request));
  // The same for every attempt, so that the world outside can tell a repeat from a second wish.
  const idempotencyKey = parts.hash(`${journal.claim.run}/${step}/${key}/${requestHash}`).slice(0, 32);
  const named: Named<T> = { key, effect, requestHash, idempotencyKey };
  const known = stepState(scope).effects.get(effectId(attempt, key));
  if (known && known.requestHash !== requestHash) throw mismatch(scope, named, known);
  if (known?.result) return unwrap<T>(known.result);
  const earlier = await settleEarlier(scope, named, known);
  if (earlier) return unwrap<T>(earlier);
  if (!known && effect.effect !== "pure") await intend(scope, named);
  return perform(scope, named);
}

function stepState(scope: OnceScope): StepState {
  const state = scope.journal.state.steps.get(scope.step);
  if (!state) throw new FailureError(failure("internal", `step ${scope.step} has no state`));
  return state;
}

/** What an unfinished intent, or the same effect of an earlier attempt, lets us conclude; `null`: perform it. */
async function settleEarlier<T extends Json>(
  scope: OnceScope,
  named: Named<T>,
  known: EffectState | undefined,
): Promise<EffectResult | null> {
  const { effect } = named;
  if (effect.effect === "pure" || effect.effect === "idempotent") return null;
  const before = known ?? earlierAttempt(scope, named);
  if (!before) return null;
  if (effect.effect === "query") {
    const found =
      (await effect.query?.({ idempotencyKey: named.idempotencyKey, signal: scope.signal })) ?? null;
    return found === null ? null : record(scope, named, { result: { ok: true, value: found }, ms: 0 });
  }
  if (before.result?.ok) return record(scope, named, { result: before.result, ms: 0 });
  if (before.result) return null;
  return askAbout(scope, named, known);
}

/** The same effect, by key and request, in an attempt that came before. */
function earlierAttempt<T extends Json>(scope: OnceScope, named: Named<T>): EffectState | null {
  const { effects } = stepState(scope);
  for (let attempt = scope.attempt - 1; attempt >= 1; attempt -= 1) {
    const effect = effects.get(effectId(attempt, named.key));
    if (effect?.requestHash === named.requestHash) return effect;
  }
  return null;
}

/** A `manual` effect of which nobody knows whether it happened: parked, and asked of a person. */
async function askAbout<T extends Json>(
  scope: OnceScope,
  named: Named<T>,
  known: EffectState | undefined,
): Promise<EffectResult | null> {
  const { journal, step, attempt } = scope;
  const { key, effect } = named;
  if (!known) await intend(scope, named);
  const id = `apr_${named.idempotencyKey.slice(0, 18)}${attempt}`;
  const asked = journal.state.approvals.get(id);
  if (asked?.answer === "approved") return null;
  if (asked?.answer) {
    const what = failure(
      "uncertain_effect",
      `not repeated: whether "${effect.label}" happened is unknown; ${asked.by || "nobody"}: ${asked.comment || asked.answer}`,
    );
    return record(scope, named, { result: { ok: false, failure: what }, ms: 0 });
  }
  if (!asked) {
    const request = {
      id,
      title: `Unknown outcome: did "${effect.label}" happen?`,
      details: {
        request: effect.request,
        approve: "it did not happen: do it now",
        deny: "it happened, or must not be done again",
      },
      risk: "high" as const,
      expiresAt: null,
    };
    journal.stage(
      [
        { kind: "effect_uncertain", step, attempt, key, approval: id },
        { kind: "approval_requested", step, approval: request },
      ],
      { approvals: [{ step, request }] },
    );
  }
  throw new Rest([{ key: `uncertain:${key}`, on: "approval", approval: id, until: null }]);
}

async function intend<T extends Json>(scope: OnceScope, named: Named<T>): Promise<void> {
  const { step, attempt, journal } = scope;
  const { key, requestHash, idempotencyKey, effect } = named;
  await journal.record([
    {
      kind: "effect_intended",
      step,
      attempt,
      key,
      effect: effect.effect,
      requestHash,
      idempotencyKey,
      label: effect.label,
    },
  ]);
}

async function perform<T extends Json>(scope: OnceScope, named: Named<T>): Promise<T> {
  const { parts, signal } = scope;
  await untilHeld(scope);
  const began = parts.clock.now();
  let result: EffectResult;
  try {
    signal.throwIfAborted();
    const value = await named.effect.perform({ idempotencyKey: named.idempotencyKey, signal });
    result = { ok: true, value: asRecorded(value) };
  } catch (error) {
    // Cut short by us, not ended by itself: nobody knows its outcome, so none is recorded.
    if (signal.aborted || error instanceof Rest || error instanceof StepAbort) throw error;
    result = { ok: false, failure: failureOf(error) };
  }
  return unwrap<T>(await record(scope, named, { result, ms: parts.clock.now() - began }));
}

/**
 * A process that was suspended, or cut off from the database, may have lost the run without knowing it. So nothing
 * happens outside before the lease is known to be held, or lost.
 */
async function untilHeld({ parts, journal, signal }: OnceScope): Promise<void> {
  while (!parts.store.holds(journal.claim.worker)) {
    signal.throwIfAborted();
    if (journal.broken) throw journal.broken;
    await new Promise<void>((resolve) => parts.clock.after(HELD_LOOK_MS, resolve));
  }
}

/** As it will be read back, so that the first performance and a resumed one see the same value. */
function asRecorded(value: Json): Json {
  const text: string | undefined = JSON.stringify(value);
  return text === undefined ? null : (JSON.parse(text) as Json);
}

async function record<T extends Json>(
  scope: OnceScope,
  named: Named<T>,
  done: { readonly result: EffectResult; readonly ms: number },
): Promise<EffectResult> {
  const { journal, step, attempt } = scope;
  const { key, requestHash, effect } = named;
  const fact = {
    kind: "effect_recorded" as const,
    step,
    attempt,
    key,
    requestHash,
    result: done.result,
    label: effect.label,
    ms: done.ms,
  };
  // What can be done again may wait for the next flush; what cannot is durable before anything follows from it.
  if (effect.effect === "pure" || effect.effect === "idempotent") journal.stage([fact]);
  else await journal.record([fact]);
  return done.result;
}

function unwrap<T extends Json>(result: EffectResult): T {
  if (!result.ok) throw new FailureError(result.failure);
  return result.value as T;
}

function mismatch<T extends Json>(scope: OnceScope, named: Named<T>, known: EffectState): FailureError {
  return new FailureError(
    failure(
      "replay_mismatch",
      `step "${scope.step}" asks for another effect under "${named.key}" than its journal holds`,
      {
        key: named.key,
        recorded: known.requestHash,
        asked: named.requestHash,
      },
    ),
  );
}
