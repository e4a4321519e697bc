import { formatDuration } from "../base/duration.ts";
import type { ModelHealthView } from "../contracts/model-gateway.ts";
import type { BlockKind, FaultClass } from "../domain/routing.ts";
import { expectedTtft, type HealthNews, type SharedHealth, standing } from "../domain/shared-health.ts";
import { BREAKER, Breaker, type BreakerSettings, type Ticket } from "./breaker.ts";
import { DecayedRatio, LatencyTrack } from "./latency.ts";
import { SharedSide } from "./shared-side.ts";

/** Upper ends of the classes of input size, in tokens: a long prompt is not read as fast as a short one. */
const INPUT_BUCKETS = [2_000, 16_000, 64_000] as const;
/** Samples of its own class before a class is trusted more than the model as a whole. */
const BUCKET_SAMPLES = 5;
/** A model that was never used is taken to be middling: worse than a good one, better than a bad one. */
const UNKNOWN_TTFT_MS = 1_000;
/** What a failed attempt costs beyond its own time: another one has to be made. */
const FAILURE_PENALTY_MS = 500;
const ERROR_TAU_MS = 30_000;
const ERROR_PRIOR = 3;
/** Rate limits: one cut per episode, and how slowly the allowance grows back. */
const CUT = 0.8;
const CUT_DEBOUNCE_MS = 15_000;
const MAX_RETRY_AFTER_MS = 600_000;
/** Above so many at once a limit that was learnt is forgotten. */
const UNLIMITED = 1_000;
const QUARANTINE_MS = 300_000;
const MAX_QUARANTINE_MS = 3_600_000;
const SAMPLES_FOR_TAIL = 20;

export interface HealthParts {
  readonly now: () => number;
  readonly random: () => number;
  readonly breaker?: BreakerSettings;
}

/** How one attempt ended, for the model's record. */
export interface AttemptEnd {
  readonly fault: FaultClass | null;
  readonly ms: number;
  readonly retryAfterMs?: number;
  /** We took it back before its first token: all that is known is that it would have taken longer. */
  readonly lostAfterMs?: number;
}

/** What carries health to other processes and back. */
export interface Sharing {
  /** There is something to tell, or to ask for. */
  news(): void;
  /** Until when this process may probe the model, or `null`. */
  leaseOf(health: ModelHealth): number | null;
}

/** What one model's health must know of the book it is in. */
interface Page {
  readonly provider: string;
  readonly model: string;
  readonly sharing: () => Sharing | null;
}

/** The health of one model as seen by this process, and by others where they share what they see. */
export class ModelHealth {
  readonly provider: string;
  /** `provider/model` */
  readonly name: string;
  inFlight = 0;
  usedAt = 0;
  readonly shared = new SharedSide();
  readonly #sharing: Page["sharing"];
  readonly breaker: Breaker;
  readonly #parts: HealthParts;
  readonly #ttft = new Map<number | "all", LatencyTrack>();
  readonly #gap = new Map<number | "all", LatencyTrack>();
  readonly #stall = new LatencyTrack();
  readonly #failMs = new LatencyTrack();
  readonly #errors = new DecayedRatio(ERROR_TAU_MS, ERROR_PRIOR);
  #limit = UNLIMITED;
  #goodAtLimit = 0;
  #cutAt = Number.NEGATIVE_INFINITY;
  #limitedUntil = 0;
  #quarantines = 0;
  #quarantined = false;

  constructor(parts: HealthParts, page: Page) {
    this.#parts = parts;
    this.provider = page.provider;
    this.name = `${page.provider}/${page.model}`;
    this.#sharing = page.sharing;
    const settings = parts.breaker ?? BREAKER;
    this.breaker = new Breaker({
      ...parts,
      settings,
      lease: () => {
        const sharing = page.sharing();
        return sharing === null ? parts.now() + settings.leaseMs : sharing.leaseOf(this);
      },
      onMove: () => {
        this.shared.moved();
        page.sharing()?.news();
      },
    });
  }

  /** A call has it among its candidates: where it may not be probed from here, the right to is asked for. */
  consider(): void {
    const { breaker, shared } = this;
    if (breaker.state !== "half-open" || breaker.admits !== "no" || breaker.probing) return;
    shared.wantedAt = this.#parts.now();
    this.#sharing()?.news();
  }

  /** What others have not been told. It counts as told from now on. */
  news(now: number, ttftEveryMs: number): HealthNews | null {
    const { state, openUntil, openings } = this.breaker;
    return this.shared.take({
      breaker: {
        openUntil: state === "closed" ? null : openUntil,
        openings: this.#quarantined ? this.#quarantines : openings,
        quarantined: this.#quarantined,
      },
      limitedUntil: this.#limitedUntil,
      ttftMs: this.#ttft.get("all")?.estimate(now) ?? null,
      now,
      ttftEveryMs,
    });
  }

