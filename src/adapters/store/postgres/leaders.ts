import { hostname } from "node:os";
import type pg from "pg";
import type { Candidate, Leaders } from "../../../contracts/leader.ts";
import { LIMITS } from "../../../domain/limits.ts";
import { TimedLead } from "../sql/lead.ts";
import { isProcessGone } from "../sql/process.ts";
import { shownAddress } from "./address.ts";
import { isConnectionLoss, storeFailure } from "./failures.ts";
import { at } from "./now.ts";
import { connect } from "./session.ts";
import { Sql, statement } from "./sql.ts";

/** An answer that comes later than a lead lasts is of no use. */
const ANSWER_MS = 2_000;
/** Of all locks of ours; the first number of migrations and of blobs too. */
const LOCKS = 4715;

const LOCK = statement(`SELECT pg_try_advisory_lock(${LOCKS}, hashtext($1)) AS locked`);
const UNLOCK = statement(`SELECT pg_advisory_unlock(${LOCKS}, hashtext($1))`);
const FIND = statement(
  `SELECT term, member, host, pid, process_start, until > ${at("$2")} AS open FROM leader WHERE duty = $1`,
);
/** The term that was seen is what makes it safe: whoever was quicker has moved it on. */
const TAKE = statement(
  `INSERT INTO leader (duty, term, member, host, pid, process_start, until)
   VALUES ($1, $2::bigint + 1, $3, $4, $5, $6, ${at("$7")} + ${LIMITS.leadTtlMs})
   ON CONFLICT (duty) DO UPDATE SET term = excluded.term, member = excluded.member, host = excluded.host,
     pid = excluded.pid, process_start = excluded.process_start, until = excluded.until
     WHERE leader.term = $2 RETURNING term`,
);
const PROLONG = statement(
  `UPDATE leader SET until = ${at("$3")} + ${LIMITS.leadTtlMs} WHERE duty = $1 AND term = $2`,
);
const GIVE_UP = statement("UPDATE leader SET until = 0 WHERE duty = $1 AND term = $2");
const LEADING = statement(`SELECT duty, member, term FROM leader WHERE until > ${at("$1")} ORDER BY duty`);

interface Row {
  readonly term: number;
  readonly member: string;
  readonly host: string;
  readonly pid: number;
  readonly process_start: string;
  readonly open: boolean;
}

export interface LeadersOptions {
  readonly url: string;
  readonly now: () => number | null;
  readonly ticks: () => number;
  /** False behind a pooler, whose connections are nobody's own: then the lease alone decides. */
  readonly ownSessions: () => boolean;
}

export interface PostgresLeaders extends Leaders {
  close(): Promise<void>;
}

/**
 * Two guards, and a leader has both: an advisory lock of a connection that is kept for nothing else, which a jump of
 * the database's clock cannot take away; and a lease in a row, which outlives a lost connection and holds behind a
 * pooler too.
 */
export function createLeaders(options: LeadersOptions): PostgresLeaders {
  const session = new LeadSession(options.url);
  const { now, ticks } = options;
  const host = hostname();
  const isFree = (row: Row | undefined, member: string) =>
    row === undefined ||
    !row.open ||
    row.member === member ||
    (row.host === host && isProcessGone(row.pid, row.process_start));

  const stand = async (sql: Sql, duty: string, candidate: Candidate): Promise<TimedLead | null> => {
    const { member, host: from, pid, processStart } = candidate;
    const asked = ticks();
    const [row] = await sql.many<Row>(FIND, [duty, now()]);
    if (!isFree(row, member)) return null;
    const locks = options.ownSessions();
    if (locks && !(await sql.many<{ locked: boolean }>(LOCK, [duty]))[0]?.locked) return null;
    const values = [duty, row?.term ?? 0, member, from, pid, processStart, now()];
    const [taken] = await sql.many<{ term: number }>(TAKE, values);
    if (taken === undefined) {
      if (locks) await sql.many(UNLOCK, [duty]);
      return null;
    }
    const { term } = taken;
    return new TimedLead({
      duty,
      term,
      ticks,
      asked,
      prolong: () => session.use(async (again) => (await again.run(PROLONG, [duty, term, now()])) > 0),
      giveUp: () =>
        session.use(async (again) => {
          await again.run(GIVE_UP, [duty, term]);
          if (locks) await again.many(UNLOCK, [duty]);
        }),
    });
  };

  return {
    stand: (duty, candidate) =>
      session.use(async (sql) => {
        const lead = await stand(sql, duty, candidate);
        if (lead !== null) session.holds(lead);
        return lead;
      }),
    leading: () =>
      session.use((sql) => sql.many<{ duty: string; member: string; term: number }>(LEADING, [now()])),
    close: () => session.close(),
  };
}

/** The connection whose locks are the leads: with it they go, and are not taken up by the next one. */
class LeadSession {
  readonly #url: string;
  #client: pg.Client | null = null;
  #connecting: Promise<pg.Client> | null = null;
  #closed = false;
  readonly #leads = new Set<TimedLead>();

  constructor(url: string) {
    this.#url = url;
  }

  async use<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    let client: pg.Client | null = null;
    try {
      client = this.#client ?? (await this.#connect());
      return await work(new Sql(client));
    } catch (error) {
      if (client !== null && isConnectionLoss(error)) this.#drop(client);
      throw storeFailure(error, shownAddress(this.#url));
    }
  }

  /** The lead ends with the connection. */
  holds(lead: TimedLead): void {
    for (const other of this.#leads) if (other.duty === lead.duty) this.#leads.delete(other);
    if (this.#client === null) lead.end();
    else this.#leads.add(lead);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const client = this.#client;
    if (client === null) return;
    this.#lost(client);
    await client.end();
  }

  #drop(client: pg.Client): void {
    this.#lost(client);
    client.end().catch(() => undefined);
  }

  #lost(client: pg.Client): void {
    if (this.#client !== client) return;
    this.#client = null;
    for (const lead of this.#leads) lead.end();
    this.#leads.clear();
  }

  #connect(): Promise<pg.Client> {
    this.#connecting ??= connect({ url: this.#url, name: "leader", answerMs: ANSWER_MS })
      .then(async (client) => {
        // A holder that is suspended or cut off must not keep the lock for longer than its lease.
        await client
          .query(`SET idle_session_timeout = ${LIMITS.leadTtlMs + LIMITS.leadRenewMs}`)
          .catch(() => undefined);
        if (this.#closed) {
          await client.end();
          throw new Error("connection closed");
        }
        client.once("end", () => this.#lost(client));
        this.#client = client;
        return client;
      })
      .finally(() => {
        this.#connecting = null;
      });
    return this.#connecting;
  }
}
