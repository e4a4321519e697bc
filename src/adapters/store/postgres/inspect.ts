import type { Unserved } from "../../../contracts/run-store.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { newestSchema, type SchemaState } from "../sql/migrations.ts";
import { shownAddress } from "./address.ts";
import { storeFailure } from "./failures.ts";
import { schemaState } from "./migrate.ts";
import { createRunReader } from "./reader.ts";
import { Reads } from "./reads.ts";
import { connect } from "./session.ts";
import { statement } from "./sql.ts";

export interface PostgresState {
  /** The address without its password. */
  readonly address: string;
  /** Of the server. */
  readonly version: string;
  /** `null` when the database is another program's. */
  readonly schema: SchemaState | null;
  /** What this agent-runner makes of it. */
  readonly newest: number;
}

/** What is there, without changing it. Rejects with a `FailureError` when it cannot be reached. */
export async function inspectPostgres(url: string): Promise<PostgresState> {
  const address = shownAddress(url);
  try {
    const client = await connect({ url, name: "inspect" });
    try {
      const { rows } = await client.query<{ server_version: string }>("SHOW server_version");
      const version = rows[0]?.server_version ?? "";
      return { address, version, schema: await schemaState(client), newest: newestSchema("postgres") };
    } finally {
      await client.end();
    }
  } catch (error) {
    throw storeFailure(error, address);
  }
}

export interface PostgresRoom {
  /** Connections that the server takes from programs like this one. */
  readonly most: number;
  /** Of all programs, now. */
  readonly used: number;
  /** Processes of agent-runner that are at work on this database. */
  readonly processes: number;
}

/** How many connections there are; of a database with this binary's schema. Rejects with a `FailureError`. */
export async function roomInPostgres(url: string): Promise<PostgresRoom> {
  const reads = new Reads({ url, patienceMs: PATIENCE_MS, connections: 1 });
  try {
    const [row] = await reads.many<PostgresRoom>(ROOM, []);
    return row ?? { most: 0, used: 0, processes: 0 };
  } finally {
    await reads.close();
  }
}

const ROOM = statement(
  `SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int AS most,
     (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
     (SELECT count(*)::int FROM member
       WHERE seen_at > (extract(epoch FROM clock_timestamp()) * 1000)::bigint - ${LIMITS.memberSilentMs}) AS processes`,
);
const PATIENCE_MS = 3_000;

/** Runs that no live worker can take; of a database with this binary's schema. */
export async function unservedInPostgres(url: string): Promise<readonly Unserved[]> {
  const reads = new Reads({ url, patienceMs: PATIENCE_MS, connections: 1 });
  try {
    return await createRunReader(reads).unserved();
  } finally {
    await reads.close();
  }
}