  /** What others say, or what was written of us. What happened here and was not told them goes before it. */
  adopt(row: SharedHealth, of: { readonly own: boolean } = { own: false }): void {
    const { shared, breaker } = this;
    const now = this.#parts.now();
    const limit = Math.min(row.limitedUntil, now + MAX_RETRY_AFTER_MS);
    if (limit > this.#limitedUntil) {
      this.#limitedUntil = limit;
      shared.limitFrom = row.by;
    }
    if (row.ttftMs !== null) shared.ttft = { ms: row.ttftMs, at: row.ttftAt, by: row.by };
    if (of.own) shared.wrote(row);
    if (shared.untold) return;
    const isOpen = standing(row, now) !== "closed";
    // Of a phase that is known only its end is news: that nobody has asked for it in so long.
    const isKnown =
      row.phase === shared.phase || (of.own && !(isOpen && (row.openUntil ?? 0) > breaker.openUntil));
    const isLost = row.phase < shared.phase;
    shared.phase = row.phase;
    if (isKnown && (isOpen || breaker.state !== "half-open")) return;
    // The board has forgotten it, not the provider: it is told again.
    if (isLost && breaker.state !== "closed") return shared.moved();
    if (isOpen || breaker.state !== "closed") this.#move(row, { isOpen, own: of.own });
  }

