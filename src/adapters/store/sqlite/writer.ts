import type { Failure } from "../../../domain/errors.ts";
import type { Connection } from "./connection.ts";
import { entryFault, storeFailure } from "./failures.ts";
import { createHints, type Hints } from "./hints.ts";
import { createCounterTable, Transaction } from "./transaction.ts";

/** What all verbs share: one write transaction at a time, then the hints. */
export class Writer {
  readonly connection: Connection;
  readonly hints: Hints;
  readonly #counters;
  readonly #savepoint;
  readonly #release;
  readonly #undo;

  constructor(connection: Connection) {
    this.connection = connection;
    this.hints = createHints(connection);
    this.#counters = createCounterTable(connection);
    this.#savepoint = connection.run("SAVEPOINT entry");
    this.#release = connection.run("RELEASE entry");
    this.#undo = connection.run("ROLLBACK TO entry");
  }

  #transact<T>(work: (tx: Transaction) => T, durable = true): T {
    const tx = new Transaction(this.#counters);
    const whole = () => {
      const value = work(tx);
      tx.finish();
      return value;
    };
    const result = durable ? this.connection.transaction(whole) : this.connection.relaxed(whole);
    this.hints.publish(tx.hints);
    return result;
  }

  write<T>(work: (tx: Transaction) => T): T {
    try {
      return this.#transact(work);
    } catch (error) {
      throw storeFailure(error, this.connection.path);
    }
  }

  /** For what a power cut may take back: see `Connection.relaxed`. */
  relaxed<T>(work: (tx: Transaction) => T): T {
    try {
      return this.#transact(work, false);
    } catch (error) {
      throw storeFailure(error, this.connection.path);
    }
  }

  read<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw storeFailure(error, this.connection.path);
    }
  }

  /**
   * All entries in one transaction. Only when one of them breaks a constraint is the batch done again with a
   * savepoint for each, so that the good path pays nothing and a poisoned entry does not fail its neighbours.
   */
  batch<Entry, Answer>(
    entries: readonly Entry[],
    apply: (tx: Transaction, entry: Entry) => Answer,
    refuse: (failure: Failure) => Answer,
  ): Answer[] {
    if (entries.length === 0) return [];
    try {
      return this.#transact((tx) => entries.map((entry) => apply(tx, entry)));
    } catch (error) {
      const fault = entryFault(error);
      if (fault === null) throw storeFailure(error, this.connection.path);
      if (entries.length === 1) return [refuse(fault)];
    }
    return this.write((tx) => entries.map((entry) => this.#alone(tx, () => apply(tx, entry), refuse)));
  }

  #alone<Answer>(tx: Transaction, apply: () => Answer, refuse: (failure: Failure) => Answer): Answer {
    const mark = tx.mark();
    this.#savepoint();
    try {
      const answer = apply();
      this.#release();
      return answer;
    } catch (error) {
      const fault = entryFault(error);
      if (fault === null) throw error;
      this.#undo();
      this.#release();
      tx.reset(mark);
      return refuse(fault);
    }
  }
}
