import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { cp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { pipeline } from "node:stream/promises";
import { type CopyReport, type CopyStep, copyStore } from "../adapters/store/move/copy.ts";
import { type Digest, digestOf } from "../adapters/store/move/digest.ts";
import { openDump, writeDump } from "../adapters/store/move/dump.ts";
import type { Details, Source, Target } from "../adapters/store/move/ends.ts";
import { openPostgresSource, openPostgresTarget } from "../adapters/store/move/postgres-end.ts";
import { openSqliteSource, openSqliteTarget } from "../adapters/store/move/sqlite-end.ts";
import { inspectPostgres } from "../adapters/store/postgres/inspect.ts";
import { migrate as migratePostgres } from "../adapters/store/postgres/migrate.ts";
import { type Dialect, migrationsOf, type SchemaState } from "../adapters/store/sql/migrations.ts";
import { Connection } from "../adapters/store/sqlite/connection.ts";
import { inspectSqlite } from "../adapters/store/sqlite/inspect.ts";
import { migrate as migrateSqlite } from "../adapters/store/sqlite/migrate.ts";
import { FailureError, failure } from "../domain/errors.ts";
import type { Config } from "./config.ts";
import { makeDataFolder } from "./data-folder.ts";
import { SQLITE_FILE } from "./database.ts";

export type { CopyReport };

const MIGRATE_BUSY_MS = 600_000;

/** One place that holds a whole store. */
export type Place =
  | { readonly kind: "sqlite"; readonly path: string }
  | { readonly kind: "postgres"; readonly url: string }
  | { readonly kind: "dump"; readonly path: string };

/** `sqlite:PATH`, `postgres://…` or `dump:PATH`. Throws `invalid_config`, without what may be a password. */
export function parsePlace(text: string, option: string): Place {
  if (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text)) return { kind: "postgres", url: text };
  const [, kind, path] = /^(sqlite|dump):(.+)$/.exec(text) ?? [];
  if (path !== undefined) return { kind: kind === "dump" ? "dump" : "sqlite", path: resolve(path) };
  const message = `${option} names no database; expected sqlite:PATH, postgres://user:password@host/database or dump:PATH`;
  throw new FailureError(failure("invalid_config", message, { setting: option }));
}

/** The database that is configured. */
export function configuredPlace(config: Config): Place {
  return config.databaseUrl === null
    ? { kind: "sqlite", path: join(config.dataDir, SQLITE_FILE) }
    : { kind: "postgres", url: config.databaseUrl };
}

function openSource(place: Place): Promise<Source> {
  if (place.kind === "postgres") return openPostgresSource(place.url);
  return place.kind === "sqlite" ? openSqliteSource(place.path) : openDump(place.path);
}

function openTarget(place: Place, schema: number): Promise<Target> {
  if (place.kind === "postgres") return openPostgresTarget(place.url, schema);
  if (place.kind === "sqlite") return openSqliteTarget(place.path, schema);
  const message = "--to names a dump; `agent-runner db backup` writes one";
  throw new FailureError(failure("invalid_config", message, { setting: "--to" }));
}

/** What `db status` tells. */
export interface DatabaseStatus {
  readonly kind: "sqlite" | "postgres";
  /** Without the password. */
  readonly address: string;
  /** Of SQLite or of the server. */
  readonly version: string;
  /** `null` where there is no database yet. */
  readonly schema: SchemaState | null;
  readonly newest: number;
  /** Names of the migrations that are not applied yet. */
  readonly pending: readonly string[];
  /** `null` where there is nothing to count yet. */
  readonly details: Details | null;
  /** Whoever works on it, one text each. */
  readonly users: readonly string[];
}

export async function databaseStatus(config: Config): Promise<DatabaseStatus> {
  const place = configuredPlace(config);
  const seen = await look(place);
  const { schema } = seen;
  const dialect: Dialect = seen.kind;
  const pending = migrationsOf(dialect).filter(({ version }) => version > (schema?.version ?? 0));
  const base = { ...seen, pending: pending.map(({ name }) => name) };
  if (schema === null || schema.version === 0) return { ...base, details: null, users: [] };
  const source = await openSource(place);
  try {
    return { ...base, details: await source.details(), users: await source.users() };
  } finally {
    await source.close();
  }
}

async function look(
  place: Place,
): Promise<Pick<DatabaseStatus, "kind" | "address" | "version" | "schema" | "newest">> {
  if (place.kind === "postgres") {
    const { address, version, schema, newest } = await inspectPostgres(place.url);
    return { kind: "postgres", address, version, schema, newest };
  }
  const { library, schema, newest } = inspectSqlite(place.path);
  return { kind: "sqlite", address: place.path, version: library, schema, newest };
}

/** Brings the configured database to this program's schema; the versions before and after. */
export async function migrateDatabase(
  config: Config,
): Promise<{ readonly from: number; readonly to: number }> {
  const place = configuredPlace(config);
  if (place.kind === "postgres") {
    const { schema } = await inspectPostgres(place.url);
    await migratePostgres(place.url);
    return { from: schema?.version ?? 0, to: (await inspectPostgres(place.url)).schema?.version ?? 0 };
  }
  await makeDataFolder(config.dataDir);
  const { path } = place;
  const from = inspectSqlite(path).schema?.version ?? 0;
  const connection = new Connection({ path, busyTimeoutMs: MIGRATE_BUSY_MS });
  try {
    migrateSqlite(connection);
  } finally {
    connection.close();
  }
  return { from, to: inspectSqlite(path).schema?.version ?? 0 };
}