  #move(row: SharedHealth, { isOpen, own }: { readonly isOpen: boolean; readonly own: boolean }): void {
    const { openUntil, openings, quarantined, by } = row;
    this.#quarantined = isOpen && quarantined;
    this.#quarantines = this.#quarantined ? openings : 0;
    this.breaker.adopt({
      openUntil: isOpen ? openUntil : null,
      openings: isOpen && !quarantined ? openings : 0,
    });
    this.shared.breakerFrom = own ? null : by;
    if (!isOpen) this.shared.wantedAt = null;
  }

  start(): Ticket {
    this.usedAt = this.#parts.now();
    this.inFlight += 1;
    return this.breaker.enter();
  }

  /** A probe has proven itself with its first token: nobody shall wait for the end of a long answer. */
  firstToken(ticket: Ticket, ms: number, inputTokens: number): void {
    const now = this.#parts.now();
    if (ticket.probe) this.#passed(ticket);
    this.shared.sampled();
    track(this.#ttft, "all").observe(ms, now);
    track(this.#ttft, bucketOf(inputTokens)).observe(ms, now);
  }

  /** Mean and longest silence between the tokens of one answer. */
  gaps(of: { readonly meanMs: number; readonly maxMs: number }, inputTokens: number): void {
    const now = this.#parts.now();
    track(this.#gap, "all").observe(of.meanMs, now);
    track(this.#gap, bucketOf(inputTokens)).observe(of.meanMs, now);
    this.#stall.observe(of.maxMs, now);
  }

  end(ticket: Ticket, end: AttemptEnd, inputTokens: number): void {
    const now = this.#parts.now();
    this.inFlight -= 1;
    // Only what is worse than expected is news: a call that was taken back early says nothing.
    if (end.lostAfterMs !== undefined && end.lostAfterMs > this.ttftMs(inputTokens)) {
      track(this.#ttft, "all").observe(end.lostAfterMs, now);
      track(this.#ttft, bucketOf(inputTokens)).observe(end.lostAfterMs, now);
    }
    if (end.fault === null) this.#succeeded(ticket, now);
    else if (end.fault === "fault") this.#faulted(ticket, end.ms, now);
    else if (end.fault === "rate") this.#limited(ticket, end.retryAfterMs, now);
    else if (end.fault === "refused-us") this.#quarantine();
    else this.breaker.leave(ticket, "neutral");
  }

  #succeeded(ticket: Ticket, now: number): void {
    this.#errors.observe(false, now);
    this.#passed(ticket);
    if (this.#limit >= UNLIMITED) return;
    this.#goodAtLimit += 1;
    if (this.#goodAtLimit < this.#limit) return;
    this.#goodAtLimit = 0;
    this.#limit = Math.min(UNLIMITED, this.#limit + 1);
  }

  #passed(ticket: Ticket): void {
    this.breaker.leave(ticket, "ok");
    if (this.breaker.state !== "closed") return;
    this.#quarantines = 0;
    this.#quarantined = false;
  }

  #faulted(ticket: Ticket, ms: number, now: number): void {
    this.#errors.observe(true, now);
    this.#failMs.observe(ms, now);
    this.breaker.leave(ticket, "bad");
  }

  /** Too many at once is not illness: it never opens the breaker. */
  #limited(ticket: Ticket, retryAfterMs: number | undefined, now: number): void {
    this.breaker.leave(ticket, "neutral");
    if (retryAfterMs !== undefined) {
      const until = Math.ceil(now + Math.min(retryAfterMs, MAX_RETRY_AFTER_MS));
      if (until > this.#limitedUntil) {
        this.#limitedUntil = until;
        this.shared.limited();
        this.#sharing()?.news();
      }
    }
    if (now - this.#cutAt < CUT_DEBOUNCE_MS) return;
    this.#cutAt = now;
    this.#goodAtLimit = 0;
    // The refused attempt itself was one more than the provider takes.
    this.#limit = Math.max(1, Math.floor(Math.min(this.#limit, this.inFlight + 1) * CUT));
  }

  #quarantine(): void {
    if (this.#quarantined && this.breaker.state === "open") return;
    this.#quarantined = true;
    this.#quarantines += 1;
    this.breaker.trip(Math.min(MAX_QUARANTINE_MS, QUARANTINE_MS * 2 ** (this.#quarantines - 1)));
  }

  get blocked(): { readonly kind: BlockKind; readonly detail: string } | null {
    const now = this.#parts.now();
    if (this.breaker.admits === "no") {
      const { state, openUntil } = this.breaker;
      const wait = this.breaker.probing ? "a probe is under way" : "to be probed, by one process at a time";
      const detail = state === "open" ? `next probe in ${formatDuration(openUntil - now)}` : wait;
      return { kind: this.#quarantined ? "quarantined" : "open", detail };
    }
    if (now < this.#limitedUntil) {
      return { kind: "limited", detail: `asked to wait ${formatDuration(this.#limitedUntil - now)} more` };
    }
    if (this.inFlight >= this.#limit) return { kind: "full", detail: `${this.inFlight} calls under way` };
    return null;
  }

  get probe(): boolean {
    return this.breaker.admits === "probe";
  }

  /** ms until it may be used again as its rate limit says; 0 when it may now. */
  get limitedForMs(): number {
    return Math.max(0, this.#limitedUntil - this.#parts.now());
  }

  get errorRate(): number {
    return this.#errors.value(this.#parts.now());
  }

  get failMs(): number {
    return (this.#failMs.estimate(this.#parts.now()) ?? 0) + FAILURE_PENALTY_MS;
  }

  ttftMs(inputTokens: number): number {
    const now = this.#parts.now();
    const track = this.#ttftTrack(inputTokens);
    const own = track?.estimate(now) ?? null;
    const { ttft } = this.shared;
    if (ttft === null) return own ?? UNKNOWN_TTFT_MS;
    const mine = own === null || track === undefined ? null : { ms: own, at: track.at };
    return expectedTtft({ own: mine, shared: ttft, now }) ?? UNKNOWN_TTFT_MS;
  }

  /** `null` before there are samples enough to speak of a tail. */
  ttftP95(inputTokens: number): number | null {
    return this.#ttftTrack(inputTokens)?.p95(SAMPLES_FOR_TAIL) ?? null;
  }

  /** Of the longest silence in an answer. */
  get stallP95(): number | null {
    return this.#stall.p95(SAMPLES_FOR_TAIL);
  }

  view(): ModelHealthView {
    const now = this.#parts.now();
    const whole = this.#ttft.get("all");
    const rounded = (ms: number | null | undefined) => (ms == null ? null : Math.round(ms));
    return {
      state: this.blocked?.kind ?? (this.probe ? "probing" : (whole?.count ?? 0) === 0 ? "unused" : "ok"),
      detail: this.blocked?.detail ?? "",
      ttftMs: rounded(whole?.estimate(now) ?? this.shared.ttft?.ms),
      ttftP95Ms: rounded(whole?.p95(1)),
      gapMs: rounded(this.#gap.get("all")?.estimate(now)),
      errorRate: Math.round(this.errorRate * 1_000) / 1_000,
      inFlight: this.inFlight,
      concurrencyLimit: this.#limit >= UNLIMITED ? null : this.#limit,
      samples: whole?.count ?? 0,
      from: this.#from(whole?.count ?? 0),
    };
  }

  #from(samples: number): string | null {
    const { shared } = this;
    if (this.blocked?.kind === "limited") return shared.limitFrom;
    if (this.breaker.state !== "closed") return shared.breakerFrom;
    return samples === 0 ? (shared.ttft?.by ?? null) : null;
  }

  #ttftTrack(inputTokens: number): LatencyTrack | undefined {
    const own = this.#ttft.get(bucketOf(inputTokens));
    return own !== undefined && own.count >= BUCKET_SAMPLES ? own : this.#ttft.get("all");
  }
}

function track(tracks: Map<number | "all", LatencyTrack>, key: number | "all"): LatencyTrack {
  const known = tracks.get(key);
  if (known !== undefined) return known;
  const made = new LatencyTrack();
  tracks.set(key, made);
  return made;
}

function bucketOf(inputTokens: number): number {
  return INPUT_BUCKETS.find((end) => inputTokens <= end) ?? Number.POSITIVE_INFINITY;
}
