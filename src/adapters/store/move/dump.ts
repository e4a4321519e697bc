import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdCompress, createZstdDecompress } from "node:zlib";
import { FailureError, failure } from "../../../domain/errors.ts";
import { batchesOf, type Digest, DigestBuilder } from "./digest.ts";
import type { Details, Sequences, Source } from "./ends.ts";
import { keyOf, lineOf, type Row, rowOf, type Table, tablesAt } from "./tables.ts";

/**
 * A whole database in one file, whichever it came from: lines of JSON, packed with zstd. First a header, then for each
 * table its name, its rows as arrays and its digest, and last the digest of all.
 */
interface Header {
  readonly agent_runner_dump: 1;
  readonly schema: number;
  /** Where it came from, for people. */
  readonly source: string;
  readonly taken_at: string;
  readonly rows: Readonly<Record<string, number>>;
  readonly sequences: Sequences;
}

const FORMAT = 1;

/** Writes what `source` holds now; the file appears when it is whole. `at` is ms since the epoch. */
export async function writeDump(
  source: Source,
  of: { readonly path: string; readonly at: number; readonly onRows: (table: string, rows: number) => void },
): Promise<Digest> {
  const digest = new DigestBuilder();
  async function* lines(): AsyncGenerator<string> {
    yield `${JSON.stringify(await headerOf(source, of.at))}\n`;
    for (const table of tablesAt(source.schema)) {
      const columns = table.columns.map((column) => column.name);
      yield `${JSON.stringify({ table: table.name, columns })}\n`;
      for await (const rows of batchesOf(source, table)) {
        const text = rows.map(lineOf);
        for (const line of text) digest.add(line);
        yield `${text.join("\n")}\n`;
        of.onRows(table.name, rows.length);
      }
      yield `${JSON.stringify({ end: digest.end(table.name) })}\n`;
    }
    yield `${JSON.stringify({ whole: digest.whole().sha256 })}\n`;
  }
  const draft = `${of.path}.partial`;
  try {
    const file = createWriteStream(draft, { mode: 0o600, flush: true });
    await pipeline(Readable.from(lines()), createZstdCompress(), file);
    await rename(draft, of.path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  return digest.whole();
}

async function headerOf(source: Source, at: number): Promise<Header> {
  const { name, schema } = source;
  const rows: Record<string, number> = {};
  for (const table of tablesAt(schema)) rows[table.name] = await source.count(table);
  const taken = new Date(at).toISOString();
  const sequences = await source.sequences();
  return { agent_runner_dump: FORMAT, schema, source: name, taken_at: taken, rows, sequences };
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const file = createReadStream(path);
  const text = createZstdDecompress();
  // What goes wrong with either ends the lines with it.
  file.on("error", (error) => text.destroy(error));
  file.pipe(text);
  try {
    yield* createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY });
    if (text.errored) throw text.errored;
  } finally {
    file.destroy();
    text.destroy();
  }
}

function damaged(path: string, why: string): FailureError {
  return new FailureError(failure("store_corrupt", `the dump ${path} is damaged: ${why}`));
}

/** Reads all of it once; rejects with `store_corrupt` unless everything is as it was written. */
async function check(path: string): Promise<Header> {
  const digest = new DigestBuilder();
  let header: Header | null = null;
  let whole: string | null = null;
  try {
    for await (const line of linesOf(path)) {
      if (line.startsWith("[")) digest.add(line);
      else {
        const said = JSON.parse(line) as Partial<Header> & {
          end?: { table: string; sha256: string };
          whole?: string;
        };
        if (header === null) header = headerIn(path, said);
        if (said.end !== undefined && digest.end(said.end.table).sha256 !== said.end.sha256) {
          throw damaged(path, `the rows of table ${said.end.table} are not those that were written`);
        }
        whole = said.whole ?? null;
      }
    }
  } catch (error) {
    if (error instanceof FailureError) throw error;
    throw damaged(path, error instanceof Error ? error.message : String(error));
  }
  if (header === null || whole === null) throw damaged(path, "its end is missing");
  if (whole !== digest.whole().sha256) throw damaged(path, "its digest is not that of its tables");
  return header;
}

function headerIn(path: string, said: Partial<Header>): Header {
  if (said.agent_runner_dump !== FORMAT)
    throw damaged(path, "it does not begin as a dump of agent-runner does");
  return said as Header;
}

class DumpSource implements Source {
  readonly name: string;
  readonly schema: number;
  readonly #path: string;
  readonly #header: Header;
  readonly #size: number;
  /** Where the file is read now: what comes next is `table`'s, after `after`. */
  #at: { lines: AsyncGenerator<string>; table: string; after: string | null } | null = null;

  constructor(path: string, header: Header, size: number) {
    this.#path = path;
    this.name = `dump:${path}`;
    this.schema = header.schema;
    this.#header = header;
    this.#size = size;
  }

  async read(table: Table, after: Row | null, limit: number): Promise<readonly Row[]> {
    const from = after === null ? null : lineOf(after);
    const here =
      this.#at?.table === table.name && this.#at.after === from ? this.#at : await this.#seek(table, from);
    const rows: Row[] = [];
    while (rows.length < limit) {
      const { value } = await here.lines.next();
      // The end of this table, and before the name of the next.
      if (typeof value !== "string" || !value.startsWith("[")) break;
      rows.push(rowOf(value));
    }
    const last = rows.at(-1);
    if (last !== undefined) here.after = lineOf(keyOf(table, last));
    if (rows.length < limit) await this.renew();
    return rows;
  }

  /** From the beginning of the file to where this table goes on. */
  async #seek(table: Table, after: string | null) {
    await this.renew();
    const lines = linesOf(this.#path);
    const at = { lines, table: table.name, after };
    this.#at = at;
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw damaged(this.#path, `it has no table ${table.name}`);
      if (value.startsWith("[")) continue;
      if ((JSON.parse(value) as { table?: string }).table === table.name) break;
    }
    for (let reached: string | null = null; reached !== after; ) {
      const { value } = await lines.next();
      if (typeof value !== "string" || !value.startsWith("[")) throw damaged(this.#path, `no row ${after}`);
      reached = lineOf(keyOf(table, rowOf(value)));
    }
    return at;
  }

  async fingerprint(): Promise<string> {
    return JSON.stringify([this.#header, this.#size]);
  }

  async count(table: Table): Promise<number> {
    return this.#header.rows[table.name] ?? 0;
  }

  async sequences(): Promise<Sequences> {
    return this.#header.sequences;
  }

  async details(): Promise<Details> {
    const { run: runs = 0, journal: facts = 0 } = this.#header.rows;
    return { bytes: this.#size, runs: { all: runs }, facts, oldestOpen: null };
  }

  async users(): Promise<readonly string[]> {
    return [];
  }

  async renew(): Promise<void> {
    const before = this.#at;
    this.#at = null;
    await before?.lines.return(undefined);
  }

  close(): Promise<void> {
    return this.renew();
  }
}

/** Rejects with `not_found` or `store_corrupt`: all of it is read and compared with its digests first. */
export async function openDump(path: string): Promise<Source> {
  const full = resolve(path);
  if (!existsSync(full)) throw new FailureError(failure("not_found", `there is no file ${full}`));
  const header = await check(full);
  return new DumpSource(full, header, (await stat(full)).size);
}
