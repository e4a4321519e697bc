import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { FailureError, failure } from "../../../domain/errors.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { isProcessGone } from "../sql/process.ts";
import { Connection } from "../sqlite/connection.ts";
import { storeFailure } from "../sqlite/failures.ts";
import { migrate, schemaState } from "../sqlite/migrate.ts";
import type { Details, Progress, Sequences, Source, Target } from "./ends.ts";
import { movedOn, type Step, unmoved } from "./progress.ts";
import { type Cell, type Row, type Table, tablesAt } from "./tables.ts";

const BUSY_MS = 5_000;
/** By the index of each status: a history of millions is not looked at. */
const OLDEST_OPEN = `SELECT id, created_at FROM (
    SELECT * FROM (SELECT no, id, created_at FROM run WHERE status = 'queued' ORDER BY no LIMIT 1)
    UNION ALL SELECT * FROM (SELECT no, id, created_at FROM run WHERE status = 'running' ORDER BY no LIMIT 1))
  ORDER BY no LIMIT 1`;

/** Statements of one table, as its rows are asked for. */
class Reader {
  readonly #db: DatabaseSync;
  readonly #kept = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  #statement(sql: string): StatementSync {
    const kept = this.#kept.get(sql) ?? this.#db.prepare(sql);
    kept.setReturnArrays(true);
    this.#kept.set(sql, kept);
    return kept;
  }

  read({ name, columns, key }: Table, after: Row | null, limit: number): readonly Row[] {
    const order = key.join(", ");
    const where = after === null ? "" : `WHERE (${order}) > (${key.map(() => "?").join(", ")})`;
    const list = columns.map((column) => column.name).join(", ");
    const select = this.#statement(`SELECT ${list} FROM ${name} ${where} ORDER BY ${order} LIMIT ?`);
    const rows = select.all(...((after ?? []) as SQLInputValue[]), limit) as unknown as Cell[][];
    const truths = columns.flatMap(({ type }, at) => (type === "bool" ? [at] : []));
    for (const row of rows) for (const at of truths) row[at] = row[at] === 1;
    return rows;
  }

  one(sql: string): number {
    const [value] = (this.#statement(sql).get() as unknown as (number | null)[] | undefined) ?? [];
    return value ?? 0;
  }

  sequences(): Sequences {
    const counter = (name: string) => this.one(`SELECT value FROM counter WHERE name = '${name}'`);
    return {
      fence: counter("fence"),
      arrival: counter("arrival"),
      vt: Math.max(counter("vt"), this.one("SELECT max(vt) FROM run")),
      run: this.one("SELECT max(no) FROM run"),
      approval: this.one("SELECT max(ord) FROM approval"),
    };
  }
}

interface WorkerRow {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly process_start: string;
}

/** Workers that beat, and whose process lives as far as this machine can tell. */
function liveWorkers(db: DatabaseSync): readonly string[] {
  const asked = db.prepare("SELECT id, host, pid, process_start FROM worker WHERE beat_at >= ? ORDER BY id");
  const rows = asked.all(Date.now() - LIMITS.leaseTtlMs) as unknown as WorkerRow[];
  return rows
    .filter((row) => row.host !== hostname() || !isProcessGone(row.pid, row.process_start))
    .map((row) => `worker ${row.id} (pid ${row.pid} on ${row.host})`);
}

/** What a database that is read and one that is written have in common. */
class SqliteEnd implements Source {
  readonly name: string;
  readonly path: string;
  readonly db: DatabaseSync;
  readonly #reader: Reader;

  constructor(path: string, db: DatabaseSync) {
    this.path = resolve(path);
    this.name = `sqlite:${this.path}`;
    this.db = db;
    this.#reader = new Reader(db);
  }

  get schema(): number {
    return schemaState(this).version;
  }

  /** What SQLite throws becomes a failure of the catalogue. */
  async guarded<T>(work: () => T): Promise<T> {
    try {
      return work();
    } catch (error) {
      throw storeFailure(error, this.path);
    }
  }

