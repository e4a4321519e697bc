import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { FailureError, failure } from "../../domain/errors.ts";
import type { Extracted, FileFacts } from "./facts.ts";
import { decodeFacts, encodeFacts } from "./facts-codec.ts";
import type { OutlineEntry } from "./outline.ts";

const BUSY_TIMEOUT_MS = 5_000;
const DAY_MS = 86_400_000;
/** Rows above which those unused for longest go, down to nine tenths. One blob takes 3 to 5 KB. */
const DEFAULT_MAX_ROWS = 600_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS blobs (
    key TEXT PRIMARY KEY,
    used INTEGER NOT NULL,
    facts BLOB NOT NULL,
    outline TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS blobs_used ON blobs (used);
  CREATE TABLE IF NOT EXISTS commits (
    key TEXT PRIMARY KEY,
    used INTEGER NOT NULL,
    record TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS commits_used ON commits (used);
`;

export interface CacheOptions {
  /** Folder of the cache; made when it is absent. */
  readonly dir: string;
  /** What the facts depend on besides the blob: another version never sees them. */
  readonly version: string;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly maxRows?: number;
}

/**
 * Facts by blob hash, and commits by their hash, in one SQLite file. Both never change, so writers of several
 * processes can only write the same. Losing the file costs time, nothing else: a damaged one is made anew.
 */
export class FactsCache {
  readonly #options: CacheOptions;
  readonly #db: DatabaseSync;
  readonly #readFacts: StatementSync;
  readonly #readOutline: StatementSync;
  readonly #readCommit: StatementSync;
  #closed = false;

  private constructor(options: CacheOptions, db: DatabaseSync) {
    this.#options = options;
    this.#db = db;
    this.#readFacts = db.prepare("SELECT used, facts FROM blobs WHERE key = ?");
    this.#readOutline = db.prepare("SELECT outline FROM blobs WHERE key = ?");
    this.#readCommit = db.prepare("SELECT used, record FROM commits WHERE key = ?");
  }

  static open(options: CacheOptions): FactsCache {
    const file = fileOf(options);
    try {
      mkdirSync(options.dir, { recursive: true });
      try {
        return new FactsCache(options, openDatabase(file));
      } catch (error) {
        if (!isDamage(error)) throw error;
        removeDatabase(file);
        return new FactsCache(options, openDatabase(file));
      }
    } catch (error) {
      throw cacheFailure(error, file);
    }
  }

  /** Removes a cache whose file turned out to be damaged; the next one to open it makes it anew. */
  static discard(options: CacheOptions): void {
    try {
      removeDatabase(fileOf(options));
    } catch (error) {
      throw cacheFailure(error, options.dir);
    }
  }

  /** Facts of a blob, or `null`. `touched` collects the keys whose day of use is to be written. */
  facts(key: string, touched: string[]): FileFacts | null {
    const row = this.#readFacts.get(key);
    if (row === undefined || !(row.facts instanceof Uint8Array)) return null;
    if (row.used !== this.#today()) touched.push(key);
    return decodeFacts(row.facts);
  }

  outline(key: string): readonly OutlineEntry[] {
    const row = this.#readOutline.get(key);
    if (row === undefined) return [];
    const rows = JSON.parse(String(row.outline)) as readonly (readonly [string, string, number, string])[];
    return rows.map(([name, kind, line, signature]) => ({ name, kind, line, signature }));
  }

  commit(key: string, touched: string[]): string | null {
    const row = this.#readCommit.get(key);
    if (row === undefined) return null;
    if (row.used !== this.#today()) touched.push(key);
    return String(row.record);
  }

  writeFacts(rows: readonly (readonly [key: string, extracted: Extracted])[]): void {
    const insert = this.#db.prepare(
      "INSERT OR REPLACE INTO blobs (key, used, facts, outline) VALUES (?, ?, ?, ?)",
    );
    this.#write(() => {
      for (const [key, { facts, outline }] of rows) {
        const rows = outline.map(({ name, kind, line, signature }) => [name, kind, line, signature]);
        insert.run(key, this.#today(), encodeFacts(facts), JSON.stringify(rows));
      }
    });
  }

  writeCommits(rows: readonly (readonly [key: string, record: string])[]): void {
    const insert = this.#db.prepare("INSERT OR REPLACE INTO commits (key, used, record) VALUES (?, ?, ?)");
    this.#write(() => {
      for (const [key, record] of rows) insert.run(key, this.#today(), record);
    });
  }

  /** Notes the day of use, and lets what was unused for longest go when there is too much. */
  touch(blobs: readonly string[], commits: readonly string[]): void {
    const today = this.#today();
    this.#write(() => {
      for (const [table, keys] of [
        ["blobs", blobs],
        ["commits", commits],
      ] as const) {
        const mark = this.#db.prepare(`UPDATE ${table} SET used = ? WHERE key = ?`);
        for (const key of keys) mark.run(today, key);
        this.#prune(table);
      }
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#db.close();
  }

  #prune(table: "blobs" | "commits"): void {
    const maxRows = this.#options.maxRows ?? DEFAULT_MAX_ROWS;
    const rows = Number(this.#db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n ?? 0);
    if (rows <= maxRows) return;
    const surplus = rows - Math.floor(maxRows * 0.9);
    this.#db
      .prepare(`DELETE FROM ${table} WHERE key IN (SELECT key FROM ${table} ORDER BY used, key LIMIT ?)`)
      .run(surplus);
  }

  #write(work: () => void): void {
    try {
      this.#db.exec("BEGIN IMMEDIATE");
      try {
        work();
        this.#db.exec("COMMIT");
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
        throw error;
      }
    } catch (error) {
      throw isDamage(error) ? error : cacheFailure(error, this.#options.dir);
    }
  }

  #today(): number {
    return Math.floor(this.#options.now() / DAY_MS);
  }
}

function fileOf(options: CacheOptions): string {
  return path.join(options.dir, `repo-context-${options.version}.sqlite`);
}

function removeDatabase(file: string): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true });
}

function openDatabase(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
  try {
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
    db.exec(SCHEMA);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** SQLite's result code, without the extended part; 0 when the error is not SQLite's. */
function sqliteCode(error: unknown): number {
  const code = (error as { readonly errcode?: unknown }).errcode;
  return typeof code === "number" ? code & 0xff : 0;
}

/** Whether an error says that the file is no sound database. */
export function isDamage(error: unknown): boolean {
  const SQLITE_CORRUPT = 11;
  const SQLITE_NOTADB = 26;
  return sqliteCode(error) === SQLITE_CORRUPT || sqliteCode(error) === SQLITE_NOTADB;
}

function cacheFailure(error: unknown, file: string): FailureError {
  const SQLITE_BUSY = 5;
  const SQLITE_READONLY = 8;
  const SQLITE_FULL = 13;
  const SQLITE_CANTOPEN = 14;
  const sqlite = sqliteCode(error);
  const system = (error as NodeJS.ErrnoException).code;
  const message = `cacheDir: ${file}: ${error instanceof Error ? error.message : String(error)}`;
  if (sqlite === SQLITE_FULL || system === "ENOSPC") return new FailureError(failure("disk_full", message));
  if (sqlite === SQLITE_BUSY) return new FailureError(failure("unavailable", message));
  const shut = sqlite === SQLITE_READONLY || sqlite === SQLITE_CANTOPEN;
  if (shut || system === "EACCES" || system === "EROFS" || system === "EPERM") {
    return new FailureError(failure("read_only", message));
  }
  return new FailureError(failure("internal", message));
}
