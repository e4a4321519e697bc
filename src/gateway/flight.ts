import { formatDuration } from "../base/duration.ts";
import type { CallBudget, GatewayCallOptions } from "../contracts/model-gateway.ts";
import type { ModelRequest, ModelResult } from "../contracts/model-provider.ts";
import { type Failure, failure } from "../domain/errors.ts";
import { NO_USAGE, type Usage } from "../domain/message.ts";
import { faultClass } from "../domain/routing.ts";
import type { Ticket } from "./breaker.ts";
import { type Candidate, estimateTokens } from "./candidates.ts";
import type { House } from "./house.ts";
import { firstTokenLimit, idleLimit } from "./patience.ts";
import type { Admission, Hold } from "./spend.ts";

/** How long a provider may take to answer after its call was aborted, before it is left behind. */
const ABORT_GRACE_MS = 2_000;

type Delta = Parameters<NonNullable<GatewayCallOptions["onDelta"]>>[0];

export interface FlightPlan {
  readonly house: House;
  readonly request: Omit<ModelRequest, "model">;
  readonly inputTokens: number;
  readonly primary: Candidate;
  readonly alone: boolean;
  /** When to start a second attempt, and with whom; `null` when there shall be none. */
  readonly hedge: { readonly afterMs: number; readonly candidate: Candidate } | null;
  readonly signal: AbortSignal;
  /** What the first attempt may cost is reserved; `null` where nothing is counted. */
  readonly hold: Hold | null;
  /** Reserves for a second one; `null` where nothing is counted. */
  readonly admit: ((candidate: Candidate) => Admission | Promise<Admission>) | null;
  /** Hears only the attempt that won. */
  readonly onDelta: (delta: Delta) => void;
}

/** One attempt, as it ended. */
export interface Leg {
  readonly candidate: Candidate;
  readonly hedge: boolean;
  readonly ms: number;
  readonly code: string;
  readonly usage: Usage;
  readonly estimated: boolean;
  /** Resolves when its cost is booked; `null` where no budget holds. */
  readonly booked: Promise<CallBudget> | null;
}

export interface Landing {
  readonly result: ModelResult;
  readonly by: Candidate;
  readonly legs: readonly Leg[];
  /** Whether the caller has heard something of it. */
  readonly spoke: boolean;
}

interface Lane {
  readonly candidate: Candidate;
  readonly hedge: boolean;
  readonly ticket: Ticket;
  readonly startedAt: number;
  readonly controller: AbortController;
  readonly hold: Hold | null;
  cancelTimer: () => void;
  firstAt: number | null;
  lastAt: number;
  maxGapMs: number;
  deltas: number;
  chars: number;
  open: boolean;
}

/** How a lane ended; `mine` when we ended it, so that nobody will say what it used. */
interface LaneEnd {
  readonly result: ModelResult;
  readonly mine: boolean;
  readonly lost?: true;
}

/**
 * One attempt, and at most one beside it when the first is late. The first to say something wins and alone is heard; the
 * other is taken back. Always lands: by an answer, a failure, its time limits, or the caller's abort.
 */
export class Flight {
  readonly #plan: FlightPlan;
  readonly #lanes: Lane[] = [];
  readonly #legs: Leg[] = [];
  #winner: Lane | null = null;
  #resolve: (landing: Landing) => void = () => {};
  #landed = false;
  #cancelHedge = () => {};
  #cancelGrace = () => {};

  constructor(plan: FlightPlan) {
    this.#plan = plan;
  }

  run(): Promise<Landing> {
    const { hedge, house, signal, primary, hold } = this.#plan;
    return new Promise((resolve) => {
      this.#resolve = resolve;
      signal.addEventListener("abort", this.#onAbort, { once: true });
      if (hedge !== null) {
        this.#cancelHedge = house.options.clock.after(
          hedge.afterMs,
          () => void this.#startHedge(hedge.candidate),
        );
      }
      this.#launch(primary, { hedge: false, hold });
    });
  }

