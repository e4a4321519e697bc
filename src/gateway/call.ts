import { backoffMs } from "../base/backoff.ts";
import { formatDuration } from "../base/duration.ts";
import type {
  CallRecord,
  GatewayCallOptions,
  GatewayRequest,
  GatewayResult,
} from "../contracts/model-gateway.ts";
import type { ModelRequest } from "../contracts/model-provider.ts";
import { type Failure, failure } from "../domain/errors.ts";
import { addUsage, NO_USAGE, type Usage } from "../domain/message.ts";
import { type Choice, type Draws, faultClass, nobodyFits, type RoutingPolicy } from "../domain/routing.ts";
import { type Candidate, candidateOf, expectedMicros, rank } from "./candidates.ts";
import { Continuation } from "./continuation.ts";
import { Flight, type FlightPlan, type Landing } from "./flight.ts";
import { type House, houseFor, mayHedge, policyOf, targetsOf } from "./house.ts";
import { costMicros } from "./prices.ts";
import { type Prepared, prepare } from "./prompt.ts";
import { type Pulse, startPulse, wait } from "./pulse.ts";
import type { Target } from "./route.ts";
import { type Admission, type Hold, type SpendDesk, sumBudget } from "./spend.ts";

const UNASKED: CallRecord = {
  provider: "",
  model: "",
  stage: "",
  policy: "",
  candidates: [],
  reason: "",
  attempts: [],
  usage: NO_USAGE,
  costMicros: 0,
  estimated: false,
  firstTokenMs: 0,
  ms: 0,
};

/** One call, as it unfolds: what is known of it so far is what its record will say. */
interface Course {
  readonly house: House;
  /** As it is sent: without secrets, and cut where it had to be. */
  readonly request: GatewayRequest;
  readonly prompt: Prepared["record"];
  readonly options: GatewayCallOptions;
  readonly policy: RoutingPolicy;
  readonly candidates: readonly Candidate[];
  readonly inputTokens: number;
  readonly startedAt: number;
  /** Aborts with the caller's signal, or when the call's time is over. */
  readonly stop: AbortController;
  late: boolean;
  readonly pulse: Pulse;
  readonly answer: Continuation;
  readonly attempts: CallRecord["attempts"][number][];
  /** Who was asked last. */
  by: Candidate;
  choice: Choice;
  usage: Usage;
  /** Summed by attempt, because a price may depend on the length of one prompt. */
  costMicros: number | null;
  estimated: boolean;
  budget: CallRecord["budget"];
  /** Why the last candidate that no budget has room for was not asked. */
  refused: Failure | null;
}

const NO_DRAWS: Draws = { explore: 1, pick: 0 };

export async function call(
  anybodys: House,
  request: GatewayRequest,
  options: GatewayCallOptions,
): Promise<GatewayResult> {
  const house = houseFor(anybodys, options.payer?.tenant);
  const { clock } = house.options;
  const { use, stage } = request;
  const resolved = targetsOf(house, use, stage);
  if (!resolved.ok) {
    return { ok: false, failure: resolved.failure, record: { ...UNASKED, model: use ?? "", stage } };
  }
  house.hedges.earn();
  const pulse = startPulse(clock, (idleMs) => options.onHeartbeat?.(idleMs));
  const course = embark({ house, request, options, pulse }, resolved.value);
  const { stop } = course;
  const cancelDeadline = clock.after(house.policy.totalMs, () => {
    course.late = true;
    stop.abort();
  });
  // By hand, not by AbortSignal.any: that takes 8 µs of every call, and leaves work to the garbage collector.
  const onAbort = () => stop.abort(options.signal.reason);
  if (options.signal.aborted) onAbort();
  else options.signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await attempts(course);
  } finally {
    pulse.stop();
    cancelDeadline();
    options.signal.removeEventListener("abort", onAbort);
  }
}

function embark(
  from: Pick<Course, "house" | "request" | "options" | "pulse">,
  targets: readonly Target[],
): Course {
  const { house } = from;
  const candidates = targets.map((target) => candidateOf(house, target));
  const [first] = candidates as [Candidate];
  const { request, inputTokens, record: prompt } = prepare(house, from.request, candidates);
  return {
    ...from,
    request,
    prompt,
    policy: policyOf(house.routing, request.policy),
    candidates,
    inputTokens,
    startedAt: house.options.clock.now(),
    stop: new AbortController(),
    late: false,
    answer: new Continuation((delta) => from.options.onDelta?.(delta)),
    attempts: [],
    by: first,
    choice: { order: [], candidates: [], reason: "" },
    usage: NO_USAGE,
    costMicros: 0,
    estimated: false,
    budget: undefined,
    refused: null,
  };
}

