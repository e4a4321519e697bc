import type { HealthNews, SharedHealth } from "../domain/shared-health.ts";

/** The right to probe, as the database gave it. Times by this process's reckoning, which ends earlier than the database's. */
export interface Permit {
  readonly phase: number;
  /** A probe must have begun by then, so that there is time for it. */
  readonly beginBy: number;
  readonly until: number;
}

/** What is told of a breaker. */
export interface BreakerStand {
  readonly openUntil: number | null;
  readonly openings: number;
  readonly quarantined: boolean;
}

/**
 * What one model's health in this process has to do with that of others: what it has not told them yet, and what it has
 * from them.
 */
export class SharedSide {
  /** Of the breaker, as the board numbers them. */
  phase = 0;
  permit: Permit | null = null;
  /** A call would have liked to probe; `null` since the breaker was closed. */
  wantedAt: number | null = null;
  /** It asks for no permit before: the last one was not used, and others may want it. */
  restUntil = 0;
  /** Who said what the breaker and the rate limit are now; `null`: this process found out itself. */
  breakerFrom: string | null = null;
  limitFrom: string | null = null;
  ttft: { readonly ms: number; readonly at: number; readonly by: string } | null = null;
  /** The phase in which the breaker moved here and nobody was told; `null` when there is nothing to tell. */
  #movedIn: number | null = null;
  #limited = false;
  #released = false;
  #samples = 0;
  #toldTtftAt = 0;

  moved(): void {
    this.#movedIn = this.phase;
    this.breakerFrom = null;
    this.wantedAt = null;
  }

  limited(): void {
    this.#limited = true;
    this.limitFrom = null;
  }

  sampled(): void {
    this.#samples += 1;
  }

  release(): void {
    this.permit = null;
    this.#released = true;
  }

  get untold(): boolean {
    return this.#movedIn !== null;
  }

  /** All that was not told, which counts as told from now on; `null` when there is nothing. */
  take(of: {
    readonly breaker: BreakerStand;
    readonly limitedUntil: number;
    readonly ttftMs: number | null;
    readonly now: number;
    /** How often the expected time is told. */
    readonly ttftEveryMs: number;
  }): HealthNews | null {
    const ttft =
      of.ttftMs !== null && this.#samples > 0 && of.now - this.#toldTtftAt >= of.ttftEveryMs
        ? { ms: Math.round(of.ttftMs), samples: this.#samples }
        : null;
    if (this.#movedIn === null && !this.#limited && !this.#released && ttft === null) return null;
    const news: HealthNews = {
      phase: this.#movedIn ?? this.phase,
      ...(this.#movedIn !== null && { breaker: moveOf(of.breaker) }),
      ...(this.#limited && { limitedUntil: of.limitedUntil }),
      ...(this.#released && { released: true }),
      ...(ttft !== null && { ttft }),
    };
    this.#movedIn = null;
    this.#limited = false;
    this.#released = false;
    if (ttft !== null) {
      this.#samples = 0;
      this.#toldTtftAt = of.now;
    }
    return news;
  }

  /** They could not be told. What came since goes before them. */
  putBack(news: HealthNews): void {
    if (news.breaker !== undefined) this.#movedIn ??= news.phase;
    this.#limited ||= news.limitedUntil !== undefined;
    this.#released ||= news.released === true;
    if (news.ttft !== undefined) {
      this.#samples += news.ttft.samples;
      this.#toldTtftAt = 0;
    }
  }

  /** It was we who wrote this row: what moved here meanwhile moved after it. */
  wrote(row: SharedHealth): void {
    if (this.#movedIn !== null) this.#movedIn = row.phase;
  }
}

function moveOf({ openUntil, openings, quarantined }: BreakerStand): NonNullable<HealthNews["breaker"]> {
  return openUntil === null
    ? { kind: "closed" }
    : { kind: "opened", until: openUntil, openings, quarantined };
}
