import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { newId } from "../../../base/id.ts";
import { FailureError, failure } from "../../../domain/errors.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { shownAddress } from "./address.ts";
import { isCollision, isConnectionLoss } from "./failures.ts";
import { type Rows, Sql, type Statement, statement, type Value } from "./sql.ts";

export interface SessionOptions {
  readonly url: string;
  /** Shown in `pg_stat_activity`. */
  readonly name: string;
  /** How long a verb waits for a connection that is lost before it rejects, in ms. */
  readonly patienceMs: number;
  /** How long one answer may take before the connection counts as lost, in ms. */
  readonly answerMs?: number;
  /** Its transactions leave receipts. */
  readonly writes?: boolean;
}

const CONNECT_MS = 5_000;
const ANSWER_MS = 20_000;
const FIRST_WAIT_MS = 20;
const LONGEST_WAIT_MS = 500;
/** How long it is asked how a transaction ended, at least: longer than a lost connection's may idle. */
const RESOLVE_MS = 15_000;
const COLLISIONS = 8;
const COLLISION_WAIT_MS = 20;
const KEEP_ALIVE_MS = 10_000;

/** Locks of a process that is suspended or cut off go before its lease does: whoever takes its runs over finds them free. */
const IDLE_IN_TRANSACTION_MS = LIMITS.leaseTtlMs - LIMITS.beatMs;
/** How long the server keeps connections of a machine from which nothing comes any more. */
const SILENT_MS = 10_000;

/**
 * What every connection is set to. A process that is gone must hold neither locks (idle in transaction) nor, when its
 * machine could not say so, its connections (the server asks over the wire; left alone it would for two hours, and
 * then be full of the dead); nobody waits for ever; and no plan may read a table from end to end because its
 * statistics are of a time when it was empty.
 */
export const CONNECTION_SETTINGS = `SET lock_timeout = '5s'; SET statement_timeout = '15s';
SET idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS}; SET synchronous_commit = on; SET jit = off;
SET tcp_keepalives_idle = 4; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
SET tcp_user_timeout = ${SILENT_MS};
SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET client_min_messages = warning; SET plan_cache_mode = force_generic_plan`;

const INT8 = 20;
// Every number of ours is below 2^53.
const types = {
  getTypeParser: ((oid: number, format?: "text") =>
    oid === INT8 ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
};

/** A connected client, set up. Its later errors are events that somebody must take. */
export async function connect(
  options: Pick<SessionOptions, "url" | "name" | "answerMs">,
): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: options.url,
    application_name: `agent-runner ${options.name}`,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    pipeline: true,
    query_timeout: options.answerMs ?? ANSWER_MS,
    types,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query(CONNECTION_SETTINGS);
    return client;
  } catch (error) {
    client.end().catch(() => undefined);
    throw error;
  }
}

/** One transaction's view of the connection. */
export interface Tx extends Sql {
  /** Leaves a receipt, so that it can be asked after a lost connection whether the transaction was committed. */
  identify(): void;
  /** Statements of their own: what fails in `part` is told by its `settled` alone, and undone by a savepoint of the caller. */
  part(): Tx;
}

interface Receipt {
  readonly session: string;
  readonly number: number;
}

class PipelinedTx extends Sql implements Tx {
  readonly #client: pg.Client;
  readonly #receipt: Receipt;
  identified = false;

  constructor(client: pg.Client, receipt: Receipt) {
    super(client);
    this.#client = client;
    this.#receipt = receipt;
  }

