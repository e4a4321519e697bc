import type pg from "pg";
import { FailureError, failure } from "../../../domain/errors.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { shownAddress } from "../postgres/address.ts";
import { storeFailure } from "../postgres/failures.ts";
import { migrate, schemaState } from "../postgres/migrate.ts";
import { connect } from "../postgres/session.ts";
import type { Details, Progress, Sequences, Source, Target } from "./ends.ts";
import { FAIR_SHARE_SINCE, movedOn, type Step, unmoved } from "./progress.ts";
import { type Cell, type ColumnType, type Row, type Table, tablesAt } from "./tables.ts";
import { type HeardOf, hasMembers, usersOf } from "./users.ts";

/** One statement of a copy may read or write a whole batch; counting a large table takes longest. */
const ANSWER_MS = 600_000;
/** Against two copies into the same database. */
const COPY_LOCK = "SELECT pg_try_advisory_lock(4715, 3) AS locked";
const ARRAYS: Readonly<Record<ColumnType, string>> = {
  int: "bigint[]",
  text: "text[]",
  bool: "boolean[]",
  bytes: "bytea[]",
};
const SEQUENCES = `SELECT
  (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM fence) AS fence,
  (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM arrival) AS arrival,
  (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM run_no) AS run,
  (SELECT coalesce(max(vt), 0) FROM run) AS vt,
  (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM approval_ord_seq) AS approval`;
const SET_SEQUENCE = "SELECT setval($1::regclass, greatest($2::bigint, 1), $2::bigint > 0)";
const SETTLE_COUNTERS = `UPDATE counter SET ready = (SELECT count(*) FROM ready),
  queued = (SELECT count(*) FROM run WHERE status = 'queued'),
  running = (SELECT count(*) FROM run WHERE status = 'running'),
  completed = (SELECT count(*) FROM run WHERE status = 'completed'),
  failed = (SELECT count(*) FROM run WHERE status = 'failed'),
  canceled = (SELECT count(*) FROM run WHERE status = 'canceled') WHERE shard = 0`;
/** By the database's own clock, which they beat and report by. */
const heardOf = (table: string, at: string) => `SELECT id, host, pid, process_start FROM ${table}
  WHERE ${at} >= (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1 ORDER BY id`;

/** Runs that have not begun, by tenant and class. */
const COUNT_WAITING = `INSERT INTO waiting (tenant, priority, shard, n)
  SELECT tenant, priority, 0, count(*) FROM run WHERE status = 'queued' GROUP BY tenant, priority
  ON CONFLICT (tenant, priority, shard) DO UPDATE SET n = excluded.n`;
/** By the index of each status: a history of millions is not looked at. */
const OLDEST_OPEN = `SELECT id, created_at FROM (
    (SELECT no, id, created_at FROM run WHERE status = 'queued' ORDER BY no LIMIT 1)
    UNION ALL (SELECT no, id, created_at FROM run WHERE status = 'running' ORDER BY no LIMIT 1)) AS open
  ORDER BY no LIMIT 1`;

async function open(url: string, name: string): Promise<pg.Client> {
  const client = await connect({ url, name, answerMs: ANSWER_MS });
  // A copy is one long piece of work: it holds a snapshot, reads everything, and may wait for its other end, with what
  // was sent to it unread.
  await client.query(
    `SET statement_timeout = ${ANSWER_MS}; SET idle_in_transaction_session_timeout = 0; SET tcp_user_timeout = 0`,
  );
  return client;
}

/** What a database that is read and one that is written have in common. */
class PostgresEnd implements Source {
  readonly name: string;
  readonly schema: number;
  readonly client: pg.Client;

  constructor(url: string, client: pg.Client, schema: number) {
    this.name = shownAddress(url);
    this.client = client;
    this.schema = schema;
  }

  async query<R>(text: string, values: readonly unknown[] = []): Promise<readonly R[]> {
    try {
      return (await this.client.query(text, [...values])).rows as R[];
    } catch (error) {
      throw storeFailure(error, this.name);
    }
  }

