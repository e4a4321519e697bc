import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startPostgres, type TestPostgres } from "../../../tests/support/postgres.ts";
import { migrate as migratePostgres } from "./postgres/migrate.ts";
import { type Migration, migrationsOf } from "./sql/migrations.ts";
import { Connection } from "./sqlite/connection.ts";
import { migrate as migrateSqlite } from "./sqlite/migrate.ts";

/**
 * What programs of before rely on, as a list of plain sentences: a migration that takes none of them away and adds none
 * that binds them is additive. Columns that may be left out, tables of one's own and plain indexes bind nobody.
 */
interface Schema {
  /** Columns, what they hold, and what an insertion without them does. */
  readonly kept: ReadonlySet<string>;
  /** What every insertion and change has to obey, by table. */
  readonly laws: ReadonlyMap<string, ReadonlySet<string>>;
}

function broken(before: Schema, after: Schema): string[] {
  const gone = [...before.kept].filter((one) => !after.kept.has(one)).map((one) => `gone: ${one}`);
  const bound = [...before.laws].flatMap(([table, laws]) => {
    const now = after.laws.get(table) ?? new Set();
    const more = [...now].filter((law) => !laws.has(law));
    const fewer = [...laws].filter((law) => !now.has(law));
    return [...more.map((law) => `new on ${table}: ${law}`), ...fewer.map((law) => `gone: ${law}`)];
  });
  return [...gone, ...bound];
}

function grouped(rows: readonly (readonly [string, string])[]): ReadonlyMap<string, ReadonlySet<string>> {
  const laws = new Map<string, Set<string>>();
  for (const [table, law] of rows) laws.set(table, (laws.get(table) ?? new Set()).add(law));
  return laws;
}

function sqliteSchema({ db }: Connection): Schema {
  const rows = (sql: string) => db.prepare(sql).all() as Record<string, string | number | null>[];
  const tables = rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").map(
    ({ name }) => String(name),
  );
  const kept = new Set<string>();
  const laws: [string, string][] = [];
  for (const table of tables) {
    laws.push([table, "is there"]);
    for (const { name, type, notnull, dflt_value: value, pk } of rows(
      `SELECT * FROM pragma_table_info('${table}')`,
    )) {
      kept.add(`${table}.${name} ${type} ${notnull} ${value} ${pk}`);
      if (notnull === 1 && value === null) laws.push([table, `${name} must be given`]);
    }
    for (const { name, unique } of rows(`SELECT * FROM pragma_index_list('${table}')`))
      if (unique === 1) laws.push([table, `unique ${name}`]);
  }
  for (const { tbl_name: table, sql } of rows(
    "SELECT tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'",
  ))
    laws.push([String(table), String(sql)]);
  return { kept, laws: grouped(laws) };
}

async function postgresSchema(client: pg.Client): Promise<Schema> {
  const columns = await client.query(
    `SELECT table_name, column_name, data_type, is_nullable, coalesce(column_default, identity_generation) AS value
     FROM information_schema.columns WHERE table_schema = current_schema()`,
  );
  const bound = await client.query(
    `SELECT conrelid::regclass::text AS name, pg_get_constraintdef(oid) AS law FROM pg_constraint
       WHERE connamespace = current_schema()::regnamespace AND conrelid <> 0
     UNION ALL SELECT tgrelid::regclass::text, pg_get_triggerdef(t.oid) || p.prosrc
       FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT tgisinternal
     UNION ALL SELECT tablename, indexdef FROM pg_indexes
       WHERE schemaname = current_schema() AND indexdef LIKE 'CREATE UNIQUE%'`,
  );
  const kept = new Set<string>();
  const laws: [string, string][] = [];
  for (const row of columns.rows) {
    kept.add(Object.values(row).join(" "));
    laws.push([row.table_name, "is there"]);
    if (row.is_nullable === "NO" && row.value === null)
      laws.push([row.table_name, `${row.column_name} must be given`]);
  }
  for (const { name, law } of bound.rows) laws.push([name, law]);
  return { kept, laws: grouped(laws) };
}

const REASON = /^-- not compatible: \S/m;

/** A migration and what it takes from programs of before. */
type Judged = Migration & { readonly breaks: readonly string[] };

/** Every migration says which programs may go on, and what it says is so. */
function judge(all: readonly Judged[]): void {
  for (const { name, version, compatible, sql, breaks } of all) {
    if (version === 1) continue;
    expect(sql, `${name} says nothing`).toMatch(/^-- compatible with: \d+$/m);
    if (compatible < version) expect(breaks, `${name} does not only add`).toEqual([]);
    else expect(sql, `${name} says no reason`).toMatch(REASON);
  }
  const broke = all.filter(({ breaks }) => breaks.length > 0).map(({ name }) => name);
  expect(broke).toEqual(["0002-queue"]);
}

describe("a migration that only adds is worked on by older programs, any other is not", () => {
  const folder = mkdtempSync(join(tmpdir(), "additive-"));
  let server: TestPostgres;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("on SQLite", () => {
    const connection = new Connection({ path: join(folder, "a.db"), busyTimeoutMs: 1_000 });
    try {
      let before: Schema = { kept: new Set(), laws: new Map() };
      const judged = migrationsOf("sqlite").map((migration): Judged => {
        migrateSqlite(connection, { to: migration.version });
        const after = sqliteSchema(connection);
        const breaks = broken(before, after);
        before = after;
        return { ...migration, breaks };
      });
      judge(judged);
    } finally {
      connection.close();
    }
  });

  it("on PostgreSQL", async () => {
    const url = await server.database();
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      let before: Schema = { kept: new Set(), laws: new Map() };
      const judged: Judged[] = [];
      for (const migration of migrationsOf("postgres")) {
        await migratePostgres(url, { to: migration.version });
        const after = await postgresSchema(client);
        judged.push({ ...migration, breaks: broken(before, after) });
        before = after;
      }
      judge(judged);
    } finally {
      await client.end();
    }
  });
});