  identify(): void {
    if (this.identified) return;
    this.identified = true;
    this.run(LEAVE_RECEIPT, [this.#receipt.session, this.#receipt.number]);
  }

  part(): Tx {
    const part = new PipelinedTx(this.#client, this.#receipt);
    part.identified = this.identified;
    return part;
  }
}

const LEAVE_RECEIPT = statement(
  `INSERT INTO receipt (session, number) VALUES ($1, $2)
   ON CONFLICT (session) DO UPDATE SET number = excluded.number, at = excluded.at`,
);
/** There from the first moment, so that there is a row to wait for. */
const OPEN_RECEIPT = statement(
  "INSERT INTO receipt (session, number) VALUES ($1, 0) ON CONFLICT (session) DO NOTHING",
);
/** Waits for a transaction of the lost connection that the server still has in its hands. */
const READ_RECEIPT = statement("SELECT number FROM receipt WHERE session = $1 FOR UPDATE");
const DROP_RECEIPTS = statement("DELETE FROM receipt WHERE session = $1 OR at < now() - interval '30 days'");

type Outcome<T> = { readonly kind: "done"; readonly value: T } | { readonly kind: "again" };

/**
 * One connection that is made when it is needed and made again when it is lost. Transactions run one at a time;
 * their statements go out without waiting for one another's answers.
 */
export class Session {
  readonly database: string;
  readonly #options: SessionOptions;
  #client: pg.Client | null = null;
  #connecting: Promise<pg.Client> | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;
  readonly #id = newId("ses", Date.now(), Math.random);
  #number = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.database = shownAddress(options.url);
  }

  /**
   * All of `work` or nothing of it. `work` may be called again, from nothing, after a collision or a lost connection.
   * Rejects with what PostgreSQL or the driver said.
   */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      const until = performance.now() + this.#options.patienceMs;
      for (let collisions = 0; ; ) {
        try {
          const outcome = await this.#attempt(work, until);
          if (outcome.kind === "done") return outcome.value;
        } catch (error) {
          if (!isCollision(error) || collisions >= COLLISIONS) throw error;
          collisions += 1;
          await sleep(randomInt(COLLISION_WAIT_MS * collisions) + 1);
        }
      }
    });
  }

  /** One statement by itself, which only reads: it is asked again when the connection is lost. */
  async many<Row>(asked: Statement, values: readonly Value[]): Promise<Rows<Row>> {
    const until = performance.now() + this.#options.patienceMs;
    for (;;) {
      const client = await this.#ready(until);
      try {
        return await new Sql(client).many<Row>(asked, values);
      } catch (error) {
        if (!isConnectionLoss(error)) throw error;
        this.#drop(client);
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#turn;
    const client = this.#client;
    this.#client = null;
    if (client === null) return;
    // What cannot be cleared away now is cleared away in a month by another.
    if (this.#options.writes) await new Sql(client).run(DROP_RECEIPTS, [this.#id]).catch(() => 0);
    await client.end();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #attempt<T>(work: (tx: Tx) => Promise<T>, until: number): Promise<Outcome<T>> {
    const client = await this.#ready(until);
    this.#number += 1;
    const receipt = { session: this.#id, number: this.#number };
    const tx = new PipelinedTx(client, receipt);
    let worked: { value: T } | null = null;
    try {
      tx.exec("BEGIN");
      worked = { value: await work(tx) };
      // Sent with the writes, not after them: an aborted transaction answers ROLLBACK.
      const committed = tx.exec("COMMIT");
      await tx.settled();
      if ((await committed) !== "COMMIT") throw new Error("the transaction was not committed");
      return { kind: "done", value: worked.value };
    } catch (error) {
      // The first statement that failed tells why; those after it only that the transaction is aborted.
      const cause =
        (await tx.settled().then(
          () => null,
          (first: unknown) => first,
        )) ?? error;
      if (!isConnectionLoss(cause)) {
        await this.#rollback(client);
        throw cause;
      }
      this.#drop(client);
      if (worked === null) return { kind: "again" };
      if (!tx.identified) throw cause;
      return (await this.#wasCommitted(receipt)) ? { kind: "done", value: worked.value } : { kind: "again" };
    }
  }

  /** The connection broke while a transaction ended: only the database knows which way. */
  async #wasCommitted({ session, number }: Receipt): Promise<boolean> {
    const until = performance.now() + Math.max(this.#options.patienceMs, RESOLVE_MS);
    for (;;) {
      const client = await this.#ready(until);
      try {
        const [row] = await new Sql(client).many<{ number: number }>(READ_RECEIPT, [session]);
        return row?.number === number;
      } catch (error) {
        if (isConnectionLoss(error)) this.#drop(client);
        else if (!isCollision(error) || performance.now() > until) throw error;
      }
    }
  }

  async #rollback(client: pg.Client): Promise<void> {
    try {
      await client.query("ROLLBACK");
    } catch {
      // A connection that cannot even roll back is of no use; the server rolls back when it is closed.
      this.#drop(client);
    }
  }

  #drop(client: pg.Client): void {
    if (this.#client === client) this.#client = null;
    client.end().catch(() => undefined);
  }

  /** A live connection; when there is none, tries again and again until the time is up. */
  async #ready(until: number): Promise<pg.Client> {
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      if (this.#closed) throw new FailureError(failure("unavailable", "the store is closed"));
      if (this.#client !== null) return this.#client;
      try {
        return await this.#connect();
      } catch (error) {
        if (!isConnectionLoss(error) || performance.now() + wait > until) throw error;
      }
      await sleep(wait / 2 + randomInt(wait));
    }
  }

  #connect(): Promise<pg.Client> {
    this.#connecting ??= connect(this.#options)
      .then(async (client) => {
        if (this.#options.writes) await new Sql(client).run(OPEN_RECEIPT, [this.#id]);
        const gone = () => {
          if (this.#client === client) this.#client = null;
        };
        client.on("error", gone);
        client.on("end", gone);
        this.#client = client;
        return client;
      })
      .finally(() => {
        this.#connecting = null;
      });
    return this.#connecting;
  }
}
