import type { Unserved } from "../../../contracts/run-store.ts";
import { newestSchema, type SchemaState } from "../sql/migrations.ts";
import { shownAddress } from "./address.ts";
import { storeFailure } from "./failures.ts";
import { schemaState } from "./migrate.ts";
import { createRunReader } from "./reader.ts";
import { Reads } from "./reads.ts";
import { connect } from "./session.ts";

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

const PATIENCE_MS = 3_000;

/** Runs that no live worker can take; of a database with this binary's schema. */
export async function unservedInPostgres(url: string): Promise<readonly Unserved[]> {
  const reads = new Reads({ url, patienceMs: PATIENCE_MS });
  try {
    return await createRunReader(reads).unserved();
  } finally {
    await reads.close();
  }
}
