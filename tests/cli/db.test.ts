import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newestSchema } from "../../src/adapters/store/sql/migrations.ts";
import { openSqliteStore } from "../../src/adapters/store/sqlite/open.ts";
import { manualClock } from "../../src/contracts/run-store-suite/fixtures.suite.ts";
import { Desk } from "../support/cli.ts";
import { fillStore } from "../support/many-runs.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

interface Copied {
  readonly rows: number;
  readonly sha256: string;
  readonly target: string;
}

describe("agent-runner db", () => {
  let desk: Desk;
  let server: TestPostgres;
  let path: string;
  let url: string;
  const newest = newestSchema("sqlite");
  const refused = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const ended = await desk.run([...args, "--json"], { env });
    expect(ended.code).not.toBe(0);
    return (JSON.parse(ended.stderr) as { error: { code: string; message: string; remedy: string } }).error;
  };
  const meta = (sql: string) => {
    const db = new DatabaseSync(path);
    db.exec(sql);
    db.close();
  };

  beforeAll(async () => {
    desk = new Desk();
    server = await startPostgres();
    url = (await server.database()).replace("postgres@", "postgres:secret@");
    expect(await desk.json(["db", "migrate"])).toEqual({ from: 0, to: newest });
    path = join(desk.data, "agent-runner.db");
    const opened = await openSqliteStore({ path, clock: manualClock(), beats: "none" });
    await fillStore(opened.store, 100);
    await opened.close();
  });
  afterAll(async () => {
    await server.stop();
    await desk.close();
  });

  it("tells where the data is and what is in it", async () => {
    expect(await desk.json(["db", "status"])).toMatchObject({
      kind: "sqlite",
      address: path,
      schema: { version: newest },
      newest_schema: newest,
      pending_migrations: [],
      half_done_copy: false,
      runs: { completed: 94, failed: 1, queued: 2, running: 4 },
      oldest_open_run: { id: "run_000000000001" },
      users: [],
    });
    const text = await desk.run(["db", "status"]);
    expect(text.stdout).toMatch(/oldest open run +run_000000000001, since 2023/);
  });

  it("tells of PostgreSQL too, without the password, and of what is to be done there", async () => {
    const env = { DATABASE_URL: url };
    const empty = await desk.json<{ pending_migrations: string[] }>(["db", "status"], 0, { env });
    expect(empty).toMatchObject({ kind: "postgres", schema: { version: 0 }, runs: null });
    expect(empty.pending_migrations[0]).toBe("0001-runs");
    expect(JSON.stringify(empty)).not.toContain("secret");
    expect(await desk.json(["db", "migrate"], 0, { env })).toEqual({ from: 0, to: newest });
    expect(await desk.json(["db", "migrate"], 0, { env })).toEqual({ from: newest, to: newest });
  });

  it("moves to PostgreSQL and back by a dump and by a copy, all of the same content", async () => {
    const there = await desk.json<Copied>(["db", "copy", "--from", `sqlite:${path}`, "--to", url]);
    expect(there.target).not.toContain("secret");
    const dump = join(desk.root, "store.dump");
    const env = { DATABASE_URL: url };
    const saved = await desk.json<{ content_sha256: string }>(["db", "backup", "--out", dump], 0, { env });
    expect(saved).toMatchObject({ kind: "dump", rows: there.rows, content_sha256: there.sha256 });
    const other = ["--data", join(desk.root, "other")];
    const restored = await desk.json<Copied>([...other, "db", "restore", dump]);
    expect(restored).toMatchObject({ rows: there.rows, sha256: there.sha256 });
    const runs = await desk.json<{ runs: unknown[] }>([...other, "runs", "--limit", "200"]);
    expect(runs.runs).toHaveLength(101);
    appendFileSync(dump, "x");
    expect(await refused(["--data", join(desk.root, "third"), "db", "restore", dump])).toMatchObject({
      code: "store_corrupt",
    });
  });

  it("backs up a file while it is open, with the artifacts, and refuses to write over one", async () => {
    desk.file("data/artifacts/ab/abcd", "content");
    const opened = await openSqliteStore({ path, clock: manualClock(), beats: "none" });
    const out = join(desk.root, "backup.db");
    const saved = await desk.json(["db", "backup", "--out", out, "--artifacts"]);
    await opened.close();
    expect(saved).toMatchObject({ kind: "sqlite", artifacts: `${out}.artifacts` });
    expect(existsSync(`${out}-wal`)).toBe(false);
    expect(await refused(["db", "backup", "--out", out])).toMatchObject({ code: "store_not_empty" });
    const fourth = join(desk.root, "fourth");
    await desk.json(["--data", fourth, "db", "restore", out, "--artifacts"]);
    expect(existsSync(join(fourth, "artifacts/ab/abcd"))).toBe(true);
    expect(await refused(["db", "restore", out])).toMatchObject({ code: "store_not_empty" });
  });

  it("refuses a file that a server works on", async () => {
    const serving = desk.start(["start", "--port", "0", "--no-worker"]);
    await serving.says(/agent-runner .* on http/);
    const copy = ["db", "copy", "--from", `sqlite:${path}`, "--to", `sqlite:${join(desk.root, "no.db")}`];
    expect(await refused(copy)).toMatchObject({ code: "store_in_use" });
    serving.child.kill("SIGTERM");
    await serving.ended;
  });

  it("leaves an older schema alone when it is told to, and says the command", async () => {
    meta(`UPDATE meta SET value = ${newest - 1} WHERE key = 'schema_version'`);
    const env = { AGENT_RUNNER_MIGRATE: "off" };
    expect(await refused(["runs"], env)).toMatchObject({
      code: "store_outdated",
      remedy: expect.stringContaining("agent-runner db migrate"),
    });
    meta(`UPDATE meta SET value = ${newest} WHERE key = 'schema_version'`);
    await desk.json(["runs"], 0, { env });
  });

  it("works on a newer schema that does not break it, and refuses one that does", async () => {
    meta("UPDATE meta SET value = 99 WHERE key = 'schema_version'");
    await desk.json(["runs"]);
    meta("UPDATE meta SET value = 99 WHERE key = 'min_compatible'");
    expect(await refused(["runs"])).toMatchObject({
      code: "store_incompatible",
      message: expect.stringContaining(`this one knows up to ${newest}`),
    });
  });
});