/** Copies one store into another; see `copyStore`. */
export async function copyDatabase(of: {
  readonly from: Place;
  readonly to: Place;
  readonly live: boolean;
  /** Rows of one transaction; by table when absent. */
  readonly batch?: number;
  readonly onStep: (step: CopyStep) => void;
}): Promise<CopyReport> {
  const { from, to, ...options } = of;
  if (JSON.stringify(from) === JSON.stringify(to)) {
    throw new FailureError(
      failure("invalid_config", "--from and --to name the same database", { setting: "--to" }),
    );
  }
  const source = await openSource(from);
  try {
    return await copyStore(source, (schema) => openTarget(to, schema), options);
  } finally {
    await source.close();
  }
}

interface BackupReport {
  readonly file: string;
  readonly kind: "sqlite" | "dump";
  readonly bytes: number;
  /** Of the file; also beside it, in `FILE.sha256`. */
  readonly sha256: string;
  /** Of what is in it. */
  readonly digest: Digest;
  /** Where the artifacts were copied; `null` when they were not. */
  readonly artifacts: string | null;
}

/** A copy of one moment while others go on working: a database file of SQLite, or a dump of PostgreSQL. */
export async function backUpDatabase(
  config: Config,
  of: { readonly file: string; readonly dump: boolean; readonly artifacts: boolean },
): Promise<BackupReport> {
  const place = configuredPlace(config);
  const file = resolve(of.file);
  if (existsSync(file)) throw new FailureError(failure("store_not_empty", `there is a file ${file} already`));
  const kind = place.kind === "sqlite" && !of.dump ? "sqlite" : "dump";
  const digest =
    place.kind === "sqlite" && kind === "sqlite"
      ? await copyFileOf(place.path, file)
      : await dumpOf(place, file);
  const sha256 = await hashFile(file);
  await writeFile(`${file}.sha256`, `${sha256}  ${file.split(/[\\/]/).at(-1)}\n`);
  const artifacts = of.artifacts ? `${file}.artifacts` : null;
  const own = join(config.dataDir, "artifacts");
  if (artifacts !== null && existsSync(own))
    await cp(own, artifacts, { recursive: true, errorOnExist: true });
  return { file, kind, bytes: (await stat(file)).size, sha256, digest, artifacts };
}

async function dumpOf(place: Place, path: string): Promise<Digest> {
  const source = await openSource(place);
  try {
    return await writeDump(source, { path, at: Date.now(), onRows: () => {} });
  } finally {
    await source.close();
  }
}

/** By SQLite itself, page by page, while others write; whole and sound, or not there. */
async function copyFileOf(path: string, file: string): Promise<Digest> {
  if (!existsSync(path)) throw new FailureError(failure("not_found", `there is no database ${path} yet`));
  const draft = `${file}.partial`;
  await rm(draft, { force: true });
  try {
    const db = new DatabaseSync(path, { readOnly: true });
    try {
      await backup(db, draft);
    } finally {
      db.close();
    }
    // One file: without its log beside it.
    const copied = new DatabaseSync(draft);
    try {
      const { integrity_check: sound } = copied.prepare("PRAGMA integrity_check(1)").get() as {
        integrity_check: string;
      };
      if (sound !== "ok")
        throw new FailureError(failure("store_corrupt", `the copy of ${path} is damaged: ${sound}`));
      copied.exec("PRAGMA journal_mode = DELETE");
    } finally {
      copied.close();
    }
    const source = await openSqliteSource(draft);
    const digest = await digestOf(source).finally(() => source.close());
    await rename(draft, file);
    return digest;
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Puts a backup into an empty database, whichever kind each is of. */
export async function restoreDatabase(
  config: Config,
  of: {
    readonly file: string;
    readonly to: Place;
    readonly artifacts: boolean;
    readonly onStep: (step: CopyStep) => void;
  },
): Promise<CopyReport> {
  const file = resolve(of.file);
  if (!existsSync(file)) throw new FailureError(failure("not_found", `there is no file ${file}`));
  await compareWithNote(file);
  const from: Place = { kind: (await isSqlite(file)) ? "sqlite" : "dump", path: file };
  if (of.to.kind === "sqlite") await makeDataFolder(config.dataDir);
  // Whoever beat when the backup was taken does not work on the backup.
  const report = await copyDatabase({ from, to: of.to, live: true, onStep: of.onStep });
  const kept = `${file}.artifacts`;
  if (of.artifacts && existsSync(kept)) {
    await cp(kept, join(config.dataDir, "artifacts"), { recursive: true, force: false });
  }
  return report;
}

/** The checksum beside it, when there is one, must be the file's. */
async function compareWithNote(file: string): Promise<void> {
  const note = await readFile(`${file}.sha256`, "utf8").catch(() => null);
  if (note === null) return;
  const [said = ""] = note.trim().split(/\s+/);
  const is = await hashFile(file);
  if (said === is) return;
  const message = `${file} is not what was backed up: its SHA-256 is ${is}, and ${file}.sha256 says ${said}`;
  throw new FailureError(failure("store_corrupt", message));
}

async function isSqlite(file: string): Promise<boolean> {
  const magic = "SQLite format 3\0";
  for await (const chunk of createReadStream(file, { start: 0, end: magic.length - 1 })) {
    return (chunk as Buffer).toString("latin1") === magic;
  }
  return false;
}
