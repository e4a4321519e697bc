import { createHash, type Hash } from "node:crypto";
import { FailureError, failure } from "../../../domain/errors.ts";
import type { Source } from "./ends.ts";
import { keyOf, lineOf, type Row, type Table, tablesAt } from "./tables.ts";

export interface TableDigest {
  readonly table: string;
  readonly rows: number;
  /** SHA-256 of the table's rows as lines, in the order of its key. */
  readonly sha256: string;
}

/** What a database holds, in a few lines: two that hold the same have the same. */
export interface Digest {
  readonly tables: readonly TableDigest[];
  readonly rows: number;
  /** SHA-256 over all tables' names and digests. */
  readonly sha256: string;
}

/** The rows of a table, batch after batch. */
export async function* batchesOf(source: Source, table: Table): AsyncGenerator<readonly Row[]> {
  for (let after: Row | null = null; ; ) {
    const rows: readonly Row[] = await source.read(table, after, table.batch);
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
    after = keyOf(table, last);
  }
}

export class DigestBuilder {
  readonly #tables: TableDigest[] = [];
  #hash: Hash = createHash("sha256");
  #rows = 0;

  add(line: string): void {
    this.#rows += 1;
    this.#hash.update(line).update("\n");
  }

  end(table: string): TableDigest {
    const done = { table, rows: this.#rows, sha256: this.#hash.digest("hex") };
    this.#tables.push(done);
    this.#hash = createHash("sha256");
    this.#rows = 0;
    return done;
  }

  whole(): Digest {
    const whole = createHash("sha256");
    for (const { table, rows, sha256 } of this.#tables) whole.update(`${table} ${rows} ${sha256}\n`);
    const rows = this.#tables.reduce((sum, one) => sum + one.rows, 0);
    return { tables: this.#tables, rows, sha256: whole.digest("hex") };
  }
}

/** What a database or a dump holds. */
export async function digestOf(source: Source): Promise<Digest> {
  const digest = new DigestBuilder();
  for (const table of tablesAt(source.schema)) {
    for await (const rows of batchesOf(source, table)) for (const row of rows) digest.add(lineOf(row));
    digest.end(table.name);
  }
  return digest.whole();
}

/**
 * Compares two row by row, and answers the digest of each, which are then the same. Rejects with `copy_differs` at the
 * first row that is not the same.
 */
export async function compare(
  source: Source,
  copy: Source,
  onRows: (table: string, rows: number) => void,
): Promise<{ readonly source: Digest; readonly copy: Digest }> {
  const digests = { source: new DigestBuilder(), copy: new DigestBuilder() };
  for (const table of tablesAt(source.schema)) {
    const others = batchesOf(copy, table);
    for await (const rows of batchesOf(source, table)) {
      const other = (await others.next()).value ?? [];
      for (const [at, row] of rows.entries()) {
        const line = lineOf(row);
        const there = other[at];
        const copied = there === undefined ? "" : lineOf(there);
        if (copied !== line) throw differing(table, row, there);
        digests.source.add(line);
        digests.copy.add(copied);
      }
      const [more] = other.slice(rows.length);
      if (more !== undefined) throw differing(table, more, more);
      onRows(table.name, rows.length);
    }
    const [more] = (await others.next()).value ?? [];
    if (more !== undefined) throw differing(table, more, more);
    digests.source.end(table.name);
    digests.copy.end(table.name);
  }
  return { source: digests.source.whole(), copy: digests.copy.whole() };
}

function differing(table: Table, row: Row, there: Row | undefined): FailureError {
  const key = lineOf(keyOf(table, row));
  const how =
    there === undefined
      ? "is not in the copy"
      : there === row
        ? "is in the copy only"
        : "is another in the copy";
  return new FailureError(failure("copy_differs", `the row ${key} of table ${table.name} ${how}`));
}
