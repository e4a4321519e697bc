import type { StoreHint } from "../../../contracts/run-store.ts";
import type { Connection } from "./connection.ts";

export type CounterName =
  | "fence"
  | "vt"
  | "arrival"
  | "ready"
  | "queued"
  | "running"
  | "completed"
  | "failed"
  | "canceled";

export interface CounterTable {
  read(): Map<CounterName, number>;
  write(name: CounterName, value: number): void;
}

export function createCounterTable(connection: Connection): CounterTable {
  const rows = connection.many<{ name: CounterName; value: number }>("SELECT name, value FROM counter");
  const set = connection.run("UPDATE counter SET value = ? WHERE name = ?");
  return {
    read: () => new Map(rows().map((row) => [row.name, row.value])),
    write: (name, value) => void set(value, name),
  };
}

interface Mark {
  readonly counters: ReadonlyMap<CounterName, number> | null;
  readonly hints: number;
}

/** One transaction's own things: its sequence numbers, and what to tell others once it is durable. */
export class Transaction {
  readonly #table: CounterTable;
  #before: ReadonlyMap<CounterName, number> | null = null;
  #now: Map<CounterName, number> | null = null;
  readonly #hints: StoreHint[] = [];
  #saidReady = false;
  /** Unconsumed messages by run, of those that were counted. */
  readonly inboxSizes = new Map<number, number>();

  constructor(table: CounterTable) {
    this.#table = table;
  }

  /** The value after adding. Counters are read once a transaction, and only when one is needed. */
  add(name: CounterName, amount: number): number {
    if (this.#now === null) {
      this.#now = this.#table.read();
      this.#before = new Map(this.#now);
    }
    const value = (this.#now.get(name) ?? 0) + amount;
    this.#now.set(name, value);
    return value;
  }

  hint(hint: StoreHint): void {
    if (hint.kind === "ready") {
      if (this.#saidReady) return;
      this.#saidReady = true;
    }
    this.#hints.push(hint);
  }

  /** For a savepoint: what an entry did is undone with `reset`. */
  mark(): Mark {
    return { counters: this.#now === null ? null : new Map(this.#now), hints: this.#hints.length };
  }

  reset(mark: Mark): void {
    this.#now = mark.counters === null ? null : new Map(mark.counters);
    this.#hints.length = mark.hints;
    this.inboxSizes.clear();
    this.#saidReady = this.#hints.some((hint) => hint.kind === "ready");
  }

  /** Writes the counters back; the last thing before the commit. */
  finish(): void {
    for (const [name, value] of this.#now ?? []) {
      if (this.#before?.get(name) !== value) this.#table.write(name, value);
    }
  }

  get hints(): readonly StoreHint[] {
    return this.#hints;
  }
}