  async read(
    { name, columns, key, spread }: Table,
    after: Row | null,
    limit: number,
  ): Promise<readonly Row[]> {
    const order = key.join(", ");
    const where = after === null ? "" : `WHERE (${order}) > (${key.map((_, at) => `$${at + 2}`).join(", ")})`;
    const list = columns.map((column) => column.name).join(", ");
    try {
      const text = `SELECT ${list} FROM ${spread?.from ?? name} ${where} ORDER BY ${order} LIMIT $1`;
      const query = { name: `${name} ${after === null}`, text, values: [limit, ...(after ?? [])] };
      return (await this.client.query({ ...query, rowMode: "array" })).rows as Cell[][];
    } catch (error) {
      throw storeFailure(error, this.name);
    }
  }

  async count({ name, spread }: Table): Promise<number> {
    const [row] = await this.query<{ count: number }>(
      `SELECT count(*) AS count FROM ${spread?.from ?? name}`,
    );
    return row?.count ?? 0;
  }

  async fingerprint(): Promise<string> {
    const counts: number[] = [];
    for (const table of tablesAt(this.schema))
      if (table.name !== "worker") counts.push(await this.count(table));
    return JSON.stringify([this.schema, counts, Object.values(await this.sequences())]);
  }

  async sequences(): Promise<Sequences> {
    const [{ fence, arrival, vt, run, approval } = NONE] = await this.query<Sequences>(SEQUENCES);
    return { fence, arrival, vt: Math.max(vt, run), run, approval };
  }

  async details(): Promise<Details> {
    const [size] = await this.query<{ bytes: number }>(
      "SELECT pg_database_size(current_database()) AS bytes",
    );
    const runs = await this.query<{ status: string; count: number }>(
      "SELECT status, count(*) AS count FROM run GROUP BY status",
    );
    const [facts] = await this.query<{ count: number }>("SELECT count(*) AS count FROM journal");
    const [oldest] = await this.query<{ id: string; created_at: number }>(OLDEST_OPEN);
    return {
      bytes: size?.bytes ?? 0,
      runs: Object.fromEntries(runs.map((row) => [row.status, row.count])),
      facts: facts?.count ?? 0,
      oldestOpen: oldest ?? null,
    };
  }

  async users(): Promise<readonly string[]> {
    const heard = (table: string, at: string) => this.query<HeardOf>(heardOf(table, at), [LIMITS.leaseTtlMs]);
    const workers = await heard("worker", "beat_at");
    return usersOf(workers, hasMembers(this.schema) ? await heard("member", "seen_at") : []);
  }

  async renew(): Promise<void> {}

  async close(): Promise<void> {
    await this.client.end().catch(() => undefined);
  }
}

const NONE: Sequences = { fence: 0, arrival: 0, vt: 0, run: 0, approval: 0 };

class PostgresSource extends PostgresEnd {
  override async renew(): Promise<void> {
    await this.query("ROLLBACK");
    await this.query("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    await this.query("SELECT count(*) FROM meta");
  }
}

/** Rejects with `not_found` when the database has no schema of ours. */
export async function openPostgresSource(url: string): Promise<Source> {
  const name = shownAddress(url);
  let client: pg.Client | null = null;
  try {
    client = await open(url, "copy from");
    const state = await schemaState(client);
    if (state === null || state.version === 0) {
      throw new FailureError(failure("not_found", `${name} holds no data of agent-runner`));
    }
    const source = new PostgresSource(url, client, state.version);
    await source.renew();
    return source;
  } catch (error) {
    await client?.end().catch(() => undefined);
    throw storeFailure(error, name);
  }
}

const PROGRESS = "SELECT value FROM moving WHERE key = 'progress'";

class PostgresTarget extends PostgresEnd implements Target {
  readonly #url: string;

  constructor(url: string, client: pg.Client, schema: number) {
    super(url, client, schema);
    this.#url = url;
  }

  async progress(): Promise<Progress | null> {
    const [there] = await this.query<{ there: boolean }>("SELECT to_regclass('moving') IS NOT NULL AS there");
    if (there?.there !== true) return null;
    const [row] = await this.query<{ value: string }>(PROGRESS);
    return row === undefined ? null : (JSON.parse(row.value) as Progress);
  }

