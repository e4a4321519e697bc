import { FailureError, failure } from "../../../domain/errors.ts";
import {
  compatibleAt,
  judgeSchema,
  type MigrateMode,
  migrationsOf,
  type SchemaState,
} from "../sql/migrations.ts";
import type { Connection } from "./connection.ts";
import { storeFailure } from "./failures.ts";

/** Throws `store_incompatible` for a database of another program. */
export function schemaState(connection: Pick<Connection, "db" | "path">): SchemaState {
  const { db, path } = connection;
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  if (tables.length === 0) return { version: 0, compatible: 0, unfinished: false };
  if (!tables.some((table) => table.name === "meta")) {
    const message = `${path} is a database of another program; name another file, or move it away`;
    throw new FailureError(failure("store_incompatible", message));
  }
  const rows = db.prepare("SELECT key, value FROM meta").all();
  const meta = new Map(rows.map((row) => [String(row.key), Number(row.value)]));
  const version = meta.get("schema_version") ?? 0;
  const unfinished = tables.some((table) => table.name === "moving");
  return { version, compatible: meta.get("min_compatible") ?? version, unfinished };
}

/** Brings the schema to this binary's version (or to `to`), all or nothing. Forward only. */
export function migrate(
  connection: Connection,
  of: { readonly mode?: MigrateMode; readonly to?: number } = {},
): void {
  const known = migrationsOf("sqlite");
  const newest = of.to ?? known.at(-1)?.version ?? 0;
  const judge = () => {
    const state = schemaState(connection);
    // A new database is nobody's yet: nothing of anybody is changed by making it.
    const mode = state.version === 0 ? "auto" : (of.mode ?? "auto");
    return { ...state, step: judgeSchema(state, { newest, mode, database: connection.path }) };
  };
  try {
    if (judge().step === "none") return;
    connection.transaction(() => {
      // Another process may have migrated while this one waited for the lock.
      const { version, step } = judge();
      if (step === "none") return;
      connection.db.exec(
        "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
      );
      for (const migration of known) {
        if (migration.version > version && migration.version <= newest) connection.db.exec(migration.sql);
      }
      const note = connection.run("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)");
      note("schema_version", newest);
      note("min_compatible", compatibleAt("sqlite", newest));
    });
  } catch (error) {
    throw storeFailure(error, connection.path);
  }
}
