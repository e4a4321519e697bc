import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Json } from "../../../base/json.ts";
import {
  admission,
  commit,
  facts,
  held,
  manualClock,
  signal,
  started,
} from "../../../contracts/run-store-suite/fixtures.suite.ts";
import { openSqliteStore } from "./open.ts";

describe("the SQLite store in trouble", () => {
  let folder: string;
  let path: string;
  const open = (busyTimeoutMs = 20) =>
    openSqliteStore({ path, clock: manualClock(), beats: "none", busyTimeoutMs });
  const failsWith = (code: string) => ({
    name: "FailureError",
    failure: { code, message: expect.any(String) },
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "agent-runner-trouble-"));
    path = join(folder, "runs.db");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("keeps everything over a restart", async () => {
    const first = await open();
    const claim = await held(first.store);
    await first.store.commit([commit(claim, { facts: facts(2, [started("a")]), started: true })]);
    await first.close();
    const second = await open();
    expect(await second.reader.run("run_1")).toMatchObject({ status: "running" });
    expect(await second.store.facts(claim.no, 0, 10)).toHaveLength(2);
    const entry = commit(claim, { facts: facts(3, [started("b")]) });
    expect(await second.store.commit([entry])).toEqual([{ kind: "ok" }]);
    await second.close();
  });

  it("refuses a database of a newer agent-runner, of another program, and what is no database", async () => {
    await (await open()).close();
    const sql = new DatabaseSync(path);
    sql.exec("UPDATE meta SET value = 9999");
    sql.close();
    await expect(open()).rejects.toMatchObject(failsWith("store_incompatible"));

    path = join(folder, "other.db");
    const other = new DatabaseSync(path);
    other.exec("CREATE TABLE customers (name TEXT)");
    other.close();
    await expect(open()).rejects.toMatchObject(failsWith("store_incompatible"));

    path = join(folder, "text.db");
    writeFileSync(path, "this is no database, but it is long enough to look like one ".repeat(50));
    await expect(open()).rejects.toMatchObject(failsWith("store_corrupt"));
  });

  it("refuses a path that cannot hold a database", async () => {
    for (const bad of ["", ":memory:"]) {
      path = bad;
      await expect(open()).rejects.toMatchObject(failsWith("invalid_config"));
    }
    path = join(folder, "no", "such", "folder.db");
    await expect(open()).rejects.toMatchObject(failsWith("unavailable"));
  });

  it("says unavailable while another process holds the file, writes nothing, and goes on afterwards", async () => {
    const { store, close } = await open();
    const claim = await held(store);
    const entry = commit(claim, { facts: facts(2, [started("a")]) });
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    await expect(store.commit([entry])).rejects.toMatchObject(failsWith("unavailable"));
    await expect(store.admit([admission("run_2")])).rejects.toMatchObject(failsWith("unavailable"));
    await expect(store.post([signal("run_1", "s")])).rejects.toMatchObject(failsWith("unavailable"));
    // Reading goes on meanwhile.
    expect(await store.facts(claim.no, 0, 10)).toHaveLength(1);
    other.exec("ROLLBACK");
    other.close();
    expect(await store.commit([entry])).toEqual([{ kind: "ok" }]);
    await close();
  });

  it("says corrupt when a stored body is damaged", async () => {
    const { store, reader, close } = await open();
    await store.admit([admission("run_1", { inputs: "x".repeat(10_000) })]);
    const sql = new DatabaseSync(path);
    sql.exec("DROP TRIGGER blob_is_never_changed; UPDATE blob SET data = zeroblob(20), enc = 'plain'");
    await expect(reader.factsOf("run_1", { after: 0, limit: 1 })).rejects.toMatchObject(
      failsWith("store_corrupt"),
    );
    sql.exec("DELETE FROM blob");
    await expect(reader.factsOf("run_1", { after: 0, limit: 1 })).rejects.toMatchObject(
      failsWith("store_corrupt"),
    );
    sql.close();
    await close();
  });

  it("refuses values that no JSON is made of, entry by entry", async () => {
    const { store, close } = await open();
    const claim = await held(store);
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    for (const bad of [cycle, 7n, undefined]) {
      const output = bad as Json;
      const next = { kind: "end", status: "completed", output: "fine", failure: null } as const;
      const poisoned = facts(2, [{ kind: "signal_received", id: "s", name: "n", body: output, from: "x" }]);
      const answers = await store.commit([commit(claim, { facts: poisoned, next }), commit(claim)]);
      // An undefined member is left out, as JSON does; a cycle and a BigInt are refused.
      if (bad === undefined) expect(answers[0]).toEqual({ kind: "ok" });
      else
        expect(answers).toMatchObject([
          { kind: "refused", failure: { code: "invalid_request" } },
          { kind: "ok" },
        ]);
    }
    const posting = { ...signal("run_2", "s"), body: 7n as unknown as Json };
    await store.admit([admission("run_2")]);
    await expect(store.post([posting])).rejects.toMatchObject(failsWith("invalid_request"));
    await close();
  });
});
