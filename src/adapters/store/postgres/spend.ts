import type { SpendLedger } from "../../../contracts/spend-ledger.ts";
import {
  accountsOf,
  applySpend,
  type SpendBook,
  type SpendOp,
  spendBook,
  sweepSpend,
} from "../../../domain/spend.ts";
import {
  type AccountRow,
  endOfPrefix,
  FORGOTTEN_ACCOUNTS,
  fromEntry,
  SPEND_COLUMNS,
  type SpendRow,
  type SumRow,
  SWEPT_AT_ONCE,
  spendWhere,
  sumsSql,
  toAccount,
  toEntry,
  toSum,
} from "../sql/spend-row.ts";
import { storeFailure } from "./failures.ts";
import type { Reads } from "./reads.ts";
import type { Session, Tx } from "./session.ts";
import { statement } from "./sql.ts";

const ACCOUNT_COLUMNS = "key, committed, held, presumed, risk, warned";

// Locks are taken in one order by everybody, so that no two can wait for each other: entries by id, then accounts by
// key. Holds whose time is over are passed over where another has them.
const NOW = statement("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now");
const ENTRIES = statement(
  `SELECT ${SPEND_COLUMNS} FROM spend WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE`,
);
const DUE = statement(
  `SELECT ${SPEND_COLUMNS} FROM spend
   WHERE state = 'held' AND expires_at <= coalesce($1, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
   ORDER BY expires_at, id LIMIT $2 FOR UPDATE SKIP LOCKED`,
);
const OPEN_ACCOUNTS = statement(
  "INSERT INTO spend_account (key) SELECT unnest($1::text[]) ON CONFLICT (key) DO NOTHING",
);
const LOCK_ACCOUNTS = statement(
  `SELECT ${ACCOUNT_COLUMNS} FROM spend_account WHERE key = ANY($1::text[]) ORDER BY key FOR UPDATE`,
);
const SAVE_ACCOUNTS = statement(
  `UPDATE spend_account SET committed = new.committed, held = new.held, presumed = new.presumed, risk = new.risk,
     warned = new.warned, changed_at = $2
   FROM jsonb_to_recordset($1::jsonb) AS new
     (key text, committed bigint, held bigint, presumed bigint, risk bigint, warned boolean)
   WHERE spend_account.key = new.key`,
);
const SAVE_ENTRIES = statement(
  `INSERT INTO spend (${SPEND_COLUMNS})
   SELECT ${SPEND_COLUMNS} FROM jsonb_to_recordset($1::jsonb) AS new
     (id text, tenant text, principal text, path text, model text, stage text, state text, accounts text,
      reserved bigint, ceiling bigint, accrued bigint, charged bigint, estimated boolean, late boolean,
      unpriced boolean, input bigint, output bigint, at bigint, expires_at bigint, ended_at bigint)
   ON CONFLICT (id) DO UPDATE SET state = excluded.state, reserved = excluded.reserved, ceiling = excluded.ceiling,
     accrued = excluded.accrued, charged = excluded.charged, estimated = excluded.estimated, late = excluded.late,
     unpriced = excluded.unpriced, input = excluded.input, output = excluded.output,
     expires_at = excluded.expires_at, ended_at = excluded.ended_at`,
);
const ACCOUNTS = statement(
  `SELECT ${ACCOUNT_COLUMNS} FROM spend_account WHERE key = ANY($1::text[]) ORDER BY key`,
);
const RANGE = statement(
  `SELECT ${ACCOUNT_COLUMNS} FROM spend_account WHERE key >= $1 AND key < $2 AND key > $3 ORDER BY key LIMIT $4`,
);
const OUTPUTS = statement(
  `SELECT output FROM spend WHERE model = $1 AND stage = $2 AND state = 'settled' AND NOT estimated AND output > 0
   ORDER BY ended_at DESC LIMIT $3`,
);
const DROP = statement(
  `DELETE FROM spend WHERE id = ANY(ARRAY(
     SELECT id FROM spend WHERE ended_at IS NOT NULL AND ended_at < $1 ORDER BY ended_at LIMIT $2
     FOR UPDATE SKIP LOCKED))`,
);
const BURY = statement(
  `DELETE FROM spend WHERE id = ANY(ARRAY(
     SELECT id FROM spend WHERE state = 'expired' AND expires_at < $1 ORDER BY expires_at, id LIMIT $2
     FOR UPDATE SKIP LOCKED))`,
);
const FORGET = statement(
  `DELETE FROM spend_account WHERE key = ANY(ARRAY(
     SELECT key FROM spend_account WHERE ${FORGOTTEN_ACCOUNTS} AND changed_at < $1 ORDER BY key LIMIT $2
     FOR UPDATE SKIP LOCKED))`,
);
const SUMS = sumsSql((flag) => flag);

