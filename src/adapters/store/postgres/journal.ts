import type { RunNo } from "../../../contracts/run-store.ts";
import type { Fact } from "../../../domain/fact.ts";
import { type FactRow, factOf } from "../sql/fact-row.ts";
import { unpackBlob } from "../sql/packing.ts";
import { type Sql, statement } from "./sql.ts";

/** A body as it is read: in the row, or in the blob beside it. */
export interface BodyRow {
  readonly body: string | null;
  readonly hash: Uint8Array | null;
  readonly enc: string | null;
  readonly data: Uint8Array | null;
}

/** `null` when nothing was stored at all. */
export function bodyText({ body, hash, enc, data }: BodyRow): string | null {
  if (hash === null) return body;
  return unpackBlob(hash, enc === null || data === null ? null : { enc, data });
}

type JournalRow = FactRow & BodyRow & { readonly run_no: number };

const COLUMNS = `journal.run_no, journal.seq, journal.at, journal.kind, journal.step, journal.attempt,
  journal.body, journal.blob AS hash, blob.enc, blob.data
  FROM journal LEFT JOIN blob ON blob.hash = journal.blob`;

export const READ_FACTS = statement(
  `SELECT ${COLUMNS} WHERE journal.run_no = $1 AND journal.seq > $2 ORDER BY journal.seq LIMIT $3`,
);
const FIRST = statement(`SELECT ${COLUMNS} WHERE journal.run_no = ANY($1::bigint[]) AND journal.seq = 1`);

export function toFact(row: JournalRow): Fact {
  return factOf(row, bodyText(row) ?? "null");
}

export async function firstFacts(sql: Sql, runs: readonly RunNo[]): Promise<Map<RunNo, Fact>> {
  const rows = await sql.many<JournalRow>(FIRST, [runs]);
  return new Map(rows.map((row) => [row.run_no, toFact(row)]));
}

export type { JournalRow };
