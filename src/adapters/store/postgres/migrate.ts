import type pg from "pg";
import { FailureError, failure } from "../../../domain/errors.ts";
import {
  compatibleAt,
  judgeSchema,
  type MigrateMode,
  migrationsOf,
  type SchemaState,
} from "../sql/migrations.ts";
import { shownAddress } from "./address.ts";
import { storeFailure } from "./failures.ts";
import { connect } from "./session.ts";

/** One process migrates; the others wait for it here. */
const LOCK = "SELECT pg_advisory_xact_lock(4715, 1)";
const MIGRATE_MS = 600_000;

/** What a database says of its schema; `null` when it is another program's. */
export async function schemaState(client: pg.Client): Promise<SchemaState | null> {
  // From the table of tables, not by `to_regclass`, which may answer from before another process's migration.
  const { rows } = await client.query<{ relname: string }>(
    `SELECT relname FROM pg_class
     WHERE relname IN ('meta', 'run', 'moving') AND relnamespace = current_schema()::regnamespace`,
  );
  const tables = rows.map((row) => row.relname);
  if (!tables.includes("meta")) {
    return tables.length === 0 ? { version: 0, compatible: 0, unfinished: false } : null;
  }
  try {
    const found = await client.query<{ key: string; value: number }>("SELECT key, value FROM meta");
    const meta = new Map(found.rows.map((row) => [row.key, row.value]));
    const version = meta.get("schema_version") ?? 0;
    const compatible = meta.get("min_compatible") ?? version;
    return { version, compatible, unfinished: tables.includes("moving") };
  } catch (error) {
    // A `meta` of other columns: undefined column.
    if (error instanceof Error && "code" in error && error.code === "42703") return null;
    throw error;
  }
}

async function knownState(client: pg.Client, database: string): Promise<SchemaState> {
  const state = await schemaState(client);
  if (state !== null) return state;
  const message = `${database} holds the tables of another program; name another database`;
  throw new FailureError(failure("store_incompatible", message));
}

/** Brings the schema to this binary's version (or to `to`), all or nothing. Forward only. */
export async function migrate(
  url: string,
  of: { readonly mode?: MigrateMode; readonly to?: number } = {},
): Promise<void> {
  const database = shownAddress(url);
  const known = migrationsOf("postgres");
  const newest = of.to ?? known.at(-1)?.version ?? 0;
  let client: pg.Client | null = null;
  const judge = async (asked: pg.Client) => {
    const state = await knownState(asked, database);
    // A new database is nobody's yet: nothing of anybody is changed by making it.
    const mode = state.version === 0 ? "auto" : (of.mode ?? "auto");
    return { ...state, step: judgeSchema(state, { newest, mode, database }) };
  };
  try {
    client = await connect({ url, name: "migrate", answerMs: MIGRATE_MS });
    if ((await judge(client)).step === "none") return;
    await client.query(`SET statement_timeout = ${MIGRATE_MS}; SET lock_timeout = ${MIGRATE_MS}`);
    await client.query("BEGIN");
    await client.query(LOCK);
    const { version, step } = await judge(client);
    if (step === "none") return;
    await client.query("CREATE TABLE IF NOT EXISTS meta (key text PRIMARY KEY, value integer NOT NULL)");
    for (const migration of known) {
      if (migration.version > version && migration.version <= newest) await client.query(migration.sql);
    }
    await client.query(
      `INSERT INTO meta (key, value)
       VALUES ('schema_version', ${newest}), ('min_compatible', ${compatibleAt("postgres", newest)})
       ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    );
    await client.query("COMMIT");
  } catch (error) {
    throw storeFailure(error, database);
  } finally {
    await client?.end().catch(() => undefined);
  }
}
