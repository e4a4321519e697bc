import { DatabaseSync } from "node:sqlite";

/**
 * Puts `count` finished runs of one step into a closed database by SQL: what the engine would have left, without
 * the days it would have taken. Triggers are dropped for it and put back as they were.
 */
export function fillFinishedRuns(path: string, count: number): void {
  const db = new DatabaseSync(path);
  db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-400000");
  const triggers = db.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all() as {
    name: string;
    sql: string;
  }[];
  for (const { name } of triggers) db.exec(`DROP TRIGGER "${name}"`);
  const { last } = db.prepare("SELECT coalesce(max(no), 0) AS last FROM run").get() as { last: number };
  db.exec("BEGIN");
  db.prepare(`
    WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    INSERT INTO run (no, id, tenant, queue, priority, vt, workflow, workflow_version, workflow_hash, title, status,
                     created_at, started_at, ended_at, result)
    SELECT i, printf('run_%020d', i), 'default', 'default', 5, 0, 'old', '1', 'old', 'old', 'completed', i, i, i + 5,
           '{"output":null,"failure":null}' FROM n`).run(last + 1, last + count);
  const journal = db.prepare("PRAGMA table_info(journal)").all() as { name: string }[];
  const columns = journal.map((column) => column.name);
  const fill = (seq: number, kind: string, step: string | null, body: string) => {
    const value: Readonly<Record<string, string>> = {
      run_no: "no",
      seq: String(seq),
      at: "created_at",
      kind: `'${kind}'`,
      step: step === null ? "NULL" : `'${step}'`,
      attempt: step === null ? "NULL" : "1",
      token: "1",
      body: `'${body}'`,
    };
    const used = columns.filter((name) => value[name] !== undefined);
    db.exec(
      `INSERT INTO journal (${used.join(", ")}) SELECT ${used.map((name) => value[name]).join(", ")} FROM run WHERE no > ${last}`,
    );
  };
  fill(
    1,
    "run_queued",
    null,
    '{"request":{"workflow":{"name":"old","version":"1","hash":"old"},"inputs":{},"title":"old"}}',
  );
  fill(2, "run_started", null, '{"worker":"old"}');
  fill(3, "step_started", "a", '{"input":{}}');
  fill(4, "step_succeeded", "a", '{"output":{"done":true}}');
  fill(5, "run_completed", null, '{"output":{}}');
  db.prepare("UPDATE counter SET value = value + ? WHERE name = 'completed'").run(count);
  db.exec("COMMIT");
  for (const { sql } of triggers) db.exec(sql);
  db.exec("PRAGMA wal_checkpoint(TRUNCATE); ANALYZE");
  db.close();
}
