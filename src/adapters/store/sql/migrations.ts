import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { FailureError, failure } from "../../../domain/errors.ts";

/** The same depth from `src/` and from `dist/`. */
const FOLDER = new URL("../../../../migrations/", import.meta.url);
const COMPATIBLE = /^-- compatible with: (\d+)$/m;
const FILE = /^(\d{4})-[a-z0-9-]+\.(sqlite|postgres)\.sql$/;

export type Dialect = "sqlite" | "postgres";

export interface Migration {
  readonly version: number;
  /** Of its file, without the dialect: `0001-runs`. */
  readonly name: string;
  readonly sql: string;
  /**
   * The oldest schema version whose programs still work after it. Its own version where the file does not say
   * `-- compatible with: N` in its first lines: what nobody has thought about breaks.
   */
  readonly compatible: number;
}

/** How a program treats a database with an older schema than its own. */
export type MigrateMode = "auto" | "off";

/** What a database says of its schema. */
export interface SchemaState {
  /** 0 when it is empty. */
  readonly version: number;
  /** The oldest schema version whose programs may use it. */
  readonly compatible: number;
  /** A copy into it has begun and has not ended. */
  readonly unfinished: boolean;
}

/** What is to be done with a database in this state. */
export type SchemaStep = "none" | "migrate";

/** All of one database, in order. */
export function migrationsOf(dialect: Dialect): readonly Migration[] {
  const found: Migration[] = [];
  for (const name of readdirSync(fileURLToPath(FOLDER)).sort()) {
    const match = FILE.exec(name);
    if (match?.[1] === undefined || match[2] !== dialect) continue;
    const sql = readFileSync(new URL(name, FOLDER), "utf8");
    const version = Number(match[1]);
    found.push({
      version,
      name: name.split(".")[0] ?? name,
      sql,
      compatible: Number(COMPATIBLE.exec(sql)?.[1] ?? version),
    });
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

/** The oldest schema version whose programs may use a database that all migrations up to `version` were applied to. */
export function compatibleAt(dialect: Dialect, version: number): number {
  return Math.max(
    0,
    ...migrationsOf(dialect).flatMap((one) => (one.version <= version ? one.compatible : [])),
  );
}

/**
 * Throws `store_incompatible` for a schema that a later agent-runner has changed so that this one would break it,
 * `copy_unfinished` for half a copy, and `store_outdated` for an older schema that may not be touched.
 */
export function judgeSchema(
  state: SchemaState,
  of: { readonly newest: number; readonly mode: MigrateMode; readonly database: string },
): SchemaStep {
  const { version, compatible, unfinished } = state;
  const { newest, mode, database } = of;
  if (unfinished) {
    const message = `${database} is a half-done copy: a \`agent-runner db copy\` into it was not finished`;
    throw new FailureError(failure("copy_unfinished", message));
  }
  if (version > newest && compatible > newest) {
    const message = `${database} has schema version ${version}, which needs an agent-runner that knows version ${compatible}; this one knows up to ${newest}`;
    throw new FailureError(failure("store_incompatible", message));
  }
  if (version >= newest) return "none";
  if (mode === "off") {
    const message = `${database} has schema version ${version}, this agent-runner needs ${newest}, and AGENT_RUNNER_MIGRATE is off`;
    throw new FailureError(failure("store_outdated", message));
  }
  return "migrate";
}
