import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  admission,
  COMPLETED,
  commit,
  facts,
  held,
  manualClock,
  signal,
  started,
  succeeded,
  worker,
} from "../../../contracts/run-store-suite/fixtures.suite.ts";
import { openSqliteStore, type SqliteStore } from "./open.ts";

const SQLITE_CONSTRAINT = 19;

/** The primary result code of what SQLite threw; 0 when it did not. */
function resultOf(work: () => void): number {
  try {
    work();
    return 0;
  } catch (error) {
    return (error as { errcode: number }).errcode & 0xff;
  }
}

/** The laws hold for whoever writes to the file, also past our code: a person with a SQL shell, or a defect of ours. */
describe("the database itself refuses", () => {
  let folder: string;
  let opened: SqliteStore;
  let sql: DatabaseSync;
  const clock = manualClock();

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "agent-runner-laws-"));
    const path = join(folder, "runs.db");
    opened = await openSqliteStore({ path, clock, beats: "none" });
    const claim = await held(opened.store);
    const done = facts(2, [started("a"), succeeded("a")]);
    await opened.store.commit([commit(claim, { facts: done, started: true })]);
    await opened.store.admit([admission("run_2"), admission("run_3")]);
    const [second] = (await opened.store.claim({ worker: "w", limit: 1 })) ?? [];
    if (second === undefined) throw new Error("nothing to claim");
    await opened.store.commit([
      commit(second, { facts: facts(2, [{ kind: "run_completed", output: null }]), next: COMPLETED }),
    ]);
    sql = new DatabaseSync(path);
  });
  afterEach(async () => {
    sql.close();
    await opened.close();
    rmSync(folder, { recursive: true, force: true });
  });

  // run 1 is held and running, run 2 has ended, run 3 is ready.
  const fact = (columns: string) =>
    `INSERT INTO journal (run_no, seq, at, kind, step, attempt, token, body) VALUES (${columns})`;
  const breaches: Readonly<Record<string, string>> = {
    "a status that does not exist": "UPDATE run SET status = 'paused' WHERE no = 1",
    "a run that begins anywhere but queued":
      "INSERT INTO run (id, tenant, queue, priority, vt, workflow, workflow_version, workflow_hash, title, status, created_at) VALUES ('x', '', '', 0, 9, '', '', '', '', 'running', 0)",
    "a run that goes back": "UPDATE run SET status = 'queued' WHERE no = 1",
    "a change to an ended run": "UPDATE run SET title = 'rewritten' WHERE no = 2",
    "an ended run that runs again": "UPDATE run SET status = 'running', ended_at = NULL WHERE no = 2",
    "another name for a run": "UPDATE run SET id = 'run_9' WHERE no = 1",
    "an end while the run is held": "UPDATE run SET status = 'failed', ended_at = 1 WHERE no = 1",
    "an end while the run is ready": "UPDATE run SET status = 'failed', ended_at = 1 WHERE no = 3",
    "the loss of a run": "DELETE FROM run WHERE no = 2",
    "a change to the journal": "UPDATE journal SET body = '{}' WHERE run_no = 1 AND seq = 2",
    "a hole in the journal": "DELETE FROM journal WHERE run_no = 1 AND seq = 3",
    "a gap in seq": fact("1, 5, 0, 'noted', 'a', NULL, 9, '{}'"),
    "a seq twice": fact("1, 3, 0, 'noted', 'a', NULL, 9, '{}'"),
    "an older fence token": fact("1, 4, 0, 'noted', 'a', NULL, 0, '{}'"),
    "a fact after the end": fact("2, 3, 0, 'noted', 'a', NULL, 9, '{}'"),
    "a second run_queued": fact("1, 4, 0, 'run_queued', NULL, NULL, 9, '{}'"),
    "a journal without a run": fact("77, 1, 0, 'run_queued', NULL, NULL, 9, '{}'"),
    "a step that ends twice": fact("1, 4, 0, 'step_failed', 'a', 1, 9, '{}'"),
    "a step that starts after its end": fact("1, 4, 0, 'step_started', 'a', 2, 9, '{}'"),
    "a step's end that names no step": fact("1, 4, 0, 'step_failed', NULL, 1, 9, '{}'"),
    "a held run that is ready":
      "INSERT INTO ready (lane, priority, vt, run_no, gated) VALUES (0, 0, 0, 1, 0)",
    "a held run that rests": "INSERT INTO rest (run_no, waiting_for) VALUES (1, '[]')",
    "a ready run that rests": "INSERT INTO rest (run_no, waiting_for) VALUES (3, '[]')",
    "an ended run that is ready":
      "INSERT INTO ready (lane, priority, vt, run_no, gated) VALUES (0, 0, 0, 2, 0)",
    "a run that is ready twice":
      "INSERT INTO ready (lane, priority, vt, run_no, gated) VALUES (0, 0, 0, 3, 0)",
    "a lease on a run that is still in the queue":
      "INSERT INTO lease (run_no, token, worker) VALUES (3, 99, 'w')",
    "a lease that changes hands": "UPDATE lease SET token = 99 WHERE run_no = 1",
    "a message to an ended run":
      "INSERT INTO inbox (ord, run_no, id, kind, name, body, sender, at) VALUES (9, 2, 'm', 'signal', '', '{}', '', 0)",
    "a fence that shrinks": "UPDATE counter SET value = 0 WHERE name = 'fence'",
    "the pruning of an open run": "INSERT INTO pruning (run_no) VALUES (1)",
  };
  for (const [name, statement] of Object.entries(breaches)) {
    it(name, async () => {
      expect(resultOf(() => sql.exec(statement))).toBe(SQLITE_CONSTRAINT);
      expect(sql.prepare("SELECT count(*) AS n FROM journal").get()).toEqual({ n: 6 });
    });
  }

  it("a lease for a worker it does not know", () => {
    sql.exec("BEGIN; DELETE FROM ready WHERE run_no = 3");
    expect(() => sql.exec("INSERT INTO lease (run_no, token, worker) VALUES (3, 99, 'stranger')")).toThrow(
      /known worker/,
    );
    sql.exec("ROLLBACK");
  });

  it("a second answer to an approval", async () => {
    await opened.store.join(worker("w"));
    const [claim] = (await opened.store.claim({ worker: "w", limit: 1 })) ?? [];
    const request = { id: "apr_1", title: "?", details: null, risk: "low", expiresAt: null } as const;
    if (claim !== undefined)
      await opened.store.commit([commit(claim, { approvals: [{ step: "a", request }] })]);
    sql.exec("UPDATE approval SET status = 'denied' WHERE id = 'apr_1'");
    expect(() => sql.exec("UPDATE approval SET status = 'approved' WHERE id = 'apr_1'")).toThrow(
      /answered once/,
    );
  });

  it("to forget what a prune has not taken, and a prune takes ended runs only, with all that is theirs", async () => {
    const { store, reader } = opened;
    const output = "x".repeat(10_000);
    const [third] = (await store.claim({ worker: "w", limit: 1 })) ?? [];
    if (third === undefined) throw new Error("nothing to claim");
    await store.post([signal("run_3", "s")]);
    await store.commit([
      commit(third, {
        facts: facts(2, [succeeded("a", output), { kind: "run_completed", output }]),
        next: { kind: "end", status: "completed", output, failure: null },
      }),
    ]);
    await store.admit([admission("run_4", { inputs: output })]);
    const blobs = () => sql.prepare("SELECT count(*) AS n FROM blob").get() as { n: number };
    expect(blobs().n).toBeGreaterThan(2);
    expect(await store.prune(0, 10)).toBe(0);
    expect(await store.prune(Number.MAX_SAFE_INTEGER, 1)).toBe(1);
    expect(await reader.run("run_2")).toBeNull();
    expect(await store.prune(Number.MAX_SAFE_INTEGER, 10)).toBe(1);
    expect(await reader.run("run_3")).toBeNull();
    expect(await reader.factsOf("run_3", { after: 0, limit: 1 })).toBeNull();
    expect((await reader.counts()).byStatus).toMatchObject({ running: 1, queued: 1, completed: 0 });
    // The blob of what is still there is still there.
    expect(blobs().n).toBe(1);
    expect(await reader.factsOf("run_4", { after: 0, limit: 1 })).toMatchObject([
      { request: { inputs: output } },
    ]);
    expect(sql.prepare("SELECT count(*) AS n FROM pruning").get()).toEqual({ n: 0 });
  });
});
