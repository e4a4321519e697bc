import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startPostgres, type TestPostgres } from "../../../../tests/support/postgres.ts";
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
} from "../../../contracts/run-store-suite/fixtures.suite.ts";
import { openPostgresStore, type PostgresStore } from "./open.ts";

/** Class 23: a constraint, or a law of ours, was broken. */
const INTEGRITY = /^23/;

/** The laws hold for whoever writes, also past our code: a person with a SQL shell, or a defect of ours. */
describe("PostgreSQL itself refuses", () => {
  let server: TestPostgres;
  let opened: PostgresStore;
  let sql: pg.Client;

  beforeAll(async () => {
    server = await startPostgres();
    const url = await server.database();
    opened = await openPostgresStore({ url, clock: manualClock(), beats: "none" });
    const claim = await held(opened.store);
    const done = facts(2, [started("a"), succeeded("a")]);
    const request = { id: "apr_1", title: "?", details: null, risk: "low", expiresAt: null } as const;
    const approvals = [{ step: "a", request }];
    await opened.store.commit([commit(claim, { facts: done, started: true, approvals })]);
    await opened.store.answerApproval({ approval: "apr_1", answer: "denied", by: "a", comment: "", at: 1 });
    await opened.store.admit([admission("run_2"), admission("run_3")]);
    const [second] = (await opened.store.claim({ worker: "w", limit: 1 })) ?? [];
    if (second === undefined) throw new Error("nothing to claim");
    await opened.store.commit([
      commit(second, { facts: facts(2, [{ kind: "run_completed", output: null }]), next: COMPLETED }),
    ]);
    sql = new pg.Client({ connectionString: url });
    await sql.connect();
  });
  afterAll(async () => {
    await sql?.end();
    await opened?.close();
    await server?.stop();
  });

  // run 1 is held and running, run 2 has ended, run 3 is ready.
  const fact = (columns: string) =>
    `INSERT INTO journal (run_no, seq, at, kind, step, attempt, token, body) VALUES (${columns})`;
  const breaches: Readonly<Record<string, string>> = {
    "a status that does not exist": "UPDATE run SET status = 'paused' WHERE no = 1",
    "a run that begins anywhere but queued":
      "INSERT INTO run (no, id, tenant, queue, priority, vt, workflow, workflow_version, workflow_hash, title, status, created_at) VALUES (9, 'x', '', '', 0, 9, '', '', '', '', 'running', 0)",
    "a run that goes back": "UPDATE run SET status = 'queued' WHERE no = 1",
    "a change to an ended run": "UPDATE run SET title = 'rewritten' WHERE no = 2",
    "an ended run that runs again": "UPDATE run SET status = 'running', ended_at = NULL WHERE no = 2",
    "another name for a run": "UPDATE run SET id = 'run_9' WHERE no = 1",
    "an end while the run is held": "UPDATE run SET status = 'failed', ended_at = 1 WHERE no = 1",
    "an end while the run is ready": "UPDATE run SET status = 'failed', ended_at = 1 WHERE no = 3",
    "the loss of a run": "DELETE FROM run WHERE no = 2",
    "the loss of all runs": "TRUNCATE run",
    "a change to the journal": "UPDATE journal SET body = '{}' WHERE run_no = 1 AND seq = 2",
    "a hole in the journal": "DELETE FROM journal WHERE run_no = 1 AND seq = 3",
    "the loss of the journal": "TRUNCATE journal",
    "a gap in seq": fact("1, 5, 0, 'noted', 'a', NULL, 9, '{}'"),
    "a gap in a batch": `${fact("1, 4, 0, 'noted', 'a', NULL, 9, '{}'")}, (1, 6, 0, 'noted', 'a', NULL, 9, '{}')`,
    "a seq twice": fact("1, 3, 0, 'noted', 'a', NULL, 9, '{}'"),
    "an older fence token": fact("1, 4, 0, 'noted', 'a', NULL, 0, '{}'"),
    "a fact after the end": fact("2, 3, 0, 'noted', 'a', NULL, 9, '{}'"),
    "a second run_queued": fact("1, 4, 0, 'run_queued', NULL, NULL, 9, '{}'"),
    "a journal without a run": fact("77, 1, 0, 'run_queued', NULL, NULL, 9, '{}'"),
    "a step that ends twice": fact("1, 4, 0, 'step_failed', 'a', 1, 9, '{}'"),
    "a step that starts after its end": fact("1, 4, 0, 'step_started', 'a', 2, 9, '{}'"),
    "a step's end that names no step": fact("1, 4, 0, 'step_failed', NULL, 1, 9, '{}'"),
    "a held run that is ready":
      "INSERT INTO ready (lane, priority, vt, run_no, gated) VALUES (0, 0, 0, 1, false)",
    "a held run that rests": "INSERT INTO rest (run_no, waiting_for) VALUES (1, '[]')",
    "a ready run that rests": "INSERT INTO rest (run_no, waiting_for) VALUES (3, '[]')",
    "an ended run that is ready":
      "INSERT INTO ready (lane, priority, vt, run_no, gated) VALUES (0, 0, 0, 2, false)",
    "a run that is ready twice":
      "INSERT INTO ready (lane, priority, vt, run_no, gated) VALUES (0, 0, 0, 3, false)",
    "a place in the queue that changes": "UPDATE ready SET vt = 0",
    "a lease on a run that is still in the queue":
      "INSERT INTO lease (run_no, token, worker) VALUES (3, 99, 'w')",
    "a lease for a worker it does not know":
      "WITH gone AS (DELETE FROM ready WHERE run_no = 3) INSERT INTO lease (run_no, token, worker) VALUES (3, 99, 'stranger')",
    "a lease that changes hands": "UPDATE lease SET token = 99 WHERE run_no = 1",
    "a message to an ended run":
      "INSERT INTO inbox (run_no, id, kind, name, body, sender, at) VALUES (2, 'm', 'signal', '', '{}', '', 0)",
    "a second answer to an approval": "UPDATE approval SET status = 'approved' WHERE id = 'apr_1'",
    "the pruning of an open run": "INSERT INTO pruning (run_no) VALUES (1)",
  };
  for (const [name, statement] of Object.entries(breaches)) {
    it(name, async () => {
      await expect(sql.query(statement)).rejects.toMatchObject({ code: expect.stringMatching(INTEGRITY) });
      const { rows } = await sql.query("SELECT count(*)::int AS n FROM journal");
      expect(rows).toEqual([{ n: 6 }]);
    });
  }

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
    const blobs = async () => (await sql.query("SELECT count(*)::int AS n FROM blob")).rows[0].n as number;
    expect(await blobs()).toBeGreaterThan(2);
    expect(await store.prune(0, 10)).toBe(0);
    expect(await store.prune(Number.MAX_SAFE_INTEGER, 1)).toBe(1);
    expect(await reader.run("run_2")).toBeNull();
    expect(await store.prune(Number.MAX_SAFE_INTEGER, 10)).toBe(1);
    expect(await reader.factsOf("run_3", { after: 0, limit: 1 })).toBeNull();
    expect((await reader.counts()).byStatus).toMatchObject({ running: 1, queued: 1, completed: 0 });
    // The blob of what is still there is still there.
    expect(await blobs()).toBe(1);
    expect(await reader.factsOf("run_4", { after: 0, limit: 1 })).toMatchObject([
      { request: { inputs: output } },
    ]);
  });
});
