import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { FailureError, failure } from "../../../domain/errors.ts";
import { storeFailure } from "./failures.ts";

export interface ConnectionOptions {
  readonly path: string;
  /** How long a statement waits for another process's write, in ms. */
  readonly busyTimeoutMs: number;
  readonly readOnly?: boolean;
}

/** Pages of the write-ahead log between two checkpoints (16 MB): fewer, larger checkpoints. */
const CHECKPOINT_PAGES = 4_000;
const CACHE_KIB = 65_536;

type Params = readonly SQLInputValue[];

/** One SQLite connection with its kept statements. Everything here is synchronous. */
export class Connection {
  readonly path: string;
  readonly busyTimeoutMs: number;
  readonly db: DatabaseSync;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;

  constructor(options: ConnectionOptions) {
    this.path = options.path;
    this.busyTimeoutMs = options.busyTimeoutMs;
    try {
      this.db = new DatabaseSync(options.path, {
        readOnly: options.readOnly ?? false,
        timeout: options.busyTimeoutMs,
      });
    } catch (error) {
      throw storeFailure(error, options.path);
    }
    try {
      this.#configure(options);
      this.#begin = this.db.prepare("BEGIN IMMEDIATE");
      this.#commit = this.db.prepare("COMMIT");
      this.#rollback = this.db.prepare("ROLLBACK");
    } catch (error) {
      // One left open would lend what it could not do (write) to every later connection of this process.
      this.db.close();
      throw storeFailure(error, options.path);
    }
  }

  #configure(options: ConnectionOptions): void {
    this.db.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
    if (options.readOnly) return;
    const { journal_mode: mode } = this.db.prepare("PRAGMA journal_mode = WAL").get() as {
      journal_mode: string;
    };
    if (mode !== "wal") {
      const message = `the database ${options.path} cannot use a write-ahead log; keep it on a local disk`;
      throw new FailureError(failure("unavailable", message));
    }
    this.db.exec("PRAGMA synchronous = FULL");
    this.db.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    // SQLite opens what it cannot write without a word: better refused now than at the first run.
    this.db.exec("BEGIN IMMEDIATE; CREATE TABLE writable (a); ROLLBACK");
  }

  /** A kept statement that changes rows; returns how many. */
  run(sql: string): (...params: Params) => number {
    const statement = this.db.prepare(sql);
    return (...params) => Number(statement.run(...params).changes);
  }

  /** A kept statement that inserts one row; returns its rowid. */
  insert(sql: string): (...params: Params) => number {
    const statement = this.db.prepare(sql);
    return (...params) => Number(statement.run(...params).lastInsertRowid);
  }

  one<Row>(sql: string): (...params: Params) => Row | undefined {
    const statement = this.db.prepare(sql);
    return (...params) => statement.get(...params) as Row | undefined;
  }

  many<Row>(sql: string): (...params: Params) => Row[] {
    const statement = this.db.prepare(sql);
    return (...params) => statement.all(...params) as Row[];
  }

  /** All of `work` or nothing of it. The write lock is taken at once, so that `work` cannot meet it half-way. */
  transaction<T>(work: () => T): T {
    this.#begin.run();
    try {
      const result = work();
      this.#commit.run();
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after some errors (full, I/O).
      if (this.db.isTransaction) this.#rollback.run();
      throw error;
    }
  }

  /**
   * As `transaction`, but without waiting for the disk: what the next durable commit does not carry is gone after a
   * power cut, and after nothing else. For what can be done again: a claim whose process died of the same cut.
   */
  relaxed<T>(work: () => T): T {
    this.db.exec("PRAGMA synchronous = NORMAL");
    try {
      return this.transaction(work);
    } finally {
      this.db.exec("PRAGMA synchronous = FULL");
    }
  }

  close(): void {
    if (this.db.isOpen) this.db.close();
  }
}
