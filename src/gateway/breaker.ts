import { type Backoff, backoffMs } from "../base/backoff.ts";

export interface BreakerSettings {
  readonly windowMs: number;
  /** Attempts in the window below which the ratio says nothing. */
  readonly minVolume: number;
  /** Share of failures that opens it. */
  readonly ratio: number;
  /** Failures in a row that open it whatever the volume: what a quiet model's window never fills. */
  readonly consecutive: number;
  readonly open: Backoff;
  /** How long a probe may take before another is let through. */
  readonly leaseMs: number;
}

export const BREAKER: BreakerSettings = {
  windowMs: 20_000,
  minVolume: 10,
  ratio: 0.5,
  consecutive: 5,
  open: { initialMs: 5_000, factor: 2, maxMs: 120_000 },
  leaseMs: 30_000,
};

const SLICES = 10;

export type BreakerState = "closed" | "open" | "half-open";

/** Given to every attempt and brought back with its end: an end that belongs to an earlier state says nothing. */
export interface Ticket {
  readonly epoch: number;
  readonly probe: boolean;
}

export interface BreakerParts {
  readonly settings: BreakerSettings;
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /**
   * Until when this process may probe, in ms since the epoch, or `null` when it may not now: where others may, too. Absent:
   * whenever nobody here does, for `leaseMs`.
   */
  readonly lease?: () => number | null;
  /** It was opened or closed by what happened here; not by `adopt`. */
  readonly onMove?: () => void;
}

/**
 * closed → open when too much fails; open → half-open when its time is over; half-open → closed or open by exactly one
 * probe under a lease. It advises: a caller without an alternative may go through an open one, and the end of that
 * attempt counts for nothing, as does every end that belongs to an earlier state.
 */
export class Breaker {
  readonly #parts: BreakerParts;
  #state: BreakerState = "closed";
  #epoch = 0;
  #openUntil = 0;
  #openings = 0;
  #leaseUntil = 0;
  #inARow = 0;
  #slices: { ok: number; bad: number }[] = emptySlices();
  #slice = 0;

  constructor(parts: BreakerParts) {
    this.#parts = parts;
  }

  get state(): BreakerState {
    if (this.#state === "open" && this.#parts.now() >= this.#openUntil) this.#move("half-open");
    return this.#state;
  }

  /** ms since the epoch; meaningful while open. */
  get openUntil(): number {
    return this.#openUntil;
  }

  /** Times that it was opened since it was closed. */
  get openings(): number {
    return this.#openings;
  }

  /** A probe is under way in this process. */
  get probing(): boolean {
    return this.state === "half-open" && this.#parts.now() < this.#leaseUntil;
  }

  /** `probe`: the next attempt would be the one probe. */
  get admits(): "yes" | "probe" | "no" {
    const { state } = this;
    if (state === "closed") return "yes";
    return state === "half-open" && !this.probing && this.#lease() !== null ? "probe" : "no";
  }

  /** Every attempt enters; the first to enter a half-open breaker takes the lease. */
  enter(): Ticket {
    const until = this.admits === "probe" ? this.#lease() : null;
    const probe = until !== null;
    if (probe) {
      this.#epoch += 1;
      this.#leaseUntil = until;
    }
    return { epoch: this.#epoch, probe };
  }

  /** `neutral`: it ended in a way that says nothing of the model; a probe gives its lease back. */
  leave(ticket: Ticket, end: "ok" | "bad" | "neutral"): void {
    const { state } = this;
    if (end === "neutral") {
      if (ticket.probe && ticket.epoch === this.#epoch) this.#leaseUntil = 0;
      return;
    }
    if (state === "closed") {
      if (ticket.epoch === this.#epoch) this.#count(end);
      return;
    }
    if (state !== "half-open" || !ticket.probe || ticket.epoch !== this.#epoch) return;
    if (end === "ok") this.#close();
    else this.#open();
  }

  /** Opens at once and for so long: for what waiting alone seldom heals. */
  trip(ms: number): void {
    this.#open(ms);
  }

  /** What others have found out. It begins a state of its own: attempts under way say nothing of it. */
  adopt(of: { readonly openUntil: number | null; readonly openings: number }): void {
    this.#openings = of.openings;
    if (of.openUntil === null) return this.#move("closed");
    this.#openUntil = of.openUntil;
    this.#move("open");
  }

  #lease(): number | null {
    const { lease, now, settings } = this.#parts;
    return lease === undefined ? now() + settings.leaseMs : lease();
  }

  #count(end: "ok" | "bad"): void {
    this.#turn();
    const slice = this.#slices[this.#slice % SLICES] as { ok: number; bad: number };
    slice[end] += 1;
    this.#inARow = end === "ok" ? 0 : this.#inARow + 1;
    if (end === "ok") return;
    const { minVolume, ratio, consecutive } = this.#parts.settings;
    const bad = this.#slices.reduce((sum, one) => sum + one.bad, 0);
    const all = this.#slices.reduce((sum, one) => sum + one.ok, bad);
    if (this.#inARow >= consecutive || (all >= minVolume && bad / all >= ratio)) this.#open();
  }

  /** Empties the slices that have passed since the last count. A clock set back empties nothing. */
  #turn(): void {
    const current = Math.floor(this.#parts.now() / (this.#parts.settings.windowMs / SLICES));
    const passed = Math.min(SLICES, current - this.#slice);
    for (let n = 0; n < passed; n += 1) this.#slices[(current - n) % SLICES] = { ok: 0, bad: 0 };
    if (passed > 0) this.#slice = current;
  }

  #open(ms?: number): void {
    this.#openings += 1;
    const { settings, now, random } = this.#parts;
    // Half of the time is certain, the other half is drawn: many processes shall not probe at once.
    const whole = backoffMs(settings.open, this.#openings, 1);
    this.#openUntil = Math.ceil(now() + (ms ?? whole / 2 + (whole / 2) * random()));
    this.#move("open");
    this.#parts.onMove?.();
  }

  #close(): void {
    this.#openings = 0;
    this.#move("closed");
    this.#parts.onMove?.();
  }

  #move(to: BreakerState): void {
    this.#state = to;
    this.#epoch += 1;
    this.#leaseUntil = 0;
    this.#inARow = 0;
    this.#slices = emptySlices();
  }
}

function emptySlices(): { ok: number; bad: number }[] {
  return Array.from({ length: SLICES }, () => ({ ok: 0, bad: 0 }));
}
