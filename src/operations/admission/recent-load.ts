import type { Clock } from "../../base/clock.ts";
import type { QueueLoad, RunReader } from "../../contracts/run-store.ts";
import { type Entry, type Load, withOneMore } from "../../domain/admission.ts";

export const RECENT_LOAD = {
  /** Asked for anew, while the old one still answers, from this age on. */
  freshMs: 50,
  /** Nobody is answered by an older one, if the store gives another. */
  staleMs: 1_000,
} as const;

/**
 * The load of the queue, read at most every `RECENT_LOAD.freshMs` however many ask, and with what this process let
 * in since then added: so that a refusal costs the store nothing.
 */
export class RecentLoad {
  readonly #parts: { readonly reader: Pick<RunReader, "load">; readonly clock: Clock };
  #known: QueueLoad | null = null;
  /** `#known` with what was let in since. */
  #grown: Load | null = null;
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | null = null;

  constructor(parts: { readonly reader: Pick<RunReader, "load">; readonly clock: Clock }) {
    this.#parts = parts;
  }

  /** Rejects only when there is no recent one and the store does not answer. */
  async get(): Promise<{ readonly load: Load; readonly store: QueueLoad }> {
    const age = Math.abs(this.#parts.clock.now() - this.#readAt);
    if (age > RECENT_LOAD.freshMs) {
      const reading = this.#read();
      if (age > RECENT_LOAD.staleMs) await reading;
      // Whoever is answered by the old one need not hear that the new one did not come.
      else reading.catch(() => undefined);
    }
    if (this.#known === null || this.#grown === null) throw new Error("the load was read and is not there");
    return { load: this.#grown, store: this.#known };
  }

  /** Something was let in. */
  add(entry: Pick<Entry, "tenant" | "priority">): void {
    if (this.#grown !== null) this.#grown = withOneMore(this.#grown, entry);
  }

  #read(): Promise<void> {
    this.#reading ??= this.#parts.reader
      .load(this.#parts.clock.now())
      .then((load) => {
        this.#known = load;
        this.#grown = load;
        this.#readAt = this.#parts.clock.now();
      })
      .finally(() => {
        this.#reading = null;
      });
    return this.#reading;
  }
}
