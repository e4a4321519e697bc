import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { FailureError, failure } from "../../../domain/errors.ts";

/** The same depth from `src/` and from `dist/`. */
const FOLDER = new URL("../../../../migrations/", import.meta.url);
const FILE = /^(\d{4})-[a-z0-9-]+\.(sqlite|postgres)\.sql$/;

export type Dialect = "sqlite" | "postgres";

export interface Migration {
  readonly version: number;
  readonly sql: string;
}

/** All of one database, in order. */
export function migrationsOf(dialect: Dialect): readonly Migration[] {
  const found: Migration[] = [];
  for (const name of readdirSync(fileURLToPath(FOLDER)).sort()) {
    const match = FILE.exec(name);
    if (match?.[1] === undefined || match[2] !== dialect) continue;
    found.push({ version: Number(match[1]), sql: readFileSync(new URL(name, FOLDER), "utf8") });
  }
  if (found.length === 0) {
    const message = `no migrations in ${fileURLToPath(FOLDER)}; reinstall agent-runner`;
    throw new FailureError(failure("internal", message));
  }
  return found;
}

/** The version that this binary brings a database to. */
export function newestSchema(dialect: Dialect): number {
  return migrationsOf(dialect).at(-1)?.version ?? 0;
}

/** Throws `store_incompatible` for a schema of a later agent-runner. */
export function refuseNewer(version: number, newest: number, database: string): void {
  if (version <= newest) return;
  const message = `${database} has schema version ${version}; this agent-runner knows up to ${newest}`;
  throw new FailureError(failure("store_incompatible", message));
}
