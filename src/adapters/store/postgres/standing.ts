import type { Claim } from "../../../contracts/run-store.ts";

interface Offer {
  /** Runs it would take at once. */
  room: number;
  /** Admissions under way that may bring it a run. */
  entering: number;
  /** Leased to it with their admission; its next claim has them. */
  kept: Claim[];
}

export interface Taker {
  readonly worker: string;
  /** `null` when the run went to the queue, or nowhere: then the room is there again at the worker's next claim. */
  readonly settle: (claim: Claim | null) => void;
}

/** Workers of this process that wait for work, and what came for them: a new run need not go through the queue. */
export class Standing {
  readonly #offers = new Map<string, Offer>();

  /** What came since, and how many more the worker may be given now. Until it is offered again nothing comes. */
  collect(worker: string, limit: number): { readonly kept: readonly Claim[]; readonly left: number } {
    const offer = this.#offers.get(worker);
    if (offer === undefined) return { kept: [], left: limit };
    const { kept } = offer;
    offer.kept = [];
    offer.room = 0;
    return { kept, left: limit - kept.length - offer.entering };
  }

  offer(worker: string, room: number): void {
    const known = this.#offers.get(worker);
    if (known === undefined) this.#offers.set(worker, { room, entering: 0, kept: [] });
    else known.room = room;
  }

  /** A worker that has room, less of it until `settle`. */
  take(): Taker | null {
    for (const [worker, offer] of this.#offers) {
      if (offer.room <= 0) continue;
      offer.room -= 1;
      offer.entering += 1;
      const settle = (claim: Claim | null) => {
        offer.entering -= 1;
        if (claim !== null) offer.kept.push(claim);
      };
      return { worker, settle };
    }
    return null;
  }

  /** Whoever left is given nothing more; what was on its way is in the store, which knows that it left. */
  forget(worker: string): void {
    this.#offers.delete(worker);
  }
}
