import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openPostgresStore } from "../../src/adapters/store/postgres/open.ts";
import { connect } from "../../src/adapters/store/postgres/session.ts";
import type { StoreHint } from "../../src/contracts/run-store.ts";
import {
  admission,
  commit,
  facts,
  held,
  started,
} from "../../src/contracts/run-store-suite/fixtures.suite.ts";
import { LIMITS } from "../../src/domain/limits.ts";
import { emptyDatabase, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startProxy } from "../support/postgres-proxy.ts";
import { until } from "../support/until.ts";

const clock = { now: () => Date.now(), after: () => () => undefined };
const DRIVER = fileURLToPath(new URL("postgres-driver.ts", import.meta.url));
const PROCESSES = 2;
const FACTS_OF_A_RUN = 6;

interface Driver {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly exit: Promise<unknown[]>;
}

function startDriver(url: string): Driver {
  const child = spawn(process.execPath, [DRIVER, url], { stdio: ["ignore", "pipe", "inherit"] });
  const lines: string[] = [];
  let rest = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  });
  return { child, lines, exit: once(child, "exit") };
}

/** Ends all other connections to the database, as an administrator or a failover does. */
async function terminateAll(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
    );
    return rows.length;
  } finally {
    await client.end();
  }
}

async function lockOf(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

describe("PostgreSQL under several processes", { timeout: 60_000 }, () => {
  let server: TestPostgres;
  let url: string;

  beforeAll(async () => {
    // Every commit waits for the disk here: a crash is part of the test.
    server = await startPostgres({ fast: false });
    url = await server.database();
    await (await openPostgresStore({ url, clock })).close();
  });
  afterEach(() => emptyDatabase(url));
  afterAll(() => server.stop());

  async function fill(runs: number): Promise<void> {
    const opened = await openPostgresStore({ url, clock });
    await opened.store.admit(Array.from({ length: runs }, (_, n) => admission(`run_${n}`)));
    await opened.close();
  }

  /** Every run has ended once, with all its facts and each of them once. */
  async function expectAllDone(drivers: readonly Driver[], runs: number): Promise<void> {
    for (const { exit } of drivers) expect(await exit).toEqual([0, null]);
    const ended = drivers.flatMap(({ lines }) => lines.map((line) => line.split(" ")[0]));
    expect(new Set(ended).size).toBe(ended.length);
    const opened = await openPostgresStore({ url, clock });
    expect((await opened.reader.counts()).byStatus).toMatchObject({ completed: runs, queued: 0, running: 0 });
    expect(await opened.reader.counts()).toMatchObject({ ready: 0, leased: 0, resting: 0 });
    for (let n = 0; n < runs; n += 1) {
      const all = (await opened.reader.factsOf(`run_${n}`, { after: 0, limit: 100 })) ?? [];
      expect(all.map(({ seq }) => seq)).toEqual(Array.from({ length: FACTS_OF_A_RUN }, (_, i) => i + 1));
    }
    await opened.close();
  }

  it("two processes share one queue, and no run is driven twice", async () => {
    await fill(300);
    const drivers = Array.from({ length: PROCESSES }, () => startDriver(url));
    for (const { exit } of drivers) await exit;
    for (const { lines } of drivers) expect(lines.length).toBeGreaterThan(0);
    expect(drivers.flatMap(({ lines }) => lines)).toHaveLength(300);
    await expectAllDone(drivers, 300);
  });

  it("connections that are cut in a stream cost nothing but time", async () => {
    await fill(300);
    const drivers = Array.from({ length: PROCESSES }, () => startDriver(url));
    await until("the first runs", () => (drivers.every(({ lines }) => lines.length > 0) ? true : null));
    let cut = 0;
    for (let round = 0; round < 20; round += 1) {
      cut += await terminateAll(url);
      await sleep(20);
    }
    expect(cut).toBeGreaterThan(20);
    await expectAllDone(drivers, 300);
  });

  it("a server that crashes under load loses nothing that was answered", async () => {
    await fill(300);
    const drivers = Array.from({ length: PROCESSES }, () => startDriver(url));
    for (let crash = 0; crash < 3; crash += 1) {
      const before = drivers.flatMap(({ lines }) => lines).length;
      const all = () => drivers.flatMap(({ lines }) => lines).length;
      await until("some runs", () => (all() >= Math.min(before + 30, 299) ? true : null));
      await server.kill();
      await server.start();
    }
    await expectAllDone(drivers, 300);
  });

  it("a killed process's runs are taken over by the other", async () => {
    await fill(200);
    const [first, second] = [startDriver(url), startDriver(url)];
    await until("the first runs", () => (first.lines.length > 8 ? true : null));
    first.child.kill("SIGKILL");
    await first.exit;
    expect(await second.exit).toEqual([0, null]);
    const opened = await openPostgresStore({ url, clock });
    expect((await opened.reader.counts()).byStatus.completed).toBe(200);
    await opened.close();
  });

  it("what one process writes wakes another, also after its connections were cut", async () => {
    const [here, there] = [await openPostgresStore({ url, clock }), await openPostgresStore({ url, clock })];
    const hints: StoreHint[] = [];
    here.store.watch((hint) => hints.push(hint));
    const told = (kind: string, run: string) =>
      until(
        `${kind} of ${run}`,
        () => hints.find((h) => h.kind === kind && "run" in h && h.run === run) ?? null,
      );
    expect(here.wakeUp()).toBe("notify");
    await there.store.admit([admission("run_1")]);
    await told("facts", "run_1");
    expect(hints).toContainEqual({ kind: "ready" });
    await terminateAll(url);
    await until("listening again", () => (here.wakeUp() === "poll" ? true : null)).catch(() => undefined);
    await until("listening again", () => (here.wakeUp() === "notify" ? true : null));
    await there.store.admit([admission("run_2")]);
    await told("facts", "run_2");
    await here.close();
    await there.close();
  });

  it("a pooler that swallows notifications is found out, and waiting runs are looked for", async () => {
    const proxy = await startProxy(url, { dropNotifications: true });
    const told: string[] = [];
    const opened = await openPostgresStore({
      url: proxy.url,
      clock,
      onPolling: (why) => void told.push(why),
    });
    expect(opened.wakeUp()).toBe("poll");
    expect(told).toEqual([expect.stringContaining("pooler")]);
    const hints: StoreHint[] = [];
    opened.store.watch((hint) => hints.push(hint));
    const other = await openPostgresStore({ url, clock });
    await other.store.admit([admission("run_1")]);
    await until("a look", () => hints.find(({ kind }) => kind === "ready") ?? null);
    await other.close();
    await opened.close();
    await proxy.close();
  });

  it.each([true, false])(
    "an admission whose answer was lost is there once, and whoever it was leased to has it (%s)",
    async (standing) => {
      const proxy = await startProxy(url, {});
      const opened = await openPostgresStore({ url: proxy.url, clock });
      const { store, reader } = opened;
      await held(store);
      expect(await store.claim({ worker: "w", limit: 8, standing })).toEqual([]);
      proxy.cutAfterNextCommit();
      expect(await store.admit([admission("run_2")])).toEqual([{ kind: "created", id: "run_2" }]);
      expect(proxy.cuts).toBe(1);
      expect(await reader.counts()).toMatchObject(
        standing ? { ready: 0, leased: 2 } : { ready: 1, leased: 1 },
      );
      const [claim] = (await store.claim({ worker: "w", limit: 8 })) ?? [];
      if (claim === undefined) throw new Error("nobody has the run");
      const first = facts(2, [started("s")]);
      expect(await store.commit([commit(claim, { facts: first, started: true })])).toEqual([{ kind: "ok" }]);
      await store.leave("w");
      await opened.close();
      await proxy.close();
    },
  );

  it("a commit whose answer was lost with its connection is known to be committed", async () => {
    const proxy = await startProxy(url, {});
    const opened = await openPostgresStore({ url: proxy.url, clock, beats: "none" });
    const claim = await held(opened.store);
    // The next COMMIT reaches the server, and its answer nobody.
    proxy.cutAfterNextCommit();
    const entry = commit(claim, { facts: facts(2, [started("a")]) });
    expect(await opened.store.commit([entry])).toEqual([{ kind: "ok" }]);
    expect(proxy.cuts).toBe(1);
    expect(await opened.store.facts(claim.no, 0, 10)).toHaveLength(2);
    await opened.close();
    await proxy.close();
  });

  it("keeps neither locks nor connections of who is gone for longer than a lease, or than its machine is silent", async () => {
    const client = await connect({ url, name: "settings" });
    const { rows } = await client.query(
      `SELECT name, setting::integer AS ms FROM pg_settings
       WHERE name = ANY('{idle_in_transaction_session_timeout,tcp_keepalives_idle,tcp_user_timeout}')`,
    );
    await client.end();
    const of = Object.fromEntries(rows.map(({ name, ms }) => [name, ms]));
    expect(of.idle_in_transaction_session_timeout).toBeGreaterThan(LIMITS.beatMs);
    expect(of.idle_in_transaction_session_timeout).toBeLessThan(LIMITS.leaseTtlMs);
    // Not every system of a server can tell a silent machine from a quiet one; they say 0.
    expect(of.tcp_keepalives_idle).toBeLessThan(60);
    expect(of.tcp_user_timeout).toBeLessThan(60_000);
  });

  it("says unavailable when the server is gone for longer than its patience, and goes on afterwards", async () => {
    const opened = await openPostgresStore({ url, clock, beats: "none", patienceMs: 200 });
    const claim = await held(opened.store);
    await server.kill();
    const entry = commit(claim, { facts: facts(2, [started("a")]) });
    const gone = { failure: { code: "unavailable", retryable: true } };
    await expect(opened.store.commit([entry])).rejects.toMatchObject(gone);
    await expect(opened.store.admit([admission("run_2")])).rejects.toMatchObject(gone);
    await expect(opened.reader.run("run_1")).rejects.toMatchObject(gone);
    await server.start();
    expect(await opened.store.commit([entry])).toEqual([{ kind: "ok" }]);
    await opened.close();
  });

  it("refuses what is no database of ours", async () => {
    const sql = await lockOf(url);
    const failing = (code: string) => ({ failure: { code } });
    await sql.query("UPDATE meta SET value = value + 9999");
    await expect(openPostgresStore({ url, clock })).rejects.toMatchObject(failing("store_incompatible"));
    await sql.query("UPDATE meta SET value = value - 9999");
    await sql.end();
    const other = await server.database();
    const theirs = await lockOf(other);
    await theirs.query("CREATE TABLE run (name text)");
    await theirs.end();
    await expect(openPostgresStore({ url: other, clock })).rejects.toMatchObject(
      failing("store_incompatible"),
    );
    await expect(openPostgresStore({ url: "mysql://x/y", clock })).rejects.toMatchObject(
      failing("invalid_config"),
    );
    await expect(openPostgresStore({ url: `${url}_missing`, clock })).rejects.toMatchObject(
      failing("invalid_config"),
    );
    const nowhere = "postgres://postgres@127.0.0.1:1/x";
    await expect(openPostgresStore({ url: nowhere, clock })).rejects.toMatchObject(failing("unavailable"));
  });

  it("is brought up to date by one of several processes that open it at once", async () => {
    const fresh = await server.database();
    const all = await Promise.all([1, 2, 3].map(() => openPostgresStore({ url: fresh, clock })));
    await Promise.all(all.map((one) => one.close()));
  });
});