  get #now(): number {
    return this.#plan.house.options.clock.now();
  }

  /** It may have become unwell since it was chosen, and nobody waits any more when its budget has said yes. */
  async #startHedge(candidate: Candidate): Promise<void> {
    const isWanted = () => !this.#landed && this.#winner === null && !this.#plan.signal.aborted;
    const isWell = () => candidate.health.blocked === null && !candidate.health.probe;
    if (!isWanted() || !isWell() || !this.#plan.house.hedges.spend()) return;
    const asked = this.#plan.admit?.(candidate) ?? null;
    if (asked === null) return this.#launch(candidate, { hedge: true, hold: null });
    const admitted = asked instanceof Promise ? await asked : asked;
    if (!admitted.ok) return;
    if (isWanted() && isWell()) this.#launch(candidate, { hedge: true, hold: admitted.hold });
    else admitted.hold.release();
  }

  #launch(candidate: Candidate, of: { readonly hedge: boolean; readonly hold: Hold | null }): void {
    const { inputTokens, alone, request, house } = this.#plan;
    const lane: Lane = {
      candidate,
      ...of,
      ticket: candidate.health.start(),
      startedAt: this.#now,
      controller: new AbortController(),
      cancelTimer: () => {},
      firstAt: null,
      lastAt: this.#now,
      maxGapMs: 0,
      deltas: 0,
      chars: 0,
      open: true,
    };
    this.#lanes.push(lane);
    if (lane.hold !== null) lane.hold.onCut = (why) => this.#cut(lane, why);
    const limit = firstTokenLimit(candidate, { inputTokens, alone });
    lane.cancelTimer = house.options.clock.after(limit, () => {
      this.#giveUp(lane, `said nothing within ${formatDuration(limit)}`);
    });
    void generate(lane, request, (delta) => this.#heard(lane, delta)).then((result) => {
      if (lane.open) this.#ended(lane, { result, mine: false });
    });
  }

  #heard(lane: Lane, delta: Delta): void {
    if (!lane.open || this.#landed) return;
    const now = this.#now;
    if (lane.firstAt === null) this.#first(lane, now);
    else lane.maxGapMs = Math.max(lane.maxGapMs, now - lane.lastAt);
    lane.lastAt = now;
    lane.deltas += 1;
    lane.chars += delta.text.length;
    lane.hold?.progress(estimateTokens(lane.chars));
    this.#plan.onDelta(delta);
  }

  #first(lane: Lane, now: number): void {
    lane.firstAt = now;
    lane.lastAt = now;
    lane.cancelTimer();
    lane.candidate.health.firstToken(lane.ticket, now - lane.startedAt, this.#plan.inputTokens);
    this.#winner = lane;
    this.#takeBackOthers(lane);
    this.#watch(lane, idleLimit(lane.candidate, this.#plan.alone));
  }

  /** One timer for the whole answer, not one for each token. */
  #watch(lane: Lane, limit: number): void {
    const left = limit - (this.#now - lane.lastAt);
    if (left <= 0) return this.#giveUp(lane, `fell silent for ${formatDuration(limit)} in its answer`);
    lane.cancelTimer = this.#plan.house.options.clock.after(left, () => this.#watch(lane, limit));
  }

  #giveUp(lane: Lane, what: string): void {
    if (!lane.open || this.#plan.signal.aborted) return;
    const why = failure("model_timeout", `${lane.candidate.provider}/${lane.candidate.model} ${what}`);
    lane.controller.abort();
    this.#ended(lane, { result: { ok: false, failure: why }, mine: true });
  }

  /** There is no budget for the rest of its answer. */
  #cut(lane: Lane, why: Failure): void {
    if (!lane.open) return;
    lane.controller.abort();
    this.#ended(lane, { result: { ok: false, failure: why }, mine: true });
  }

  #ended(lane: Lane, end: LaneEnd): void {
    this.#close(lane, end);
    const { result } = end;
    const waits = this.#lanes.some((other) => other.open);
    const hopeless = !result.ok && faultClass(result.failure) === "caller";
    if (result.ok || !waits || hopeless) this.#land(lane, result);
  }

  #land(lane: Lane, result: ModelResult): void {
    if (this.#landed) return;
    this.#landed = true;
    this.#takeBackOthers(lane);
    this.#cancelHedge();
    this.#cancelGrace();
    this.#plan.signal.removeEventListener("abort", this.#onAbort);
    this.#resolve({ result, by: lane.candidate, legs: this.#legs, spoke: this.#winner !== null });
  }

  #takeBackOthers(lane: Lane): void {
    this.#cancelHedge();
    for (const other of this.#lanes) {
      if (other === lane || !other.open) continue;
      other.controller.abort();
      const why = failure("canceled", "another attempt was faster");
      this.#close(other, { result: { ok: false, failure: why }, mine: true, lost: true });
    }
  }

  #close(lane: Lane, end: LaneEnd): void {
    const { candidate } = lane;
    const { inputTokens } = this.#plan;
    const ms = this.#now - lane.startedAt;
    lane.open = false;
    lane.cancelTimer();
    this.#report(lane, end, ms);
    const { usage, estimated } = usageOf(lane, end, inputTokens);
    const code = end.lost ? "hedge_lost" : end.result.ok ? "ok" : end.result.failure.code;
    const booked = lane.hold?.settle({ usage, estimated }) ?? null;
    this.#legs.push({ candidate, hedge: lane.hedge, ms, code, usage, estimated, booked });
  }

  #report(lane: Lane, end: LaneEnd, ms: number): void {
    const { result } = end;
    const { health } = lane.candidate;
    const { inputTokens } = this.#plan;
    if (result.ok && lane.firstAt === null)
      health.firstToken(lane.ticket, result.reply.firstTokenMs, inputTokens);
    if (lane.deltas > 1 && lane.firstAt !== null) {
      const meanMs = (lane.lastAt - lane.firstAt) / (lane.deltas - 1);
      health.gaps({ meanMs, maxMs: lane.maxGapMs }, inputTokens);
    }
    const takenBack = end.mine || this.#plan.signal.aborted;
    const retryAfterMs = result.ok ? undefined : result.retryAfterMs;
    health.end(
      lane.ticket,
      {
        fault: result.ok ? null : faultClass(result.failure),
        ms,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
        ...(takenBack && !result.ok && lane.firstAt === null ? { lostAfterMs: ms } : {}),
      },
      inputTokens,
    );
  }

  readonly #onAbort = (): void => {
    this.#cancelHedge();
    for (const lane of this.#lanes) if (lane.open) lane.controller.abort();
    this.#cancelGrace = this.#plan.house.options.clock.after(ABORT_GRACE_MS, () => {
      const result: ModelResult = { ok: false, failure: failure("canceled", "the call was canceled") };
      for (const lane of this.#lanes) if (lane.open) this.#ended(lane, { result, mine: true });
    });
  };
}

