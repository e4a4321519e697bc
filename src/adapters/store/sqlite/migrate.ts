import { FailureError, failure } from "../../../domain/errors.ts";
import { migrationsOf, refuseNewer } from "../sql/migrations.ts";
import type { Connection } from "./connection.ts";
import { storeFailure } from "./failures.ts";

function currentVersion(connection: Connection): number {
  const tables = connection.many<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'")();
  if (tables.length === 0) return 0;
  if (!tables.some((table) => table.name === "meta")) {
    const message = `${connection.path} is a database of another program; name another file, or move it away`;
    throw new FailureError(failure("store_incompatible", message));
  }
  const row = connection.one<{ value: number }>("SELECT value FROM meta WHERE key = 'schema_version'")();
  return row?.value ?? 0;
}

/** Brings the schema to this binary's version, all or nothing. Forward only. */
export function migrate(connection: Connection): void {
  const known = migrationsOf("sqlite");
  const newest = known.at(-1)?.version ?? 0;
  try {
    const version = currentVersion(connection);
    refuseNewer(version, newest, connection.path);
    if (version === newest) return;
    connection.transaction(() => {
      // Another process may have migrated while this one waited for the lock.
      const from = currentVersion(connection);
      refuseNewer(from, newest, connection.path);
      connection.db.exec(
        "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
      );
      for (const migration of known) if (migration.version > from) connection.db.exec(migration.sql);
      connection.run("INSERT OR REPLACE INTO meta (key, value) VALUES ('schema_version', ?)")(newest);
    });
  } catch (error) {
    throw storeFailure(error, connection.path);
  }
}
