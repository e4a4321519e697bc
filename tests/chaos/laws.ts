import pg from "pg";

/** Laws over the whole database, beside those that its triggers keep. */
const LAWS = {
  "a token of one run in another": `SELECT token FROM journal WHERE token > 0 GROUP BY token HAVING count(DISTINCT run_no) > 1`,
  "a journal with gaps": `SELECT run_no FROM journal GROUP BY run_no HAVING max(seq) <> count(*)`,
  "an older token after a newer": `SELECT run_no FROM (SELECT run_no, token, lag(token) OVER (PARTITION BY run_no ORDER BY seq) AS before
     FROM journal) AS steps WHERE token < before`,
  "an end that is not one": `SELECT run_no FROM journal WHERE kind IN ('run_completed', 'run_failed', 'run_canceled') GROUP BY run_no HAVING count(*) <> 1`,
  "something left of an ended run": `SELECT no FROM run WHERE ended_at IS NOT NULL AND (
     no IN (SELECT run_no FROM lease) OR no IN (SELECT run_no FROM ready) OR no IN (SELECT run_no FROM rest)
     OR no IN (SELECT run_no FROM inbox))`,
  "a question nobody can answer": `SELECT id FROM approval WHERE status = 'pending'`,
  "counters that do not count": `SELECT 1 FROM (SELECT sum(queued) AS queued, sum(running) AS running, sum(ready) AS ready FROM counter) AS sums
     WHERE queued <> 0 OR running <> 0 OR ready <> 0`,
} as const;

/** What the database as a whole says of itself that must not be, once every run has ended. */
export async function brokenLaws(url: string): Promise<readonly string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const wrong: string[] = [];
    for (const [law, sql] of Object.entries(LAWS)) {
      const { rows } = await client.query(sql);
      if (rows.length > 0) wrong.push(`${law}: ${JSON.stringify(rows.slice(0, 5))}`);
    }
    return wrong;
  } finally {
    await client.end();
  }
}
