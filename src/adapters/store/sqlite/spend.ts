import type { Clock } from "../../../base/clock.ts";
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
import type { Connection } from "./connection.ts";
import { storeFailure } from "./failures.ts";

const SPEND_NAMES = SPEND_COLUMNS.split(",").map((name) => name.trim() as keyof SpendRow);
const ACCOUNT_COLUMNS = "key, committed, held, presumed, risk, warned";
const SUMS = sumsSql((flag) => `${flag} = 1`);

/** Statements of one connection that writes. */
function writing(write: Connection) {
  const entry = write.one<SpendRow>(`SELECT ${SPEND_COLUMNS} FROM spend WHERE id = ?`);
  const due = write.many<SpendRow>(
    `SELECT ${SPEND_COLUMNS} FROM spend WHERE state = 'held' AND expires_at <= ? ORDER BY expires_at, id LIMIT ?`,
  );
  const account = write.one<AccountRow>(`SELECT ${ACCOUNT_COLUMNS} FROM spend_account WHERE key = ?`);
  const saveAccount = write.run(
    `INSERT INTO spend_account (${ACCOUNT_COLUMNS}, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET committed = excluded.committed, held = excluded.held,
       presumed = excluded.presumed, risk = excluded.risk, warned = excluded.warned,
       changed_at = excluded.changed_at`,
  );
  const saveEntry = write.run(
    `INSERT INTO spend (${SPEND_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, reserved = excluded.reserved, ceiling = excluded.ceiling,
       accrued = excluded.accrued, charged = excluded.charged, estimated = excluded.estimated, late = excluded.late,
       unpriced = excluded.unpriced, input = excluded.input, output = excluded.output,
       expires_at = excluded.expires_at, ended_at = excluded.ended_at`,
  );
  const load = (ops: readonly SpendOp[], now: number, limit: number): SpendBook => {
    const rows = [...due(now, limit), ...ops.flatMap((op) => entry(op.id) ?? [])];
    const entries = [...new Map(rows.map((row) => [row.id, toEntry(row)])).values()];
    const found = accountsOf(ops, entries, now).flatMap((key) => account(key) ?? []);
    return spendBook(found.map(toAccount), entries);
  };
  const save = ({ accounts, entries, touched }: SpendBook, now: number): void => {
    for (const key of touched.accounts) {
      const one = accounts.get(key);
      if (one === undefined) continue;
      saveAccount(key, one.committed, one.held, one.presumed, one.risk, one.warned ? 1 : 0, now);
    }
    for (const id of touched.entries) {
      const one = entries.get(id);
      if (one === undefined) continue;
      const row = fromEntry(one);
      saveEntry(
        ...SPEND_NAMES.map((name) => {
          const value = row[name];
          return typeof value === "boolean" ? Number(value) : value;
        }),
      );
    }
  };
  return { load, save };
}

/** How long ends of calls that no run records may be without a commit that waits for the disk, while there are some. */
const DURABLE_MS = 1_000;

/**
 * A power cut takes the process with it that a hold is for. What was billed outlives it with the fact that says so: the
 * run's journal is written after it, to the same log, and that commit waits for the disk.
 */
function committing(write: Connection, clock: Clock) {
  let durableAt = Number.NEGATIVE_INFINITY;
  return <T>(batch: readonly SpendOp[], work: () => T): T => {
    const settles = batch.some((op) => op.kind === "settle");
    if (!settles || clock.now() - durableAt < DURABLE_MS) return write.relaxed(work);
    const done = write.transaction(work);
    durableAt = clock.now();
    return done;
  };
}

/** Needs a connection of its own to read from, so that reports do not wait for the writer. */
export function createSpendLedger(write: Connection, read: Connection, clock: Clock): SpendLedger {
  const { load, save } = writing(write);
  const account = read.one<AccountRow>(`SELECT ${ACCOUNT_COLUMNS} FROM spend_account WHERE key = ?`);
  const range = read.many<AccountRow>(
    `SELECT ${ACCOUNT_COLUMNS} FROM spend_account WHERE key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?`,
  );
  const outputs = read.many<{ output: number }>(
    `SELECT output FROM spend WHERE model = ? AND stage = ? AND state = 'settled' AND estimated = 0 AND output > 0
     ORDER BY ended_at DESC LIMIT ?`,
  );
  const drop = write.run(
    `DELETE FROM spend WHERE id IN
       (SELECT id FROM spend WHERE ended_at IS NOT NULL AND ended_at < ? ORDER BY ended_at LIMIT ?)`,
  );
  const bury = write.run(
    `DELETE FROM spend WHERE id IN
       (SELECT id FROM spend WHERE state = 'expired' AND expires_at < ? ORDER BY expires_at, id LIMIT ?)`,
  );
  const forget = write.run(
    `DELETE FROM spend_account WHERE key IN
       (SELECT key FROM spend_account WHERE ${FORGOTTEN_ACCOUNTS} AND changed_at < ? LIMIT ?)`,
  );
  const commit = committing(write, clock);
  const guarded = async <T>(work: () => T): Promise<T> => {
    try {
      return work();
    } catch (error) {
      throw storeFailure(error, write.path);
    }
  };
  return {
    apply: (batch) =>
      guarded(() => {
        if (batch.length === 0) return [];
        const work = () => {
          const now = clock.now();
          const book = load(batch, now, SWEPT_AT_ONCE);
          sweepSpend(book, now);
          const answers = batch.map((op) => applySpend(book, op, now));
          save(book, now);
          return answers;
        };
        return commit(batch, work);
      }),
    sweep: (limit) =>
      guarded(() =>
        write.transaction(() => {
          const now = clock.now();
          const book = load([], now, Math.max(0, limit));
          const swept = sweepSpend(book, now);
          save(book, now);
          return swept;
        }),
      ),
    accounts: (keys) =>
      guarded(() =>
        [...keys]
          .sort()
          .flatMap((key) => account(key) ?? [])
          .map(toAccount),
      ),
    accountsFrom: ({ prefix, after, limit }) =>
      guarded(() => range(prefix, endOfPrefix(prefix), after ?? "", Math.max(0, limit)).map(toAccount)),
    spent: (query) =>
      guarded(() => {
        const { sql, values } = spendWhere(query);
        const ask = read.many<SumRow>(
          `SELECT ${SUMS} FROM spend ${sql} GROUP BY model, stage ORDER BY model, stage`,
        );
        return ask(...values).map(toSum);
      }),
    outputs: ({ model, stage, limit }) =>
      guarded(() => outputs(model, stage, Math.max(0, limit)).map((row) => row.output)),
    now: async () => clock.now(),
    prune: (before, limit) =>
      guarded(() =>
        write.transaction(() => {
          const most = Math.max(0, limit);
          const buried = bury(before, most);
          // While an entry is there its accounts are: it may still be settled.
          if (buried < most) forget(before, most);
          return buried + drop(before, most);
        }),
      ),
  };
}