  begin(first: Progress): Promise<void> {
    return this.#transaction(async () => {
      await this.query("CREATE TABLE moving (key text PRIMARY KEY, value text NOT NULL)");
      await this.query("INSERT INTO moving (key, value) VALUES ('progress', $1)", [JSON.stringify(first)]);
    });
  }

  write(table: Table, rows: readonly Row[], step: Step): Promise<void> {
    const { columns, name, spread } = table;
    const [more, value] = spread === null ? ["", ""] : [`, ${spread.column}`, `, ${spread.value}`];
    const list = columns.map((column) => column.name).join(", ");
    const arrays = columns.map(({ type }, at) => `$${at + 1}::${ARRAYS[type]}`).join(", ");
    const values = columns.map((_, at) => rows.map((row) => row[at] ?? null));
    return this.#transaction(async () => {
      await this.#advance(step);
      // The laws judge how rows come to be; these were judged in the source. They are back before anybody can see it.
      await this.query(`ALTER TABLE ${name} DISABLE TRIGGER USER`);
      await this.query(
        `INSERT INTO ${name} (${list}${more}) OVERRIDING SYSTEM VALUE
         SELECT copied.*${value} FROM unnest(${arrays}) AS copied`,
        values,
      );
      await this.query(`ALTER TABLE ${name} ENABLE TRIGGER USER`);
    });
  }

  async finish(sequences: Sequences): Promise<void> {
    await this.#transaction(async () => {
      await this.#settle(sequences);
      await this.query("DROP TABLE moving");
    });
    await migrate(this.#url);
    await this.query("ANALYZE");
  }

  async #settle({ fence, arrival, run, vt, approval }: Sequences): Promise<void> {
    // Before fair shares a run's number was its virtual time: new runs begin above both.
    const runNo = this.schema < FAIR_SHARE_SINCE ? Math.max(run, vt) : run;
    const given = { fence, arrival, run_no: runNo, approval_ord_seq: approval };
    for (const [name, value] of Object.entries(given)) await this.query(SET_SEQUENCE, [name, value]);
    await this.query(SETTLE_COUNTERS);
    if (this.schema < FAIR_SHARE_SINCE) return;
    await this.query("UPDATE counter SET parked = (SELECT count(*) FROM parked) WHERE shard = 0");
    await this.query("SELECT setval('lane_id_seq', greatest(max(id), 1), max(id) IS NOT NULL) FROM lane");
    await this.query(COUNT_WAITING);
  }

  async #advance({ from, to }: Step): Promise<void> {
    const [row] = await this.query<{ value: string }>(`${PROGRESS} FOR UPDATE`);
    if (row?.value !== JSON.stringify(from)) throw movedOn(this.name);
    await this.query("UPDATE moving SET value = $1 WHERE key = 'progress'", [JSON.stringify(to)]);
  }

  async #transaction(work: () => Promise<void>): Promise<void> {
    await this.query("BEGIN");
    try {
      await work();
      await this.query("COMMIT");
    } catch (error) {
      await this.query("ROLLBACK").catch(() => undefined);
      throw error;
    }
  }
}

/** Makes the schema in an empty database. Rejects when it is not empty and no copy of ours. */
export async function openPostgresTarget(url: string, schema: number): Promise<Target> {
  const name = shownAddress(url);
  let client: pg.Client | null = null;
  try {
    client = await open(url, "copy to");
    const [lock] = (await client.query<{ locked: boolean }>(COPY_LOCK)).rows;
    if (lock?.locked !== true) throw movedOn(name);
    const before = await schemaState(client);
    if (before === null || before.version === 0) await migrate(url, { to: schema });
    const target = new PostgresTarget(url, client, (await schemaState(client))?.version ?? 0);
    await unmoved(target, schema);
    return target;
  } catch (error) {
    await client?.end().catch(() => undefined);
    throw storeFailure(error, name);
  }
}
