import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { FailureError, failure } from "../../../domain/errors.ts";
import type { Connection } from "./connection.ts";
import { storeFailure } from "./failures.ts";

/** The same depth from `src/` and from `dist/`. */
const FOLDER = new URL("../../../../migrations/", import.meta.url);
const FILE = /^(\d{4})-[a-z0-9-]+\.sqlite\.sql$/;

interface Migration {
  readonly version: number;
  readonly sql: string;
}

function migrations(): readonly Migration[] {
  const found: Migration[] = [];
  for (const name of readdirSync(fileURLToPath(FOLDER)).sort()) {
    const version = FILE.exec(name)?.[1];
    if (version === undefined) continue;
    found.push({ version: Number(version), sql: readFileSync(new URL(name, FOLDER), "utf8") });
  }
  if (found.length === 0) {
    throw new FailureError(
      failure("internal", `no migrations in ${fileURLToPath(FOLDER)}; reinstall agent-runner`),
    );
  }
  return found;
}

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
  const known = migrations();
  const newest = known.at(-1)?.version ?? 0;
  const refuseNewer = (version: number): void => {
    if (version <= newest) return;
    const message = `${connection.path} has schema version ${version}; this agent-runner knows up to ${newest}`;
    throw new FailureError(failure("store_incompatible", message));
  };
  try {
    const version = currentVersion(connection);
    refuseNewer(version);
    if (version === newest) return;
    connection.transaction(() => {
      // Another process may have migrated while this one waited for the lock.
      const from = currentVersion(connection);
      refuseNewer(from);
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