/** Keeps the promise of the contract even for a provider that breaks its own: it does not throw. */
async function generate(
  lane: Lane,
  request: Omit<ModelRequest, "model">,
  onDelta: (delta: Delta) => void,
): Promise<ModelResult> {
  const { provider } = lane.candidate.target.entry;
  const { signal } = lane.controller;
  try {
    return await provider.generate({ ...request, model: lane.candidate.model }, { signal, onDelta });
  } catch (error) {
    return { ok: false, failure: threw(provider.name, error) };
  }
}

function threw(provider: string, error: unknown): Failure {
  const said = error instanceof Error ? error.message : typeof error;
  return failure("internal", `the provider "${provider}" threw: ${said}`);
}

/** What was taken back, or broke off in its answer without a word of its usage, is billed all the same: by estimate. */
function usageOf(lane: Lane, end: LaneEnd, inputTokens: number): { usage: Usage; estimated: boolean } {
  const { result } = end;
  if (result.ok) return { usage: result.reply.usage, estimated: false };
  if (result.usage !== undefined) return { usage: result.usage, estimated: false };
  const billed = end.mine || lane.firstAt !== null || result.failure.code === "canceled";
  if (!billed) return { usage: NO_USAGE, estimated: false };
  return { usage: { ...NO_USAGE, input: inputTokens, output: estimateTokens(lane.chars) }, estimated: true };
}
