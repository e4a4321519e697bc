import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { FailureError, failure } from "../../../domain/errors.ts";
import { shownAddress } from "./address.ts";
import { isCollision, isConnectionLoss } from "./failures.ts";
import { type Rows, Sql, type Statement, type Value } from "./sql.ts";

export interface SessionOptions {
  readonly url: string;
  /** Shown in `pg_stat_activity`. */
  readonly name: string;
  /** How long a verb waits for a connection that is lost before it rejects, in ms. */
  readonly patienceMs: number;
  /** How long one answer may take before the connection counts as lost, in ms. */
  readonly answerMs?: number;
}

const CONNECT_MS = 5_000;
const ANSWER_MS = 20_000;
const FIRST_WAIT_MS = 20;
const LONGEST_WAIT_MS = 500;
const COLLISIONS = 8;
const COLLISION_WAIT_MS = 20;
const KEEP_ALIVE_MS = 10_000;

/**
 * What every connection is set to. A stopped process must not hold its locks (idle in transaction), nobody waits for
 * ever, and no plan may read a table from end to end because its statistics are of a time when it was empty.
 */
const SETTINGS = `SET lock_timeout = '5s'; SET statement_timeout = '15s';
SET idle_in_transaction_session_timeout = '10s'; SET synchronous_commit = on; SET jit = off;
SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET client_min_messages = warning`;

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
    await client.query(SETTINGS);
    return client;
  } catch (error) {
    client.end().catch(() => undefined);
    throw error;
  }
}

/** One transaction's view of the connection. */
export interface Tx extends Sql {
  /** Remembers which transaction this is, so that it can be asked after a lost connection whether it was committed. */
  identify(): void;
  /** Statements of their own: what fails in `part` is told by its `settled` alone, and undone by a savepoint of the caller. */
  part(): Tx;
}

class PipelinedTx extends Sql implements Tx {
  readonly #of: pg.Client;
  xid: string | null = null;

  constructor(client: pg.Client) {
    super(client);
    this.#of = client;
  }

  part(): Tx {
    return new PipelinedTx(this.#of);
  }

  identify(): void {
    this.many<{ xid: string }>(XID, []).then(
      ([row]) => {
        this.xid = row?.xid ?? null;
      },
      () => undefined,
    );
  }
}

const XID = { name: "xid", text: "SELECT pg_current_xact_id()::text AS xid" };
const XID_STATUS = { name: "xid_status", text: "SELECT pg_xact_status($1::text::xid8) AS status" };

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
    await client?.end();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #attempt<T>(work: (tx: Tx) => Promise<T>, until: number): Promise<Outcome<T>> {
    const client = await this.#ready(until);
    const tx = new PipelinedTx(client);
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
      if (worked === null || tx.xid === null) {
        if (worked === null) return { kind: "again" };
        throw cause;
      }
      return (await this.#wasCommitted(tx.xid, until))
        ? { kind: "done", value: worked.value }
        : { kind: "again" };
    }
  }

  /** The connection broke while a transaction ended: only the database knows which way. */
  async #wasCommitted(xid: string, until: number): Promise<boolean> {
    for (;;) {
      const client = await this.#ready(until);
      try {
        const [row] = await new Sql(client).many<{ status: string | null }>(XID_STATUS, [xid]);
        if (row?.status === "committed") return true;
        if (row?.status === "aborted") return false;
        if (row?.status !== "in progress" || performance.now() > until) {
          throw new FailureError(
            failure("unavailable", `the database ${this.database} cannot tell how a transaction ended`),
          );
        }
        await sleep(FIRST_WAIT_MS);
      } catch (error) {
        if (!isConnectionLoss(error)) throw error;
        this.#drop(client);
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
      .then((client) => {
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
