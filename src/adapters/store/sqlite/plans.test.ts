import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { manualClock } from "../../../contracts/run-store-suite/fixtures.suite.ts";
import { openSqliteStore } from "./open.ts";
import { listSql } from "./reader.ts";

/**
 * Every statement the store prepares is asked for its plan: none reads a table or an index from end to end, or sorts,
 * except those named here, whose tables are small by nature.
 */
const SMALL = [
  // A handful of rows: the counters, the workers, and what the workers hold (slots × workers).
  /FROM counter/,
  /FROM worker ORDER BY id/,
  /FROM lease\s+WHERE NOT EXISTS/,
  // One row a process, and one a duty.
  /FROM (member|leader)\b/,
  /^SELECT coalesce\(\S+, CAST\(unixepoch/,
  // One row a name of a workflow.
  /FROM workflow_latest/,
  // Read once, when the file is opened.
  /sqlite_schema/,
  // Empty outside the transaction of a prune.
  /DELETE FROM pruning/,
];

let folder: string;
let statements: Set<string>;
let path: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "agent-runner-plans-"));
  path = join(folder, "runs.db");
  statements = new Set();
  const prepare = DatabaseSync.prototype.prepare;
  const spy = vi.spyOn(DatabaseSync.prototype, "prepare").mockImplementation(function (
    this: DatabaseSync,
    sql: string,
  ): StatementSync {
    statements.add(sql);
    return prepare.call(this, sql);
  });
  const opened = await openSqliteStore({ path, clock: manualClock(), beats: "none" });
  await opened.close();
  spy.mockRestore();
  const keys = ["parent", "status", "workflow", "tenant"] as const;
  for (let set = 0; set < 16; set += 1) {
    statements.add(
      listSql(Object.fromEntries(keys.filter((_, bit) => set & (1 << bit)).map((key) => [key, "x"]))),
    );
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("no hot statement scans or sorts", () => {
  const sql = new DatabaseSync(path);
  const explain = (statement: string): string[] =>
    sql
      .prepare(`EXPLAIN QUERY PLAN ${statement}`)
      .all()
      .map((row) => String(row.detail));
  const asked = [...statements].filter((one) => /^\s*(SELECT|INSERT|UPDATE|DELETE)/.test(one));
  expect(asked.length).toBeGreaterThan(60);
  const offenders: string[] = [];
  for (const statement of asked) {
    if (SMALL.some((small) => small.test(statement))) continue;
    for (const step of explain(statement)) {
      // What a limited subquery gave is read once.
      if (!/^SCAN|TEMP B-TREE/.test(step) || /^SCAN \(subquery/.test(step)) continue;
      // In the order of its key and with a limit, a scan reads no more than is asked for.
      const ordered = /ORDER BY|max\(id\)|^SELECT 1 FROM ready LIMIT 1/.test(statement) && !/TEMP/.test(step);
      if (!(ordered && /LIMIT|max\(id\)/.test(statement))) offenders.push(`${step} <- ${statement}`);
    }
  }
  expect(offenders).toEqual([]);
  sql.close();
});
