import type { Clock } from "../../base/clock.ts";
import type { QueueLoad, RunReader } from "../../contracts/run-store.ts";
import { type Entry, type Load, withOneMore } from "../../domain/admission.ts";
import { Arrivals } from "./arrivals.ts";

export const RECENT_LOAD = {
  /** Asked for anew, while the old one still answers, from this age on. */
  freshMs: 50,
  /** From this age on, whoever asks waits for the new one, for a while. */
  staleMs: 100,
  waitMs: 25,
  /** Nobody is answered by an older one, however long the store takes. */
  voidMs: 2_000,
} as const;

export interface Seen {
  /** With what this process let in since. */
  readonly load: Load;
  /** As the store said it. */
  readonly store: QueueLoad;
}

/**
 * The load of the queue, read at most every `RECENT_LOAD.freshMs` however many ask, and with what this process let
 * in since then added: so that a refusal costs the store nothing.
 */
export class RecentLoad {
  readonly #parts: { readonly reader: Pick<RunReader, "load">; readonly clock: Clock };
  readonly #arrivals = new Arrivals();
  #known: QueueLoad | null = null;
  /** `#known` with what was let in since. */
  #grown: Load | null = null;
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | null = null;
  #reads = 0;
  readonly #ghosts = new Set<Ghost>();
  #entering = 0;

  constructor(parts: { readonly reader: Pick<RunReader, "load">; readonly clock: Clock }) {
    this.#parts = parts;
  }

  /** Rejects only when there is no recent one and the store does not answer. */
  async get(): Promise<Seen> {
    const age = Math.abs(this.#parts.clock.now() - this.#readAt);
    if (age > RECENT_LOAD.freshMs) {
      const reading = this.#read();
      if (age > RECENT_LOAD.voidMs) await reading;
      else if (age > RECENT_LOAD.staleMs) await this.#within(reading);
      // Whoever is answered by the old one need not hear that the new one did not come.
      else reading.catch(() => undefined);
    }
    return this.#seen();
  }

  /** As it is now; many who ask at once are answered by one look. */
  async fresh(): Promise<Seen> {
    await this.#read();
    return this.#seen();
  }

  /** Runs that are on their way into the store. */
  get entering(): number {
    return this.#entering;
  }

  /** Something is let in: it counts from now on. What is given back is called with the store's answer. */
  enter(entry: Pick<Entry, "tenant" | "priority">): (taken: boolean) => void {
    const ghost: Ghost = { entry, inStoreSince: null };
    this.#ghosts.add(ghost);
    this.#entering += 1;
    if (this.#grown !== null) this.#grown = withOneMore(this.#grown, entry);
    return (taken) => {
      this.#entering -= 1;
      if (taken) {
        ghost.inStoreSince = this.#reads;
        this.#arrivals.add(entry.priority, this.#parts.clock.now());
      } else this.#ghosts.delete(ghost);
    };
  }

  #seen(): Seen {
    if (this.#known === null || this.#grown === null) throw new Error("the load was read and is not there");
    const arriving = this.#arrivals.perSecond(this.#parts.clock.now());
    return { load: { ...this.#grown, arriving }, store: this.#known };
  }

  /** A busy store must not make refusals slow. */
  async #within(reading: Promise<void>): Promise<void> {
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const cancel = this.#parts.clock.after(RECENT_LOAD.waitMs, resolve);
    await Promise.race([reading.catch(() => undefined), over]);
    cancel();
  }

  #read(): Promise<void> {
    if (this.#reading !== null) return this.#reading;
    this.#reads += 1;
    const read = this.#reads;
    this.#reading = this.#parts.reader
      .load(this.#parts.clock.now())
      .then((load) => {
        this.#known = load;
        this.#readAt = this.#parts.clock.now();
        let grown: Load = load;
        for (const ghost of this.#ghosts) {
          // What was in the store when it was asked is in its answer.
          if (ghost.inStoreSince !== null && ghost.inStoreSince < read) this.#ghosts.delete(ghost);
          else grown = withOneMore(grown, ghost.entry);
        }
        this.#grown = grown;
      })
      .finally(() => {
        this.#reading = null;
      });
    return this.#reading;
  }
}

/** A run that was let in, and that the store did not count when it was last asked. */
interface Ghost {
  readonly entry: Pick<Entry, "tenant" | "priority">;
  /** The number of looks at the store when it had taken the run; `null` while it has not. */
  inStoreSince: number | null;
}
