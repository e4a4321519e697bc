import type { Backoff } from "../base/backoff.ts";
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { formatDuration } from "../base/duration.ts";
import type { CallRecord, GatewayRequest, GatewayResult, ModelGateway } from "../contracts/model-gateway.ts";
import type { ModelRequest, ModelResult } from "../contracts/model-provider.ts";
import { type Failure, failure } from "../domain/errors.ts";
import { addUsage, NO_USAGE, type Usage } from "../domain/message.ts";
import { costMicros, PRICES, type PriceTable, priceOf } from "./prices.ts";
import { type Pulse, startPulse, wait } from "./pulse.ts";
import { type RoutingTable, resolveTarget, type Target } from "./route.ts";

/** How hard one call is tried before its failure is the answer. */
export interface CallPolicy {
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  /** All attempts and the waits between them, in ms. */
  readonly totalMs: number;
}

const DEFAULT_CALL_POLICY: CallPolicy = {
  maxAttempts: 4,
  backoff: { initialMs: 1_000, factor: 2, maxMs: 30_000 },
  totalMs: 900_000,
};

/** How long a provider may take to answer after its call was aborted, before it is left behind. */
const ABORT_GRACE_MS = 2_000;
const MAX_HEALTH_MS = 5_000;

export interface GatewayOptions extends RoutingTable {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly policy?: Partial<CallPolicy>;
  /** Laid over the built-in prices. */
  readonly prices?: PriceTable;
}

type CallOptions = Parameters<ModelGateway["call"]>[1];

interface House {
  readonly options: GatewayOptions;
  readonly policy: CallPolicy;
  readonly prices: PriceTable;
}

export function createModelGateway(options: GatewayOptions): ModelGateway {
  const house: House = {
    options,
    policy: { ...DEFAULT_CALL_POLICY, ...options.policy },
    prices: { ...PRICES, ...options.prices },
  };
  return {
    call: (request, callOptions) => call(house, request, callOptions),
    resolve: (use, stage) => {
      const target = resolveTarget(options, use, stage);
      if (!target.ok) return target;
      return { ok: true, provider: target.value.entry.provider.name, model: target.value.model };
    },
    providers: (signal) => listProviders(options, signal),
  };
}

/** One call, as it unfolds: what is known of it so far is what its record will say. */
interface Course {
  readonly house: House;
  readonly target: Target;
  readonly stage: string;
  readonly startedAt: number;
  readonly attempts: { provider: string; model: string; ms: number; code: string }[];
  usage: Usage;
  /** Summed by attempt, because a price may depend on the length of one prompt. */
  costMicros: number | null;
}

async function call(house: House, request: GatewayRequest, options: CallOptions): Promise<GatewayResult> {
  const { clock } = house.options;
  const { use, stage, ...rest } = request;
  const resolved = resolveTarget(house.options, use, stage);
  if (!resolved.ok) {
    const record = { ...NO_CALL, model: use ?? "", stage };
    return { ok: false, failure: resolved.failure, record };
  }
  const target = resolved.value;
  const course: Course = {
    house,
    target,
    stage,
    startedAt: clock.now(),
    attempts: [],
    usage: NO_USAGE,
    costMicros: 0,
  };
  const deadline = new AbortController();
  const cancelDeadline = clock.after(house.policy.totalMs, () => deadline.abort());
  const pulse = startPulse(clock, (idleMs) => options.onHeartbeat?.(idleMs));
  try {
    return await attempts(course, { ...rest, model: target.model }, { options, pulse, deadline });
  } finally {
    pulse.stop();
    cancelDeadline();
  }
}

const NO_CALL: CallRecord = {
  provider: "",
  model: "",
  stage: "",
  attempts: [],
  usage: NO_USAGE,
  costMicros: 0,
  firstTokenMs: 0,
  ms: 0,
};

interface Around {
  readonly options: CallOptions;
  readonly pulse: Pulse;
  readonly deadline: AbortController;
}

async function attempts(course: Course, request: ModelRequest, around: Around): Promise<GatewayResult> {
  const { policy, options } = course.house;
  const signal = AbortSignal.any([around.options.signal, around.deadline.signal]);
  for (let attempt = 1; ; attempt += 1) {
    const result = await oneAttempt(course, request, { ...around, signal });
    if (result.ok)
      return { ok: true, reply: result.reply, record: record(course, result.reply.firstTokenMs) };
    const ended = interrupted(course, around) ?? (result.failure.retryable ? null : result.failure);
    if (ended !== null) return failed(course, ended);
    if (attempt >= policy.maxAttempts) return failed(course, gaveUp(course, result.failure));
    const pauseMs = nextPause(policy, { attempt, random: options.random(), ...result });
    if (options.clock.now() + pauseMs - course.startedAt >= policy.totalMs) {
      return failed(course, tooLong(result.failure, pauseMs));
    }
    await wait(options.clock, pauseMs, signal);
    const stopped = interrupted(course, around);
    if (stopped !== null) return failed(course, stopped);
  }
}

