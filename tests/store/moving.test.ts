import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf } from "../../src/adapters/store/move/digest.ts";
import { openSqliteSource } from "../../src/adapters/store/move/sqlite-end.ts";
import { LEFT_BEHIND, LEFT_COLUMNS, tablesAt } from "../../src/adapters/store/move/tables.ts";
import { openPostgresStore } from "../../src/adapters/store/postgres/open.ts";
import { newestSchema } from "../../src/adapters/store/sql/migrations.ts";
import { openSqliteStore } from "../../src/adapters/store/sqlite/open.ts";
import { copyDatabase, type Place, parsePlace } from "../../src/app/moving.ts";
import type { RunReader, RunStore } from "../../src/contracts/run-store.ts";
import {
  admission,
  COMPLETED,
  commit,
  facts,
  held,
  manualClock,
  worker,
} from "../../src/contracts/run-store-suite/fixtures.suite.ts";
import { fillStore, runId } from "../support/many-runs.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const RUNS = Number(process.env.COPY_RUNS ?? 300);
const KILLS = Number(process.env.COPY_KILLS ?? 4);
const SCRIPT = fileURLToPath(new URL("copy-and-die.ts", import.meta.url));
const failing = (code: string, message: RegExp = /./) => ({
  failure: { code, message: expect.stringMatching(message) },
});

let server: TestPostgres;
let folder: string;
let source: string;