async function attempts(course: Course): Promise<GatewayResult> {
  const { policy, options } = course.house;
  const { random } = options;
  const { signal } = course.stop;
  // Draws are made only when there is something to draw for, so that recorded randomness stays short.
  const several = course.candidates.length > 1;
  let draws: Draws = several ? { explore: random(), pick: random() } : NO_DRAWS;
  for (;;) {
    const stopped = interrupted(course);
    if (stopped !== null) return failed(course, stopped);
    const asked = chooseWithin(course, draws);
    // Awaited only where a budget has to be asked: whatever else waits in the queue would run in between.
    const chosen = asked instanceof Promise ? await asked : asked;
    draws = NO_DRAWS;
    if (chosen === null) {
      return failed(course, interrupted(course) ?? course.refused ?? nobodyFits(course.choice));
    }
    if (signal.aborted) {
      chosen.hold?.release();
      continue;
    }
    const alone = course.choice.order.length === 1;
    const landing = await fly(course, chosen, alone);
    const booked = account(course, landing);
    if (booked !== null) await booked;
    const { result } = landing;
    if (result.ok) {
      const reply = course.answer.whole(result.reply);
      return { ok: true, reply, record: record(course, reply.firstTokenMs) };
    }
    const ended = interrupted(course) ?? verdict(course, { landing, failed: result.failure, alone });
    if (ended !== null) return failed(course, ended);
    if (course.attempts.length >= policy.maxAttempts) return failed(course, gaveUp(course, result.failure));
    const pauseMs = nextPause(course);
    if (options.clock.now() + pauseMs - course.startedAt >= policy.totalMs) {
      return failed(course, tooLong(result.failure, pauseMs));
    }
    if (pauseMs > 0) await wait(options.clock, pauseMs, signal);
    if (landing.spoke && !signal.aborted) takeUp(course);
  }
}

function fly(course: Course, { primary, hold }: Chosen, alone: boolean): Promise<Landing> {
  const desk = course.house.options.spend;
  return new Flight({
    house: course.house,
    request: withoutRouting(course.answer.request(course.request)),
    inputTokens: course.inputTokens,
    primary,
    alone,
    hedge: hedgeFor(course, primary),
    signal: course.stop.signal,
    hold,
    admit: desk === undefined ? null : (candidate) => admit(course, desk, candidate),
    onDelta: (delta) => {
      course.pulse.heard();
      course.answer.hear(delta);
    },
  }).run();
}

interface Chosen {
  readonly primary: Candidate;
  readonly hold: Hold | null;
}

type Choosing = Chosen | null | Promise<Chosen | null>;

/** The best candidate that a budget has room for; `null` when there is none. A promise only where a budget is asked. */
function chooseWithin(course: Course, draws: Draws): Choosing {
  course.refused = null;
  for (const candidate of course.candidates) candidate.overBudget = null;
  return chooseNext(course, draws);
}

function chooseNext(course: Course, draws: Draws): Choosing {
  const { spend: desk } = course.house.options;
  for (;;) {
    course.choice = rank(course.candidates, { ...course, draws });
    const [first] = course.choice.order;
    if (first === undefined) return null;
    const primary = course.candidates[first] as Candidate;
    course.by = primary;
    if (desk === undefined) return { primary, hold: null };
    const take = (admitted: Admission): Chosen | null => {
      if (admitted.ok) return { primary, hold: admitted.hold };
      course.refused = admitted.failure;
      passOver(course, primary, { why: admitted.failure, all: desk.settings.onRefusal === "fail" });
      return null;
    };
    const asked = admit(course, desk, primary);
    if (asked instanceof Promise) {
      return asked.then((admitted) => take(admitted) ?? chooseNext(course, draws));
    }
    const taken = take(asked);
    if (taken !== null) return taken;
  }
}

function admit(course: Course, desk: SpendDesk, candidate: Candidate): Admission | Promise<Admission> {
  const { provider, model, price } = candidate;
  return desk.admit({
    payer: course.options.payer,
    model: `${provider}/${model}`,
    stage: course.request.stage,
    price,
    size: { inputTokens: course.inputTokens, maxOutputTokens: course.request.maxOutputTokens },
  });
}

/** What costs as much or more, or nobody knows how much, need not be asked. A store that cannot answer has no cheaper answer. */
function passOver(
  course: Course,
  refused: Candidate,
  { why, all }: { readonly why: Failure; readonly all: boolean },
): void {
  const { maxOutputTokens } = course.request;
  const expected = (one: Candidate) => expectedMicros(one.price, course.inputTokens, maxOutputTokens);
  const limit = expected(refused);
  for (const one of course.candidates) {
    const cost = expected(one);
    const cheaper = cost !== null && (limit === null || cost < limit);
    if (one === refused || all || why.code === "unavailable" || !cheaper) one.overBudget ??= why;
  }
}

function withoutRouting(request: GatewayRequest): Omit<ModelRequest, "model"> {
  const { use: _use, stage: _stage, policy: _policy, minQuality: _minQuality, tooLong: _, ...rest } = request;
  return rest;
}

