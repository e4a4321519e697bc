import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPostgresStore } from "../../src/adapters/store/postgres/open.ts";
import { openSqliteStore } from "../../src/adapters/store/sqlite/open.ts";
import { emptyDatabase, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { simulate } from "./simulate.ts";
import type { OpenDatabase } from "./world.ts";

// DB_SEEDS=500 for more of them; each takes a second or two.
const seeds = Number(process.env.DB_SEEDS ?? 2);
const first = Number(process.env.SIM_SEED ?? 1);

describe("the engine in a simulated world over a real database", { timeout: 3_600_000 }, () => {
  let server: TestPostgres;
  let url: string;
  beforeAll(async () => {
    server = await startPostgres();
    url = await server.database();
  });
  afterAll(() => server.stop());

  const onPostgres: OpenDatabase = async (clock, ticks) => {
    const opened = await openPostgresStore({ url, clock, ticks, beats: "none" });
    const close = async () => {
      await opened.close();
      await emptyDatabase(url);
    };
    return { ...opened, beat: (worker) => opened.store.beat(worker), close };
  };
  const onSqlite: OpenDatabase = async (clock, ticks) => {
    const folder = mkdtempSync(join(tmpdir(), "agent-runner-simulation-"));
    const opened = await openSqliteStore({ path: join(folder, "runs.db"), clock, ticks, beats: "none" });
    const close = async () => {
      await opened.close();
      rmSync(folder, { recursive: true, force: true });
    };
    return { ...opened, beat: (worker) => opened.store.beat(worker), close };
  };

  it.each([
    { name: "PostgreSQL", open: onPostgres },
    { name: "SQLite", open: onSqlite },
  ])("keeps every promise on $name", async ({ name, open }) => {
    for (let seed = first; seed < first + seeds; seed += 1) {
      const life = await simulate(seed, open);
      const again = `SIM_SEED=${seed} DB_SEEDS=1 npx vitest run tests/simulation/databases.test.ts`;
      expect(life.broken, `${name}, seed ${seed}; again with: ${again}`).toEqual([]);
      expect(life.runs).toBeGreaterThan(0);
    }
  });
});