/** A statement for each shape that a query may have, each prepared once. */
const spentBy = new Map<string, ReturnType<typeof statement>>();

function spentStatement(where: string): ReturnType<typeof statement> {
  const known = spentBy.get(where);
  if (known !== undefined) return known;
  let number = 0;
  const numbered = where.replaceAll("?", () => `$${++number}`);
  const made = statement(`SELECT ${SUMS} FROM spend ${numbered} GROUP BY model, stage ORDER BY model, stage`);
  spentBy.set(where, made);
  return made;
}

export interface SpendOptions {
  readonly session: Session;
  readonly reads: Reads;
  /** Instead of the database's clock, for tests. */
  readonly clock: (() => number) | null;
}

interface Loaded {
  readonly book: SpendBook;
  readonly now: number;
}

async function load(
  tx: Tx,
  of: { readonly ops: readonly SpendOp[]; readonly clock: number | null; readonly swept: number },
): Promise<Loaded> {
  const { ops, clock, swept } = of;
  const ids = [...new Set(ops.map((op) => op.id))].sort();
  const [[time], own, due] = await Promise.all([
    tx.many<{ now: number }>(NOW, []),
    tx.many<SpendRow>(ENTRIES, [ids]),
    tx.many<SpendRow>(DUE, [clock, swept]),
  ]);
  const now = clock ?? time?.now ?? 0;
  const entries = [...new Map([...own, ...due].map((row) => [row.id, toEntry(row)])).values()];
  const keys = accountsOf(ops, entries, now);
  if (keys.length === 0) return { book: spendBook([], entries), now };
  tx.run(OPEN_ACCOUNTS, [[...keys]]);
  const accounts = await tx.many<AccountRow>(LOCK_ACCOUNTS, [[...keys]]);
  return { book: spendBook(accounts.map(toAccount), entries), now };
}

function save(tx: Tx, { accounts, entries, touched }: SpendBook, now: number): void {
  const changed = [...touched.accounts].flatMap((key) => accounts.get(key) ?? []);
  if (changed.length > 0) tx.run(SAVE_ACCOUNTS, [JSON.stringify(changed), now]);
  const rows = [...touched.entries].flatMap((id) => entries.get(id) ?? []).map(fromEntry);
  if (rows.length > 0) tx.run(SAVE_ENTRIES, [JSON.stringify(rows)]);
}

export function createSpendLedger({ session, reads, clock }: SpendOptions): SpendLedger {
  const guarded = async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
    try {
      return await session.transaction((tx) => {
        tx.identify();
        return work(tx);
      });
    } catch (error) {
      throw storeFailure(error, session.database);
    }
  };
  const at = () => clock?.() ?? null;
  return {
    async apply(batch) {
      if (batch.length === 0) return [];
      return guarded(async (tx) => {
        const { book, now } = await load(tx, { ops: batch, clock: at(), swept: SWEPT_AT_ONCE });
        sweepSpend(book, now);
        const answers = batch.map((op) => applySpend(book, op, now));
        save(tx, book, now);
        return answers;
      });
    },
    sweep: (limit) =>
      guarded(async (tx) => {
        const { book, now } = await load(tx, { ops: [], clock: at(), swept: Math.max(0, limit) });
        const swept = sweepSpend(book, now);
        save(tx, book, now);
        return swept;
      }),
    accounts: async (keys) => (await reads.many<AccountRow>(ACCOUNTS, [[...keys]])).map(toAccount),
    async accountsFrom({ prefix, after, limit }) {
      const values = [prefix, endOfPrefix(prefix), after ?? "", Math.max(0, limit)];
      return (await reads.many<AccountRow>(RANGE, values)).map(toAccount);
    },
    async spent(query) {
      const { sql, values } = spendWhere(query);
      return (await reads.many<SumRow>(spentStatement(sql), values)).map(toSum);
    },
    async outputs({ model, stage, limit }) {
      const rows = await reads.many<{ output: number }>(OUTPUTS, [model, stage, Math.max(0, limit)]);
      return rows.map((row) => row.output);
    },
    async now() {
      const [row] = clock === null ? await reads.many<{ now: number }>(NOW, []) : [{ now: clock() }];
      return row?.now ?? 0;
    },
    prune: (before, limit) =>
      guarded(async (tx) => {
        const most = Math.max(0, limit);
        const buried = await tx.run(BURY, [before, most]);
        // While an entry is there its accounts are: it may still be settled.
        if (buried < most) tx.run(FORGET, [before, most]);
        return buried + (await tx.run(DROP, [before, most]));
      }),
  };
}
