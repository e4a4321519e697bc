import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { Unserved } from "../../../contracts/run-store.ts";
import { newestSchema, type SchemaState } from "../sql/migrations.ts";
import { Connection } from "./connection.ts";
import { schemaState } from "./migrate.ts";
import { createRunReader } from "./reader.ts";

export interface SqliteState {
  /** Of the SQLite library in this Node. */
  readonly library: string;
  /** Of the database at `path`; `null` when there is none yet. */
  readonly schema: SchemaState | null;
  /** What this agent-runner makes of it. */
  readonly newest: number;
}

/** What is there, without changing it. Throws what SQLite says of a file that is no database of ours. */
export function inspectSqlite(path: string): SqliteState {
  const there = existsSync(path);
  const db = there ? new DatabaseSync(path, { readOnly: true }) : new DatabaseSync(":memory:");
  try {
    const { library } = db.prepare("SELECT sqlite_version() AS library").get() as { library: string };
    return { library, schema: there ? schemaState({ db, path }) : null, newest: newestSchema("sqlite") };
  } finally {
    db.close();
  }
}

const BUSY_MS = 3_000;

/** Runs that no live worker can take; of a database with this binary's schema. */
export async function unservedInSqlite(path: string): Promise<readonly Unserved[]> {
  const connection = new Connection({ path, busyTimeoutMs: BUSY_MS, readOnly: true });
  try {
    return await createRunReader(connection).unserved();
  } finally {
    connection.close();
  }
}
