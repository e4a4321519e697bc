import type { SpendQuery, SpendSum } from "../../../contracts/spend-ledger.ts";
import type { Account, SpendEntry, SpendState } from "../../../domain/spend.ts";

/** Entries of one transaction that are given up beside its own work. */
export const SWEPT_AT_ONCE = 200;

/** What both databases read; a flag is 0 or 1 in one and a boolean in the other. */
export interface AccountRow {
  readonly key: string;
  readonly committed: number;
  readonly held: number;
  readonly presumed: number;
  readonly risk: number;
  readonly warned: number | boolean;
}

export function toAccount(row: AccountRow): Account {
  const { key, committed, held, presumed, risk } = row;
  return { key, committed, held, presumed, risk, warned: Boolean(row.warned) };
}

/**
 * Accounts that nothing can be booked on any more, or nothing was for long: those of past windows, and of runs. What a
 * tenant, a user or everybody may spend in total counts for ever.
 */
export const FORGOTTEN_ACCOUNTS = `key >= 'global:' AND key < 'user;' AND held = 0 AND (key LIKE 'run:%' OR
  key LIKE 'task:%' OR key LIKE '%|day|%' OR key LIKE '%|month|%')`;

export const SPEND_COLUMNS = `id, tenant, principal, path, model, stage, state, accounts, reserved, ceiling, accrued,
  charged, estimated, late, unpriced, input, output, at, expires_at, ended_at`;

export interface SpendRow {
  readonly id: string;
  readonly tenant: string;
  readonly principal: string;
  readonly path: string;
  readonly model: string;
  readonly stage: string;
  readonly state: SpendState;
  readonly accounts: string;
  readonly reserved: number;
  readonly ceiling: number;
  readonly accrued: number;
  readonly charged: number;
  readonly estimated: number | boolean;
  readonly late: number | boolean;
  readonly unpriced: number | boolean;
  readonly input: number;
  readonly output: number;
  readonly at: number;
  readonly expires_at: number;
  readonly ended_at: number | null;
}

export function toEntry(row: SpendRow): SpendEntry {
  const { id, tenant, principal: user, path, model, stage, state } = row;
  const { reserved, ceiling, accrued, charged, input, output, at } = row;
  return {
    id,
    subject: { tenant, user, path, model, stage },
    state,
    accounts: JSON.parse(row.accounts) as string[],
    reserved,
    ceiling,
    accrued,
    charged,
    estimated: Boolean(row.estimated),
    late: Boolean(row.late),
    unpriced: Boolean(row.unpriced),
    tokens: { input, output },
    at,
    expiresAt: row.expires_at,
    endedAt: row.ended_at,
  };
}

export function fromEntry(entry: SpendEntry): SpendRow & {
  readonly estimated: boolean;
  readonly late: boolean;
  readonly unpriced: boolean;
} {
  const { user, ...subject } = entry.subject;
  const { id, state, reserved, ceiling, accrued, charged, estimated, late, unpriced, at } = entry;
  return {
    id,
    ...subject,
    principal: user,
    state,
    accounts: JSON.stringify(entry.accounts),
    reserved,
    ceiling,
    accrued,
    charged,
    estimated,
    late,
    unpriced,
    input: entry.tokens.input,
    output: entry.tokens.output,
    at,
    expires_at: entry.expiresAt,
    ended_at: entry.endedAt,
  };
}

/** Sums of `spent`, in words that both databases know; `flag` is a column that says yes or no. */
export function sumsSql(yes: (flag: string) => string): string {
  const of = (condition: string, what: string) => `sum(CASE WHEN ${condition} THEN ${what} ELSE 0 END)`;
  return `model, stage, count(*) AS calls, sum(charged) AS charged,
    ${of(yes("estimated"), "charged")} AS estimated, ${of("state = 'held'", "reserved")} AS held,
    ${of("state = 'expired'", "accrued")} AS presumed, ${of(yes("unpriced"), "1")} AS unpriced,
    sum(input) AS input, sum(output) AS output`;
}

export interface SumRow {
  readonly model: string;
  readonly stage: string;
  readonly calls: number;
  readonly charged: number;
  readonly estimated: number;
  readonly held: number;
  readonly presumed: number;
  readonly unpriced: number;
  readonly input: number;
  readonly output: number;
}

/** PostgreSQL sums whole numbers into decimals, which arrive as text. */
export function toSum(row: SumRow): SpendSum {
  return {
    model: row.model,
    stage: row.stage,
    calls: Number(row.calls),
    chargedMicros: Number(row.charged),
    estimatedMicros: Number(row.estimated),
    heldMicros: Number(row.held),
    presumedMicros: Number(row.presumed),
    unpricedCalls: Number(row.unpriced),
    inputTokens: Number(row.input),
    outputTokens: Number(row.output),
  };
}

interface Condition {
  /** With `?` for each value. */
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

/** A path goes on with `/`, the sign before `0`: `run_1` is not the parent of `run_10`. */
function conditionsOf({ since, until, tenant, user, path }: SpendQuery): readonly Condition[] {
  const all: Condition[] = [];
  if (since !== undefined) all.push({ sql: "at >= ?", values: [since] });
  if (until !== undefined) all.push({ sql: "at < ?", values: [until] });
  if (tenant !== undefined) all.push({ sql: "tenant = ?", values: [tenant] });
  if (user !== undefined) all.push({ sql: "principal = ?", values: [user] });
  if (path !== undefined) {
    const values = [path, `${path}/`, `${path}0`];
    all.push({ sql: "path <> '' AND (path = ? OR (path >= ? AND path < ?))", values });
  }
  return all;
}

/** `WHERE …` of a query with `?` for each of the values. */
export function spendWhere(query: SpendQuery): Condition {
  const all = conditionsOf(query);
  return {
    sql: all.length === 0 ? "" : `WHERE ${all.map(({ sql }) => sql).join(" AND ")}`,
    values: all.flatMap(({ values }) => values),
  };
}

/** The first key that does not begin with a prefix any more: every key is ASCII. */
export function endOfPrefix(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}
