import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { emptyDatabase, startPostgres, type TestPostgres } from "../../../tests/support/postgres.ts";
import { fleetSuite } from "../../contracts/fleet.suite.ts";
import { createMemoryFleet, createMemoryLeaders } from "./memory/fleet.ts";
import { openPostgresStore } from "./postgres/open.ts";
import { openSqliteStore } from "./sqlite/open.ts";

let server: TestPostgres;
let url: string;

beforeAll(async () => {
  server = await startPostgres();
  url = await server.database();
});
afterAll(() => server.stop());

fleetSuite({
  name: "memory",
  knowsProcesses: false,
  leaseAlone: true,
  async open(clock) {
    const one = { fleet: createMemoryFleet(clock), leaders: createMemoryLeaders(clock) };
    return { ...one, others: one, close: async () => undefined };
  },
});

fleetSuite({
  name: "sqlite",
  knowsProcesses: true,
  leaseAlone: true,
  async open(clock) {
    const folder = mkdtempSync(join(tmpdir(), "agent-runner-fleet-"));
    const open = () =>
      openSqliteStore({
        path: join(folder, "runs.db"),
        clock,
        beats: "none",
        ticks: () => clock.now(),
      });
    const [one, others] = [await open(), await open()];
    const close = async () => {
      await one.close();
      await others.close();
      rmSync(folder, { recursive: true, force: true });
    };
    return { ...one, others, close };
  },
});

fleetSuite({
  name: "postgres",
  knowsProcesses: true,
  leaseAlone: false,
  async open(clock) {
    const open = () => openPostgresStore({ url, clock, beats: "none", ticks: () => clock.now() });
    const [one, others] = [await open(), await open()];
    const close = async () => {
      await one.close();
      await others.close();
      await emptyDatabase(url);
    };
    return { ...one, others, close };
  },
});