beforeAll(async () => {
  server = await startPostgres();
  folder = mkdtempSync(join(tmpdir(), "agent-runner-moving-"));
  source = join(folder, "source.db");
  const opened = await openSqliteStore({ path: source, clock: manualClock(), beats: "none" });
  await fillStore(opened.store, RUNS);
  await opened.close();
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

let made = 0;
const file = () => {
  made += 1;
  return join(folder, `${made}.db`);
};
const sqlite = (path: string): Place => ({ kind: "sqlite", path });
const postgres = (url: string): Place => ({ kind: "postgres", url });
const copy = (from: Place, to: Place, live = false) => copyDatabase({ from, to, live, onStep: () => {} });

async function query(url: string, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(text);
  } finally {
    await client.end();
  }
}

describe("what moves", () => {
  /** `table.column` of a database, without those that stay. */
  const moving = (columns: readonly string[]) =>
    columns.filter((one) => !(one in LEFT_COLUMNS) && !((one.split(".")[0] ?? "") in LEFT_BEHIND)).sort();
  const described = () =>
    tablesAt(newestSchema("sqlite"))
      .flatMap((table) => table.columns.map((column) => `${table.name}.${column.name}`))
      .sort();

  it("is every column of SQLite", () => {
    const db = new DatabaseSync(source, { readOnly: true });
    const rows = db
      .prepare(
        `SELECT m.name || '.' || c.name AS name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`,
      )
      .all();
    db.close();
    expect(moving(rows.map((row) => String(row.name)))).toEqual(described());
  });

  it("is every column of PostgreSQL", async () => {
    const url = await server.database();
    await (await openPostgresStore({ url, clock: manualClock(), beats: "none" })).close();
    const { rows } = await query(
      url,
      "SELECT table_name || '.' || column_name AS name FROM information_schema.columns WHERE table_schema = 'public'",
    );
    expect(moving(rows.map((row: { name: string }) => row.name))).toEqual(described());
  });
});

describe("a copy", () => {
  it("goes from SQLite to PostgreSQL and back, and is the same", async () => {
    const url = await server.database();
    const back = file();
    const there = await copy(sqlite(source), postgres(url));
    const home = await copy(postgres(url), sqlite(back));
    expect(home.digest).toEqual(there.digest);
    const original = await openSqliteSource(source);
    expect(await digestOf(original)).toEqual(there.digest);
    await original.close();
    const rows = new Map(there.digest.tables.map((one) => [one.table, one.rows]));
    for (const table of ["run", "journal", "blob", "ready", "rest", "inbox", "approval"]) {
      expect(rows.get(table), table).toBeGreaterThan(0);
    }
  });

  it("goes from file to file and from server to server", async () => {
    const [first, second] = [await server.database(), await server.database()];
    const path = file();
    const one = await copy(sqlite(source), sqlite(path));
    const two = await copy(sqlite(path), postgres(first));
    const three = await copy(postgres(first), postgres(second));
    expect(two.digest).toEqual(one.digest);
    expect(three.digest).toEqual(one.digest);
  });

  it("is worked on as the original would be", async () => {
    const url = await server.database();
    const back = file();
    await copy(sqlite(source), postgres(url));
    await copy(postgres(url), sqlite(back));
    const clock = manualClock();
    const opened = [
      await openSqliteStore({ path: source, clock, beats: "none" }),
      await openPostgresStore({ url, clock, beats: "none" }),
      await openSqliteStore({ path: back, clock, beats: "none" }),
    ];
    const stories: string[] = [];
    const { fence, journal } = fencesOf(source);
    expect(fence).toBeGreaterThan(RUNS / 2);
    expect(fence).toBeGreaterThanOrEqual(journal);
    for (const one of opened) stories.push(JSON.stringify(await liveOn(one, fence), null, 1));
    for (const one of opened) await one.close();
    expect(stories[1]).toBe(stories[0]);
    expect(stories[2]).toBe(stories[0]);
  });

  it("keeps the laws", async () => {
    const url = await server.database();
    const path = file();
    await copy(sqlite(source), postgres(url));
    await copy(sqlite(source), sqlite(path));
    const original = new DatabaseSync(source, { readOnly: true });
    const copied = new DatabaseSync(path);
    const triggers = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name";
    expect(copied.prepare(triggers).all()).toEqual(original.prepare(triggers).all());
    for (const [sql, law] of [
      ["UPDATE journal SET at = 1", /append-only/],
      ["UPDATE run SET status = 'queued' WHERE status = 'running'", /moves forward/],
    ] as const) {
      expect(() => copied.exec(sql)).toThrow(law);
      await expect(query(url, sql)).rejects.toThrow(law);
    }
    original.close();
    copied.close();
    const { rows } = await query(url, "SELECT count(*)::int AS off FROM pg_trigger WHERE tgenabled <> 'O'");
    expect(rows).toEqual([{ off: 0 }]);
  });

  it.each(["postgres", "sqlite"])(
    "that is killed again and again goes on where it was: to %s",
    async (kind) => {
      const to = kind === "sqlite" ? `sqlite:${file()}` : await server.database();
      const from = `sqlite:${source}`;
      const place = parsePlace(to, "--to");
      const run = async (steps: number) => {
        const child = spawn(process.execPath, [SCRIPT, from, to, String(steps), "60"], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        let out = "";
        child.stdout.on("data", (chunk: Buffer) => {
          out += chunk.toString();
        });
        const [code, signal] = (await once(child, "close")) as [number | null, string | null];
        return { code, signal, out };
      };
      for (let kill = 1; kill <= KILLS; kill += 1) {
        expect(await run(kill * 3)).toMatchObject({ signal: "SIGKILL" });
        // Half a copy is nobody's store.
        const opened =
          place.kind === "sqlite"
            ? openSqliteStore({ path: place.path, clock: manualClock(), beats: "none" })
            : openPostgresStore({ url: to, clock: manualClock(), beats: "none" });
        await expect(opened).rejects.toMatchObject(failing("copy_unfinished", /db copy/));
      }
      const steps: number[] = [];
      const report = await copyDatabase({
        from: sqlite(source),
        to: place,
        live: false,
        onStep: ({ phase, rows }) => phase === "copy" && steps.push(rows),
      });
      expect(report.resumedAt).toBeGreaterThan(0);
      expect(steps.every((rows) => rows > report.resumedAt)).toBe(true);
      const original = await openSqliteSource(source);
      expect(report.digest).toEqual(await digestOf(original));
      await original.close();
    },
  );
});

describe("a copy refuses", () => {
  const live = async (path: string) => {
    const opened = await openSqliteStore({
      path,
      clock: { now: Date.now, after: () => () => {} },
      beats: "none",
    });
    await opened.store.join(worker("w", { host: hostname(), pid: process.pid }));
    return opened;
  };

  it("a source that somebody works on, unless it is told to", async () => {
    const path = file();
    const opened = await live(path);
    await opened.store.admit([admission("run_1")]);
    const target = file();
    await expect(copy(sqlite(path), sqlite(target))).rejects.toMatchObject(
      failing("store_in_use", /worker w/),
    );
    expect(existsSync(target)).toBe(false);
    const report = await copy(sqlite(path), sqlite(target), true);
    expect(report.digest.tables.find(({ table }) => table === "run")?.rows).toBe(1);
    await opened.close();
  });

  it("the same of PostgreSQL, by the database's own clock", async () => {
    const url = await server.database();
    const opened = await openPostgresStore({ url, clock: { now: Date.now, after: () => () => {} } });
    await opened.store.join(worker("w", { host: hostname(), pid: process.pid }));
    await expect(copy(postgres(url), sqlite(file()))).rejects.toMatchObject(
      failing("store_in_use", /worker w/),
    );
    await opened.store.leave("w");
    await opened.close();
    await copy(postgres(url), sqlite(file()));
  });

  it("a target that is not empty, and half a copy of something else", async () => {
    const [path, other] = [file(), file()];
    await copy(sqlite(source), sqlite(path));
    await expect(copy(sqlite(source), sqlite(path))).rejects.toMatchObject(
      failing("store_not_empty", /table blob has \d+ rows/),
    );
    const half = file();
    const child = spawn(process.execPath, [SCRIPT, `sqlite:${source}`, `sqlite:${half}`, "2", "60"]);
    await once(child, "close");
    await copy(sqlite(source), sqlite(other));
    await expect(copy(sqlite(other), sqlite(half))).rejects.toMatchObject(
      failing("copy_unfinished", /half-done copy of .*source\.db/),
    );
  });

  it("to go on with a source that was written to meanwhile", async () => {
    const [path, half] = [file(), file()];
    await copy(sqlite(source), sqlite(path));
    const child = spawn(process.execPath, [SCRIPT, `sqlite:${path}`, `sqlite:${half}`, "3", "60"]);
    await once(child, "close");
    const opened = await openSqliteStore({ path, clock: manualClock(), beats: "none" });
    await opened.store.admit([admission("run_new")]);
    await opened.close();
    await expect(copy(sqlite(path), sqlite(half))).rejects.toMatchObject(
      failing("copy_differs", /written to/),
    );
  });

  it("to call the same what is not: one changed value is found and named", async () => {
    const url = await server.database();
    const from = await openSqliteSource(source);
    const steps: string[] = [];
    const spoiling = copyDatabase({
      from: sqlite(source),
      to: postgres(url),
      live: false,
      batch: 60,
      onStep: ({ phase, table }) => void steps.push(`${phase} ${table}`),
    });
    await spoiling;
    // Back to the moment before the comparison, with one fact changed.
    await query(
      url,
      `ALTER TABLE journal DISABLE TRIGGER USER;
       UPDATE journal SET at = at + 1 WHERE run_no = 5 AND seq = 2;
       ALTER TABLE journal ENABLE TRIGGER USER;
       CREATE TABLE moving (key text PRIMARY KEY, value text NOT NULL)`,
    );
    const rows = (await digestOf(from)).rows;
    const fingerprint = await from.fingerprint();
    const table = tablesAt(from.schema).length + 1;
    const progress = JSON.stringify({ source: from.name, fingerprint, table, after: null, rows });
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query("INSERT INTO moving VALUES ('progress', $1)", [progress]);
    await client.end();
    await from.close();
    await expect(copy(sqlite(source), postgres(url))).rejects.toMatchObject(
      failing("copy_differs", /the row \[5,2\] of table journal is another/),
    );
    await expect(openPostgresStore({ url, clock: manualClock() })).rejects.toMatchObject(
      failing("copy_unfinished"),
    );
  });

  it("what is no database, names none, or names the same twice", async () => {
    const text = file();
    writeFileSync(text, "no database");
    await expect(copy(sqlite(text), sqlite(file()))).rejects.toMatchObject(failing("store_corrupt"));
    await expect(copy(sqlite(file()), sqlite(file()))).rejects.toMatchObject(failing("not_found"));
    await expect(copy(sqlite(source), sqlite(source))).rejects.toMatchObject(failing("invalid_config"));
    const empty = await server.database();
    await expect(copy(postgres(empty), sqlite(file()))).rejects.toMatchObject(failing("not_found"));
    expect(() => parsePlace("mysql://x:secret@y/z", "--from")).toThrow(/--from names no database/);
    expect(() => parsePlace("mysql://x:secret@y/z", "--from")).not.toThrow(/secret/);
  });
});

/** The highest fence that was given out, and the highest that a fact was written under. */
function fencesOf(path: string): { readonly fence: number; readonly journal: number } {
  const db = new DatabaseSync(path, { readOnly: true });
  const one = (sql: string) => Number(db.prepare(sql).get()?.value);
  const fence = one("SELECT value FROM counter WHERE name = 'fence'");
  const journal = one("SELECT max(token) AS value FROM journal");
  db.close();
  return { fence, journal };
}

/** What anybody would do with a store; the same story whatever it is stored in. */
async function liveOn(
  { store, reader }: { readonly store: RunStore; readonly reader: RunReader },
  highest: number,
): Promise<unknown> {
  const story: unknown[] = [await reader.counts()];
  const [queued, resting, asking, child, parent, signaled] = [0, 1, 2, 5, 5, 6].map((n) => runId(100 + n));
  // The key that was used before the move answers with the first run, and refuses another request.
  const again = { ...admission("run_again"), idempotency: { key: "key-100", bodyHash: "body-100" } };
  const keyed = { ...again, request: { ...again.request, tenant: "tenant-0" } };
  story.push(await store.admit([keyed, { ...keyed, idempotency: { key: "key-100", bodyHash: "other" } }]));
  await store.join(worker("w2"));
  const woken = await store.wakeDue(1_700_000_000_000 + 101_000, 1_000);
  const answer = {
    approval: "apr_102",
    answer: "approved",
    by: "ann",
    comment: "",
    at: 1_700_000_000_000,
  } as const;
  story.push(woken, await store.answerApproval(answer), await store.answerApproval(answer));
  const claims = (await store.claim({ worker: "w2", limit: 10_000 })) ?? [];
  story.push(claims.every(({ token }) => token > highest));
  story.push(claims.map(({ run }) => run));
  for (const run of [queued, resting, asking, `${child}_child`, signaled]) {
    const claim = claims.find((one) => one.run === run);
    if (claim === undefined) throw new Error(`${run} was not claimed`);
    const before = await store.facts(claim.no, 0, 1_000);
    const messages = await store.inbox([claim.no]);
    const ended = facts(before.length + 1, [{ kind: "run_completed", output: null }]);
    const consumed = messages.map(({ id }) => id);
    const [answered] = await store.commit([
      commit(claim, { facts: ended, consumed, started: true, next: COMPLETED }),
    ]);
    story.push([run, answered, before, messages.map(({ order: _, ...message }) => message.id)]);
  }
  story.push(await reader.run(parent ?? ""), await reader.factsOf(runId(104), { after: 0, limit: 100 }));
  const [created] = await store.admit([admission("run_after_the_move")]);
  story.push(created, await reader.counts());
  await store.leave("w2");
  return story;
}

describe("a copy of a store that is held", () => {
  it("gives the runs of a dead worker to others", async () => {
    const [path, url] = [file(), await server.database()];
    const clock = manualClock();
    const opened = await openSqliteStore({ path, clock, beats: "none" });
    const claim = await held(opened.store);
    await opened.close();
    await copy(sqlite(path), postgres(url));
    const moved = await openPostgresStore({ url, clock, beats: "none" });
    clock.advance(60_000);
    expect(await moved.store.reap(clock.now())).toEqual(["run_1"]);
    await moved.store.join(worker("w2"));
    const [taken] = (await moved.store.claim({ worker: "w2", limit: 1 })) ?? [];
    expect(taken?.token).toBeGreaterThan(claim.token);
    expect(await moved.store.commit([commit(claim)])).toEqual([{ kind: "fenced" }]);
    await moved.close();
  });
});
