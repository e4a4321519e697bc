/** What a driver waits on: anything that happened since it last looked, in order. One reader. */
export class Mailbox<T> {
  #items: T[] = [];
  #wake: (() => void) | null = null;

  push(item: T): void {
    this.#items.push(item);
    this.#wake?.();
  }

  /** Everything there is; waits for the first when there is nothing. */
  async take(): Promise<readonly T[]> {
    if (this.#items.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
    const items = this.#items;
    this.#items = [];
    return items;
  }
}