  read(table: Table, after: Row | null, limit: number): Promise<readonly Row[]> {
    return this.guarded(() => this.#reader.read(table, after, limit));
  }

  count(table: Table): Promise<number> {
    return this.guarded(() => this.#reader.one(`SELECT count(*) FROM ${table.name}`));
  }

  fingerprint(): Promise<string> {
    return this.guarded(() => {
      const counts = tablesAt(this.schema)
        .filter(({ name }) => name !== "worker")
        .map(({ name }) => this.#reader.one(`SELECT count(*) FROM ${name}`));
      return JSON.stringify([this.schema, counts, Object.values(this.#reader.sequences())]);
    });
  }

  sequences(): Promise<Sequences> {
    return this.guarded(() => this.#reader.sequences());
  }

  details(): Promise<Details> {
    return this.guarded(() => {
      const pages = (pragma: string) =>
        Number(Object.values(this.db.prepare(`PRAGMA ${pragma}`).get() ?? {})[0]);
      const runs = this.db.prepare("SELECT status, count(*) AS count FROM run GROUP BY status").all();
      const oldest = this.db.prepare(OLDEST_OPEN).get() as { id: string; created_at: number } | undefined;
      return {
        bytes: pages("page_count") * pages("page_size"),
        runs: Object.fromEntries(runs.map((row) => [String(row.status), Number(row.count)])),
        facts: this.#reader.one("SELECT count(*) FROM journal"),
        oldestOpen: oldest === undefined ? null : { ...oldest },
      };
    });
  }

  users(): Promise<readonly string[]> {
    return this.guarded(() => liveWorkers(this.db));
  }

  async renew(): Promise<void> {}

  async close(): Promise<void> {
    if (this.db.isOpen) this.db.close();
  }
}

class SqliteSource extends SqliteEnd {
  override renew(): Promise<void> {
    return this.guarded(() => {
      if (this.db.isTransaction) this.db.exec("ROLLBACK");
      this.db.exec("BEGIN");
      // The snapshot is taken by the first read.
      this.db.prepare("SELECT count(*) FROM meta").get();
    });
  }
}

/** Opens a file that is there, to be read only. Rejects with `not_found` or what the file is instead. */
export async function openSqliteSource(path: string): Promise<Source> {
  if (!existsSync(path)) throw new FailureError(failure("not_found", `there is no file ${resolve(path)}`));
  try {
    const source = new SqliteSource(path, new DatabaseSync(path, { readOnly: true, timeout: BUSY_MS }));
    await source.renew();
    return source;
  } catch (error) {
    throw storeFailure(error, path);
  }
}

const PROGRESS = "SELECT value FROM moving WHERE key = 'progress'";

class SqliteTarget extends SqliteEnd implements Target {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    super(connection.path, connection.db);
    this.#connection = connection;
  }

  #noted(): string | null {
    const there = this.db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'moving'").get();
    const row = there === undefined ? undefined : this.db.prepare(PROGRESS).get();
    return row === undefined ? null : String(row.value);
  }

  progress(): Promise<Progress | null> {
    return this.guarded(() => {
      const noted = this.#noted();
      return noted === null ? null : (JSON.parse(noted) as Progress);
    });
  }

  begin(first: Progress): Promise<void> {
    return this.guarded(() =>
      this.#connection.transaction(() => {
        this.db.exec("CREATE TABLE moving (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID");
        this.db.prepare("INSERT INTO moving (key, value) VALUES ('progress', ?)").run(JSON.stringify(first));
      }),
    );
  }

  write(table: Table, rows: readonly Row[], step: Step): Promise<void> {
    return this.guarded(() =>
      this.#connection.transaction(() => {
        this.#advance(step);
        this.#withoutLaws(table, () => {
          const { columns } = table;
          const list = columns.map((column) => column.name).join(", ");
          const marks = columns.map(() => "?").join(", ");
          const insert = this.db.prepare(`INSERT INTO ${table.name} (${list}) VALUES (${marks})`);
          for (const row of rows)
            insert.run(...row.map((cell) => (typeof cell === "boolean" ? Number(cell) : cell)));
        });
      }),
    );
  }

  #advance({ from, to }: Step): void {
    if (this.#noted() !== JSON.stringify(from)) throw movedOn(this.name);
    this.db.prepare("UPDATE moving SET value = ? WHERE key = 'progress'").run(JSON.stringify(to));
  }

  /** The laws judge how rows come to be; these were judged in the source. They are back before anybody can see it. */
  #withoutLaws(table: Table, work: () => void): void {
    const asked = this.db.prepare(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?",
    );
    const triggers = asked.all(table.name);
    for (const { name } of triggers) this.db.exec(`DROP TRIGGER ${String(name)}`);
    work();
    for (const { sql } of triggers) this.db.exec(String(sql));
  }

  settle({ fence, arrival, vt, run }: Sequences, step: Step): Promise<void> {
    return this.guarded(() =>
      this.#connection.transaction(() => {
        this.#advance(step);
        const set = this.db.prepare("UPDATE counter SET value = ? WHERE name = ?");
        // In PostgreSQL a run's number is its virtual time: here new runs begin above both.
        const given = { fence, arrival, vt: Math.max(vt, run) };
        for (const [name, value] of Object.entries(given)) set.run(value, name);
        const status = this.db.prepare("SELECT count(*) AS count FROM run WHERE status = ?");
        for (const name of ["queued", "running", "completed", "failed", "canceled"]) {
          set.run(Number(status.get(name)?.count), name);
        }
        set.run(Number(this.db.prepare("SELECT count(*) AS count FROM ready").get()?.count), "ready");
      }),
    );
  }

  finish(): Promise<void> {
    return this.guarded(() => {
      this.db.exec("DROP TABLE moving");
      migrate(this.#connection);
      this.db.exec("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)");
    });
  }

  override async close(): Promise<void> {
    this.#connection.close();
  }
}

/** Opens the file, or makes it with the given schema. Rejects when it is not empty and no copy of ours. */
export async function openSqliteTarget(path: string, schema: number): Promise<Target> {
  const connection = new Connection({ path, busyTimeoutMs: BUSY_MS });
  try {
    const { version } = schemaState(connection);
    if (version === 0) migrate(connection, { to: schema });
    const target = new SqliteTarget(connection);
    await unmoved(target, schema);
    return target;
  } catch (error) {
    connection.close();
    throw storeFailure(error, path);
  }
}