async function oneAttempt(
  course: Course,
  request: ModelRequest,
  around: Around & { readonly signal: AbortSignal },
): Promise<ModelResult> {
  const { clock } = course.house.options;
  const startedAt = clock.now();
  const result = await guarded(course, request, around);
  course.attempts.push({
    provider: course.target.entry.provider.name,
    model: course.target.model,
    ms: clock.now() - startedAt,
    code: result.ok ? "ok" : result.failure.code,
  });
  const spent = result.ok ? result.reply.usage : (result.usage ?? NO_USAGE);
  course.usage = addUsage(course.usage, spent);
  const { entry, model } = course.target;
  const cost = costMicros(priceOf(course.house.prices, entry.provider.name, model), spent);
  course.costMicros = cost === null || course.costMicros === null ? null : course.costMicros + cost;
  return result;
}

/** Keeps the promise of the contract even for a provider that breaks its own: it neither throws nor outlives its abort. */
async function guarded(
  course: Course,
  request: ModelRequest,
  around: Around & { readonly signal: AbortSignal },
): Promise<ModelResult> {
  const { provider } = course.target.entry;
  const { clock } = course.house.options;
  const finished = new AbortController();
  const onDelta: CallOptions["onDelta"] = (delta) => {
    if (finished.signal.aborted) return;
    around.pulse.heard();
    around.options.onDelta?.(delta);
  };
  const answer = Promise.resolve()
    .then(() => provider.generate(request, { signal: around.signal, onDelta }))
    .catch((error: unknown): ModelResult => {
      const said = error instanceof Error ? error.message : typeof error;
      return { ok: false, failure: failure("internal", `the provider "${provider.name}" threw: ${said}`) };
    });
  const leftBehind = abortedFor(clock, ABORT_GRACE_MS, {
    signal: around.signal,
    until: finished.signal,
  }).then((): ModelResult => ({ ok: false, failure: failure("canceled", "the call was canceled") }));
  const result = await Promise.race([answer, leftBehind]);
  finished.abort();
  return result;
}

/** Resolves `ms` after the signal aborts; never, when `until` aborts first. */
function abortedFor(
  clock: Clock,
  ms: number,
  signals: { readonly signal: AbortSignal; readonly until: AbortSignal },
): Promise<void> {
  return new Promise((resolve) => {
    let cancel = () => {};
    const onAbort = () => {
      cancel = clock.after(ms, resolve);
    };
    signals.until.addEventListener(
      "abort",
      () => {
        cancel();
        signals.signal.removeEventListener("abort", onAbort);
      },
      { once: true },
    );
    if (signals.signal.aborted) onAbort();
    else signals.signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** What the provider asked for, spread by up to a tenth so that callers do not come back all at once; else full jitter. */
function nextPause(
  policy: CallPolicy,
  failed: { readonly attempt: number; readonly random: number; readonly retryAfterMs?: number },
): number {
  if (failed.retryAfterMs === undefined) return backoffMs(policy.backoff, failed.attempt, failed.random);
  return Math.ceil(failed.retryAfterMs * (1 + failed.random / 10));
}

function interrupted(course: Course, around: Around): Failure | null {
  if (around.options.signal.aborted) return failure("canceled", "the call was canceled");
  if (!around.deadline.signal.aborted) return null;
  const limit = formatDuration(course.house.policy.totalMs);
  const codes = course.attempts.map((attempt) => attempt.code).join(", ");
  return { ...failure("model_timeout", `no answer within ${limit} (attempts: ${codes})`), retryable: false };
}

function gaveUp(course: Course, last: Failure): Failure {
  const codes = course.attempts.map((attempt) => attempt.code);
  return {
    ...last,
    message: `${last.message} (gave up after ${codes.length} attempts: ${codes.join(", ")})`,
  };
}

function tooLong(last: Failure, pauseMs: number): Failure {
  const pause = formatDuration(pauseMs);
  return {
    ...last,
    message: `${last.message} (the next try would be in ${pause}, past the call's time limit)`,
  };
}

function failed(course: Course, why: Failure): GatewayResult {
  return { ok: false, failure: why, record: record(course, 0) };
}

function record(course: Course, firstTokenMs: number): CallRecord {
  const { entry, model } = course.target;
  return {
    provider: entry.provider.name,
    model,
    stage: course.stage,
    attempts: course.attempts,
    usage: course.usage,
    costMicros: course.costMicros,
    firstTokenMs,
    ms: course.house.options.clock.now() - course.startedAt,
  };
}

async function listProviders(
  options: GatewayOptions,
  signal: AbortSignal,
): ReturnType<ModelGateway["providers"]> {
  const chosen = resolveTarget(options, undefined, "execute");
  const isDefault = (name: string) => chosen.ok && chosen.value.entry.provider.name === name;
  const limit = new AbortController();
  const cancel = options.clock.after(MAX_HEALTH_MS, () => limit.abort());
  const both = AbortSignal.any([signal, limit.signal]);
  try {
    return await Promise.all(
      options.providers.map(async ({ provider }) => ({
        name: provider.name,
        health: await provider.health(both),
        models: await provider.models(both),
        isDefault: isDefault(provider.name),
      })),
    );
  } finally {
    cancel();
  }
}
