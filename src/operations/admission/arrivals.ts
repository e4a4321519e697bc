const WINDOW_S = 5;
const SECOND = 1_000;

/** How many runs of each priority were let in a second, over the last seconds. */
export class Arrivals {
  /** By second since the epoch: runs let in, by priority. */
  readonly #seconds = new Map<number, Map<number, number>>();

  add(priority: number, now: number): void {
    const second = Math.floor(now / SECOND);
    const counts = this.#seconds.get(second) ?? new Map<number, number>();
    counts.set(priority, (counts.get(priority) ?? 0) + 1);
    this.#seconds.set(second, counts);
    for (const old of this.#seconds.keys()) {
      // A clock that jumped back leaves seconds that are yet to come; they go too.
      if (old <= second - WINDOW_S || old > second) this.#seconds.delete(old);
    }
  }

  perSecond(now: number): readonly { readonly priority: number; readonly perSecond: number }[] {
    const since = now / SECOND - WINDOW_S;
    let first = now / SECOND;
    const sums = new Map<number, number>();
    for (const [second, counts] of this.#seconds) {
      if (second < since || second * SECOND > now) continue;
      first = Math.min(first, second);
      for (const [priority, count] of counts) sums.set(priority, (sums.get(priority) ?? 0) + count);
    }
    // A flood that has just begun is not thinned by the silence before it.
    const seconds = Math.min(WINDOW_S, Math.max(1, now / SECOND - first));
    return [...sums].map(([priority, count]) => ({ priority, perSecond: count / seconds }));
  }
}
