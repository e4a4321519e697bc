import type { StoreHint } from "../../../contracts/run-store.ts";

/** Those who asked to be told. */
export class Listeners {
  readonly #all = new Set<(hint: StoreHint) => void>();

  get size(): number {
    return this.#all.size;
  }

  /** Returns the unsubscribe. One function given twice is two listeners. */
  add(listener: (hint: StoreHint) => void): () => void {
    const own = (hint: StoreHint) => listener(hint);
    this.#all.add(own);
    return () => void this.#all.delete(own);
  }

  tell(hint: StoreHint): void {
    // In a task of its own: what a listener throws is its own crash, and never undoes or fails a commit.
    for (const listener of this.#all) queueMicrotask(() => listener(hint));
  }

  clear(): void {
    this.#all.clear();
  }
}
