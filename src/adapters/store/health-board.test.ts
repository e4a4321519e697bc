import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { emptyDatabase, startPostgres, type TestPostgres } from "../../../tests/support/postgres.ts";
import { realClock } from "../../../tests/support/real-clock.ts";
import { healthBoardSuite } from "../../contracts/health-board.suite.ts";
import { unknownHealth } from "../../domain/shared-health.ts";
import { createMemoryHealthBoard } from "./memory/health-board.ts";
import { openPostgresStore } from "./postgres/open.ts";
import { Connection } from "./sqlite/connection.ts";
import { openSqliteStore } from "./sqlite/open.ts";

let server: TestPostgres;
let url: string;

beforeAll(async () => {
  server = await startPostgres();
  url = await server.database();
});
afterAll(() => server.stop());

healthBoardSuite({
  name: "memory",
  async open(clock) {
    const board = createMemoryHealthBoard(clock);
    return { here: board, there: board, close: async () => undefined };
  },
});

healthBoardSuite({
  name: "sqlite",
  async open(clock) {
    const folder = mkdtempSync(join(tmpdir(), "agent-runner-health-"));
    const open = () => openSqliteStore({ path: join(folder, "runs.db"), clock, beats: "none" });
    const [one, other] = [await open(), await open()];
    const close = async () => {
      await one.close();
      await other.close();
      rmSync(folder, { recursive: true, force: true });
    };
    return { here: one.health, there: other.health, close };
  },
});

healthBoardSuite({
  name: "postgres",
  async open(clock) {
    const open = () => openPostgresStore({ url, clock, beats: "none" });
    const [one, other] = [await open(), await open()];
    const close = async () => {
      await one.close();
      await other.close();
      await emptyDatabase(url);
    };
    return { here: one.health, there: other.health, close };
  },
});

it("a file that another process is writing to is told at once, and read meanwhile", async () => {
  const folder = mkdtempSync(join(tmpdir(), "agent-runner-health-"));
  const path = join(folder, "runs.db");
  const opened = await openSqliteStore({ path, clock: realClock, beats: "none" });
  const other = new Connection({ path, busyTimeoutMs: 0 });
  try {
    await opened.health.read();
    other.db.exec("BEGIN IMMEDIATE");
    await expect(opened.health.swap([unknownHealth("p/a", "")])).rejects.toMatchObject({
      failure: { code: "unavailable" },
    });
    expect(await opened.health.read()).toEqual([]);
    other.db.exec("ROLLBACK");
    expect(await opened.health.swap([unknownHealth("p/a", "")])).toMatchObject([{ version: 1 }]);
  } finally {
    other.close();
    await opened.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
