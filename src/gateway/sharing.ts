import type { Clock } from "../base/clock.ts";
import type { HealthBoard } from "../contracts/health-board.ts";
import type { Log } from "../contracts/log.ts";
import {
  type HealthNews,
  isProbeFree,
  type SharedHealth,
  unknownHealth,
  withNews,
} from "../domain/shared-health.ts";
import type { ModelHealth, Sharing } from "./health.ts";
import type { HealthBook } from "./health-book.ts";

/** How often it is looked what others say. */
const LOOK_MS = 1_000;
/** The same while a call waits for the right to probe, or there is something to tell. */
const SOON_MS = 200;
/** Nobody has heard of the store for so long: everybody judges for themselves. */
const AWAY_MS = 3_000;
const TTFT_EVERY_MS = 5_000;
/** A probe begins within this part of its lease, or leaves it to another. */
const BEGIN_WITHIN = 1 / 3;
/** A lease that was not used is left to others for so long. */
const REST_MS = 2_000;
/** A model that no call has asked for in so long is not probed from here. */
const WANTED_MS = 3_600_000;
/** Leases asked for in one look. */
const LEASES = 8;

export interface SharingParts {
  readonly book: HealthBook;
  readonly board: HealthBoard;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  /** Name of this process, unlike any other's. */
  readonly self: string;
  /** Of a probe, in ms. */
  readonly leaseMs: number;
  /** How long nothing may be heard of the store before everybody judges for themselves; `AWAY_MS` when absent. */
  readonly awayMs?: number;
}

interface Change {
  readonly health: ModelHealth;
  readonly news: HealthNews;
  readonly next: SharedHealth;
}

/**
 * Tells other processes what this one learns of models, and the other way round; gets the right to probe, which one
 * process at a time has. No call waits for any of it: while the store is slow or away, each process judges for itself.
 */
export class HealthSharing implements Sharing {
  readonly #parts: SharingParts;
  #heardAt = Number.NEGATIVE_INFINITY;
  #away = false;
  #running: Promise<void> | null = null;
  #timer: { readonly at: number; readonly cancel: () => void } | null = null;
  #again = false;
  #stopped = true;

  constructor(parts: SharingParts) {
    this.#parts = parts;
  }

  get live(): boolean {
    return !this.#stopped && this.#parts.clock.now() - this.#heardAt < (this.#parts.awayMs ?? AWAY_MS);
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#parts.book.share(this);
    // Processes that began together do not look together.
    this.#plan(SOON_MS * this.#parts.random());
  }

  /** Gives back what it holds. May be called twice. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#parts.book.share(null);
    this.#timer?.cancel();
    this.#timer = null;
    await this.#running;
    for (const health of this.#parts.book.all) if (health.shared.permit !== null) health.shared.release();
    await this.#exchange().catch(() => undefined);
  }

  news(): void {
    if (this.#running === null) this.#plan(SOON_MS);
    else this.#again = true;
  }

  leaseOf(health: ModelHealth): number | null {
    const now = this.#parts.clock.now();
    if (!this.live) return now + this.#parts.leaseMs;
    const { permit, phase } = health.shared;
    return permit !== null && permit.phase === phase && now < permit.beginBy ? permit.until : null;
  }

  /** One look: what others say, what is to be told, what is to be asked for. */
  look(): Promise<void> {
    this.#running ??= this.#exchange()
      .then(
        () => this.#isBack(),
        (error: unknown) => this.#isAway(error),
      )
      .finally(() => {
        this.#running = null;
      });
    return this.#running;
  }

