/** Second attempts per call, in the long run. */
const SHARE = 0.05;
/** Saved up for a bad moment. */
const MAX_SAVED = 10;

/** Lets at most `SHARE` of all calls be hedged, and no burst of more than `MAX_SAVED`. */
export class HedgeBudget {
  #saved = 0;

  /** For every call. */
  earn(): void {
    this.#saved = Math.min(MAX_SAVED, this.#saved + SHARE);
  }

  spend(): boolean {
    if (this.#saved < 1) return false;
    this.#saved -= 1;
    return true;
  }
}