/** The best free candidate of another provider, else of the same; only once there is a tail to compare with. */
function hedgeFor(course: Course, primary: Candidate): FlightPlan["hedge"] {
  if (!mayHedge(course.house.routing, course.policy)) return null;
  if (course.attempts.length + 2 > course.house.policy.maxAttempts) return null;
  const tail = primary.health.ttftP95(course.inputTokens);
  if (tail === null) return null;
  const others = course.choice.order
    .map((index) => course.candidates[index] as Candidate)
    .filter((one) => one !== primary && one.tried === 0 && one.health.blocked === null && !one.health.probe);
  const candidate = others.find((one) => one.provider !== primary.provider) ?? others[0];
  return candidate === undefined ? null : { afterMs: tail + 1, candidate };
}

/** Resolves when all of it is booked, which is before the answer is given: what a journal holds has been paid for. */
function account(course: Course, landing: Landing): Promise<void> | null {
  const now = course.house.options.clock.now();
  course.by = landing.by;
  for (const leg of landing.legs) {
    const { provider, model, price } = leg.candidate;
    course.attempts.push({
      provider,
      model,
      ms: leg.ms,
      code: leg.code,
      ...(leg.hedge && { hedge: true as const }),
      ...(leg.estimated && { estimated: true as const }),
    });
    course.usage = addUsage(course.usage, leg.usage);
    const cost = costMicros(price, leg.usage);
    course.costMicros = cost === null || course.costMicros === null ? null : course.costMicros + cost;
    course.estimated ||= leg.estimated;
    if (leg.code !== "ok") leg.candidate.tried += 1;
  }
  const { result } = landing;
  if (!result.ok && result.retryAfterMs !== undefined) landing.by.notBefore = now + result.retryAfterMs;
  return landing.legs.some(({ booked }) => booked !== null) ? book(course, landing) : null;
}

async function book(course: Course, landing: Landing): Promise<void> {
  for (const { booked } of landing.legs) {
    if (booked !== null) course.budget = sumBudget(course.budget, await booked);
  }
}

/** The failure that ends the call, or `null` when it is worth another attempt. */
function verdict(
  course: Course,
  of: { readonly landing: Landing; readonly failed: Failure; readonly alone: boolean | undefined },
): Failure | null {
  const { landing, failed: why } = of;
  if (faultClass(why) === "caller") return why;
  const mayNotRestart = course.options.onDelta !== undefined && course.options.onRestart === undefined;
  if (landing.spoke && mayNotRestart && !goesOn(course)) {
    const said = "part of the answer had been shown, and it is not said twice";
    return { ...why, message: `${why.message} (not tried again: ${said})` };
  }
  if (why.retryable) return null;
  const untried = course.choice.order.some((index) => course.candidates[index]?.tried === 0);
  return untried ? null : why;
}

/** JSON is judged as a whole, so it is begun anew. */
function goesOn(course: Course): boolean {
  const wanted = course.house.routing.afterContent === "continue" && course.request.json === undefined;
  return wanted && course.answer.possible;
}

function takeUp(course: Course): void {
  if (goesOn(course)) return course.answer.goOn();
  course.answer.beginAnew();
  course.options.onRestart?.();
}

/** None before a candidate that is free and was not tried; else what its provider asked for, else full jitter. */
function nextPause(course: Course): number {
  const { house } = course;
  const { order } = rank(course.candidates, { ...course, draws: NO_DRAWS });
  const next = course.candidates[order[0] ?? 0];
  if (next === undefined || next.tried === 0) return 0;
  const random = house.options.random();
  const askedMs = next.notBefore - house.options.clock.now();
  // Spread by up to a tenth so that callers do not come back all at once.
  if (askedMs > 0) return Math.ceil(askedMs * (1 + random / 10));
  return backoffMs(house.policy.backoff, next.tried, random);
}

function interrupted(course: Course): Failure | null {
  if (course.options.signal.aborted) return failure("canceled", "the call was canceled");
  if (!course.late) return null;
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

function failed(course: Course, why: Failure): Extract<GatewayResult, { ok: false }> {
  return { ok: false, failure: why, record: record(course, 0) };
}

function record(course: Course, firstTokenMs: number): CallRecord {
  const { by, choice } = course;
  return {
    provider: by.provider,
    model: by.model,
    stage: course.request.stage,
    policy: course.policy.name,
    candidates: choice.candidates,
    reason: choice.reason,
    attempts: course.attempts,
    usage: course.usage,
    costMicros: course.costMicros,
    estimated: course.estimated,
    firstTokenMs,
    ms: course.house.options.clock.now() - course.startedAt,
    ...course.prompt,
    ...(course.answer.count > 0 && { continued: course.answer.count }),
    ...(course.budget !== undefined && { budget: course.budget }),
  };
}
