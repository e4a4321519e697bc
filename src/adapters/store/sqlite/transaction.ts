import type { StoreHint } from "../../../contracts/run-store.ts";
import { type Served, serve } from "../../../domain/service-rate.ts";
import type { Connection } from "./connection.ts";

export type CounterName =
  | "fence"
  | "arrival"
  | "ready"
  | "parked"
  | "queued"
  | "running"
  | "completed"
  | "failed"
  | "canceled"
  | "dropped"
  | "refused_queue"
  | "refused_tenant"
  | "refused_conflict";

export interface CounterTable {
  read(): Map<CounterName, number>;
  write(name: CounterName, value: number): void;
  readServed(): Served;
  writeServed(served: Served): void;
}

export function createCounterTable(connection: Connection): CounterTable {
  const rows = connection.many<{ name: CounterName; value: number }>("SELECT name, value FROM counter");
  const set = connection.run("UPDATE counter SET value = ? WHERE name = ?");
  const served = connection.one<Served>("SELECT runs, ms, at FROM served WHERE id = 1");
  const setServed = connection.run("UPDATE served SET runs = ?, ms = ?, at = ? WHERE id = 1");
  return {
    read: () => new Map(rows().map((row) => [row.name, row.value])),
    write: (name, value) => void set(value, name),
    readServed: () => served() ?? { runs: 0, ms: 0, at: 0 },
    writeServed: ({ runs, ms, at }) => void setServed(runs, ms, at),
  };
}

interface Mark {
  readonly counters: ReadonlyMap<CounterName, number> | null;
  readonly hints: number;
  readonly served: readonly Served[];
}

/** One transaction's own things: its sequence numbers, and what to tell others once it is durable. */
export class Transaction {
  readonly #table: CounterTable;
  #before: ReadonlyMap<CounterName, number> | null = null;
  #now: Map<CounterName, number> | null = null;
  readonly #hints: StoreHint[] = [];
  #served: Served[] = [];
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

  /** A run was driven: see domain/service-rate.ts. */
  serve(more: Served): void {
    this.#served.push(more);
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
    const counters = this.#now === null ? null : new Map(this.#now);
    return { counters, hints: this.#hints.length, served: [...this.#served] };
  }

  reset(mark: Mark): void {
    this.#now = mark.counters === null ? null : new Map(mark.counters);
    this.#hints.length = mark.hints;
    this.#served = [...mark.served];
    this.inboxSizes.clear();
    this.#saidReady = this.#hints.some((hint) => hint.kind === "ready");
  }

  /** Writes the counters back; the last thing before the commit. */
  finish(): void {
    for (const [name, value] of this.#now ?? []) {
      if (this.#before?.get(name) !== value) this.#table.write(name, value);
    }
    if (this.#served.length > 0) {
      this.#table.writeServed(this.#served.reduce(serve, this.#table.readServed()));
    }
  }

  get hints(): readonly StoreHint[] {
    return this.#hints;
  }
}
