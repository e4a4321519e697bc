import type { Commit, Committed, RunStore } from "../contracts/run-store.ts";
import { FailureError, failure } from "../domain/errors.ts";
import { LIMITS } from "../domain/limits.ts";

interface Waiting {
  readonly commit: Commit;
  readonly resolve: (committed: Committed) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Natural group commit: one flush is in flight, and what comes meanwhile is the next batch. No timer: an idle
 * store commits at once, a busy one in batches that grow with its load. Order is kept.
 */
export class GroupCommit {
  readonly #store: RunStore;
  readonly #defer: (run: () => void) => void;
  #queue: Waiting[] = [];
  #flushing = false;

  constructor(parts: { readonly store: RunStore; readonly defer: (run: () => void) => void }) {
    this.#store = parts.store;
    this.#defer = parts.defer;
  }

  /** Resolves when the entry is durable, fenced or refused; rejects when the store as a whole failed. */
  append(commit: Commit): Promise<Committed> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ commit, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#flushing || this.#queue.length === 0) return;
    this.#flushing = true;
    this.#defer(() => {
      void this.#flush();
    });
  }

  async #flush(): Promise<void> {
    const batch = this.#queue.splice(0, LIMITS.commitBatch);
    try {
      const results = await this.#store.commit(batch.map((waiting) => waiting.commit));
      batch.forEach((waiting, index) => {
        const result = results[index];
        if (result) waiting.resolve(result);
        else
          waiting.reject(
            new FailureError(failure("internal", "the store left an entry of a batch unanswered")),
          );
      });
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    } finally {
      this.#flushing = false;
      this.#schedule();
    }
  }
}
