import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startPostgres, type TestPostgres } from "../../../tests/support/postgres.ts";
import type { RunStore } from "../../contracts/run-store.ts";
import {
  admission,
  COMPLETED,
  commit,
  manualClock,
  worker,
} from "../../contracts/run-store-suite/fixtures.suite.ts";
import { slot } from "../../contracts/run-store-suite/slots.suite.ts";
import { openPostgresStore } from "./postgres/open.ts";
import { openSqliteStore } from "./sqlite/open.ts";

/** What both databases refuse by themselves about slots and about runs that stand aside, whoever writes to them. */

const clock = manualClock();

/** Run 1 is held and has both slots, run 2 stands aside for `key:a`, run 3 is ready, run 4 has ended. */
async function prepare(store: RunStore): Promise<void> {
  await store.join(worker("w"));
  await store.admit([admission("run_0")]);
  const [ended] = (await store.claim({ worker: "w", limit: 1 })) ?? [];
  if (ended === undefined) throw new Error("nothing to claim");
  await store.commit([commit(ended, { next: COMPLETED })]);
  const slots = [slot("key:a"), slot("key:b", { hold: "run" })];
  await store.admit([admission("run_1", { slots }), admission("run_2", { slots })]);
  expect(await store.claim({ worker: "w", limit: 5 })).toHaveLength(1);
  await store.admit([admission("run_3", { slots: [slot("key:c")] })]);
}

const no = (run: number) => `(SELECT no FROM run WHERE id = 'run_${run}')`;

function breaches(yes: string, not: string): Readonly<Record<string, string>> {
  const place = (table: string, run: number) =>
    `INSERT INTO ${table} (lane, priority, vt, run_no, gated) VALUES (0, 0, 0, ${no(run)}, ${not})`;
  return {
    "a slot that is held by more than it has room for": "UPDATE slot SET held = 2 WHERE key = 'key:a'",
    "a slot that is held by fewer than none": "UPDATE slot SET held = -1 WHERE key = 'key:c'",
    "a slot without room": "UPDATE slot SET cap = 0 WHERE key = 'key:c'",
    "to forget a slot that is held": "DELETE FROM slot WHERE key = 'key:a'",
    "a slot that a run takes which no worker holds": `UPDATE run_slot SET held = ${yes} WHERE run_no = ${no(3)}`,
    "a slot that changes its name": `UPDATE run_slot SET key = 'key:c' WHERE run_no = ${no(1)} AND key = 'key:b'`,
    "a slot that changes hands": `UPDATE run_slot SET run_no = ${no(3)} WHERE run_no = ${no(1)} AND key = 'key:b'`,
    "a slot that is had from the start": `INSERT INTO run_slot (run_no, key, cap, hold, held) VALUES (${no(3)}, 'key:a', 1, 'run', ${yes})`,
    "a slot of an ended run": `INSERT INTO run_slot (run_no, key, cap, hold) VALUES (${no(0)}, 'key:a', 1, 'run')`,
    "the loss of a lease whose slots are held": `DELETE FROM lease WHERE run_no = ${no(1)}`,
    "a run that is ready and stands aside": place("ready", 2),
    "a run that rests and stands aside": `INSERT INTO rest (run_no, waiting_for) VALUES (${no(2)}, '[]')`,
    "a run that is held and stands aside": `INSERT INTO lease (run_no, token, worker) VALUES (${no(2)}, 99, 'w')`,
    "a run that stands aside for nothing of its own": `INSERT INTO parked (key, lane, priority, vt, run_no) VALUES ('key:a', 0, 0, 0, ${no(3)})`,
    "a run that stands aside although it is ready": `INSERT INTO parked (key, lane, priority, vt, run_no) VALUES ('key:c', 0, 0, 0, ${no(3)})`,
    "a place in line that changes": "UPDATE parked SET vt = 0",
    "an end while it stands aside": `UPDATE run SET status = 'failed', ended_at = 1 WHERE id = 'run_2'`,
  };
}

describe("SQLite refuses", () => {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-slot-laws-"));
  const path = join(folder, "runs.db");
  let sql: DatabaseSync;
  beforeAll(async () => {
    const opened = await openSqliteStore({ path, clock, beats: "none" });
    await prepare(opened.store);
    await opened.close();
    sql = new DatabaseSync(path);
  });
  afterAll(() => {
    sql.close();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const [name, statement] of Object.entries(breaches("1", "0"))) {
    it(name, () => {
      expect(() => sql.exec(statement)).toThrow(expect.objectContaining({ errcode: expect.any(Number) }));
      expect(sql.prepare("SELECT sum(held) AS held FROM slot").get()).toEqual({ held: 2 });
    });
  }

  it("a floor that falls", () => {
    expect(() => sql.exec("UPDATE floor SET vt = 0")).toThrow(/only rises/);
  });
});

describe("PostgreSQL refuses", () => {
  let server: TestPostgres;
  let sql: pg.Client;
  beforeAll(async () => {
    server = await startPostgres();
    const url = await server.database();
    const opened = await openPostgresStore({ url, clock, beats: "none" });
    await prepare(opened.store);
    await opened.close();
    sql = new pg.Client({ connectionString: url });
    await sql.connect();
  });
  afterAll(async () => {
    await sql?.end();
    await server?.stop();
  });

  for (const [name, statement] of Object.entries(breaches("true", "false"))) {
    it(name, async () => {
      await expect(sql.query(statement)).rejects.toMatchObject({ code: expect.stringMatching(/^23/) });
      const { rows } = await sql.query("SELECT sum(held)::int AS held FROM slot");
      expect(rows).toEqual([{ held: 2 }]);
    });
  }
});
