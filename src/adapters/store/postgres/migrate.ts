import type pg from "pg";
import { FailureError, failure } from "../../../domain/errors.ts";
import { migrationsOf, refuseNewer } from "../sql/migrations.ts";
import { shownAddress } from "./address.ts";
import { storeFailure } from "./failures.ts";
import { connect } from "./session.ts";

/** One process migrates; the others wait for it here. */
const LOCK = "SELECT pg_advisory_xact_lock(4715, 1)";
const MIGRATE_MS = 600_000;

/** The schema version of a database: 0 when it is empty, `null` when it is another program's. */
export async function schemaVersion(client: pg.Client): Promise<number | null> {
  // From the table of tables, not by `to_regclass`, which may answer from before another process's migration.
  const { rows } = await client.query<{ relname: string }>(
    `SELECT relname FROM pg_class WHERE relname IN ('meta', 'run') AND relnamespace = current_schema()::regnamespace`,
  );
  const tables = rows.map((row) => row.relname);
  if (!tables.includes("meta")) return tables.length === 0 ? 0 : null;
  const found = await client.query<{ value: number }>("SELECT value FROM meta WHERE key = 'schema_version'");
  return found.rows[0]?.value ?? 0;
}

async function currentVersion(client: pg.Client, database: string): Promise<number> {
  const version = await schemaVersion(client).catch((error: unknown) => {
    // A `meta` of other columns: undefined column.
    if (error instanceof Error && "code" in error && error.code === "42703") return null;
    throw error;
  });
  if (version !== null) return version;
  const message = `${database} holds the tables of another program; name another database`;
  throw new FailureError(failure("store_incompatible", message));
}

/** Brings the schema to this binary's version, all or nothing. Forward only. */
export async function migrate(url: string): Promise<void> {
  const database = shownAddress(url);
  const known = migrationsOf("postgres");
  const newest = known.at(-1)?.version ?? 0;
  let client: pg.Client | null = null;
  try {
    client = await connect({ url, name: "migrate", answerMs: MIGRATE_MS });
    const version = await currentVersion(client, database);
    refuseNewer(version, newest, database);
    if (version === newest) return;
    await client.query(`SET statement_timeout = ${MIGRATE_MS}; SET lock_timeout = ${MIGRATE_MS}`);
    await client.query("BEGIN");
    await client.query(LOCK);
    const from = await currentVersion(client, database);
    refuseNewer(from, newest, database);
    await client.query("CREATE TABLE IF NOT EXISTS meta (key text PRIMARY KEY, value integer NOT NULL)");
    for (const migration of known) if (migration.version > from) await client.query(migration.sql);
    await client.query(
      `INSERT INTO meta (key, value) VALUES ('schema_version', ${newest})
       ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    );
    await client.query("COMMIT");
  } catch (error) {
    throw storeFailure(error, database);
  } finally {
    await client?.end().catch(() => undefined);
  }
}