  async #exchange(): Promise<void> {
    const { board, book, clock } = this.#parts;
    const asked = clock.now();
    const rows = await board.read();
    const known = new Map<ModelHealth, SharedHealth>();
    for (const row of rows) {
      const health = book.ofShared(row);
      if (health !== null) known.set(health, row);
    }
    const changes: Change[] = [];
    for (const health of book.all) {
      const row = known.get(health) ?? unknownHealth(health.name, book.accountOf(health.provider));
      const change = this.#changeOf(health, row);
      if (change === null) health.adopt(row);
      else changes.push(change);
      if (health.shared.untold) this.#again = true;
    }
    await this.#tell(changes, known);
    await this.#askForLeases(known);
    // Only now: a store that can be read and not written gives nobody the right to probe.
    this.#heardAt = asked;
  }

  #changeOf(health: ModelHealth, row: SharedHealth): Change | null {
    const { self: by, clock } = this.#parts;
    const now = clock.now();
    const { permit } = health.shared;
    if (
      permit !== null &&
      (permit.phase !== row.phase || (permit.beginBy <= now && !health.breaker.probing))
    ) {
      health.shared.release();
      health.shared.restUntil = now + REST_MS;
    }
    const news = health.news(now, TTFT_EVERY_MS);
    const next = news === null ? null : withNews(row, news, { by, now });
    return news === null || next === null ? null : { health, news, next };
  }

  async #tell(changes: readonly Change[], known: Map<ModelHealth, SharedHealth>): Promise<void> {
    if (changes.length === 0) return;
    let answers: readonly (SharedHealth | null)[];
    try {
      answers = await this.#parts.board.swap(changes.map(({ next }) => next));
    } catch (error) {
      for (const { health, news } of changes) health.shared.putBack(news);
      throw error;
    }
    for (const [place, { health, news }] of changes.entries()) {
      const written = answers[place] ?? null;
      if (written === null) {
        // Somebody was quicker; what they said is read first.
        health.shared.putBack(news);
        this.#again = true;
      } else {
        health.adopt(written, { own: true });
        known.set(health, written);
      }
    }
  }

  async #askForLeases(known: ReadonlyMap<ModelHealth, SharedHealth>): Promise<void> {
    const { board, clock, self: by, leaseMs } = this.#parts;
    const wanted = [...known].filter(([health, row]) => this.#mayAsk(health, row)).slice(0, LEASES);
    for (const [health, { model, account, phase }] of wanted) {
      // From before it was asked: the database counts from later, so that ours ends first.
      const asked = clock.now();
      const leased = await board.lease({ model, account, phase, by, ms: leaseMs });
      if (leased === null) continue;
      health.adopt(leased);
      health.shared.permit = { phase, beginBy: asked + leaseMs * BEGIN_WITHIN, until: asked + leaseMs };
    }
  }

  #mayAsk(health: ModelHealth, row: SharedHealth): boolean {
    if (this.#stopped) return false;
    const now = this.#parts.clock.now();
    const { wantedAt, permit, restUntil } = health.shared;
    const wants = wantedAt !== null && now - wantedAt < WANTED_MS && permit === null && restUntil <= now;
    return wants && !health.breaker.probing && isProbeFree(row, this.#parts.self, now);
  }

  #isBack(): void {
    if (!this.#away) return;
    this.#away = false;
    this.#parts.log.info({}, "what other processes know of models is seen again");
  }

  #isAway(error: unknown): void {
    if (this.#away || this.#stopped) return;
    this.#away = true;
    const why = error instanceof Error ? error.message : String(error);
    this.#parts.log.warn({ error: why }, "models are judged by this process alone for a while");
  }

  #plan(ms: number): void {
    if (this.#stopped) return;
    const at = this.#parts.clock.now() + ms;
    if (this.#timer !== null && this.#timer.at <= at) return;
    this.#timer?.cancel();
    const cancel = this.#parts.clock.after(ms, () => {
      this.#timer = null;
      this.#again = false;
      void this.look().then(() => this.#plan(this.#again || this.#isEager() ? SOON_MS : LOOK_MS));
    });
    this.#timer = { at, cancel };
  }

  #isEager(): boolean {
    const now = this.#parts.clock.now();
    return (
      this.live &&
      this.#parts.book.all.some(({ shared, breaker }) => {
        const { wantedAt, permit } = shared;
        return (
          wantedAt !== null && now - wantedAt < LOOK_MS && permit === null && breaker.state === "half-open"
        );
      })
    );
  }
}
