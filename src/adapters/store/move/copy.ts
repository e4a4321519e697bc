import { FailureError, failure } from "../../../domain/errors.ts";
import { compare, type Digest } from "./digest.ts";
import type { Progress, Source, Target } from "./ends.ts";
import { keyOf, lineOf, type Row, rowOf, tablesAt } from "./tables.ts";

export interface CopyStep {
  readonly phase: "copy" | "compare";
  readonly table: string;
  /** Rows of this phase so far, with those of an earlier attempt, and of all. */
  readonly rows: number;
  readonly total: number;
}

export interface CopyOptions {
  /** Copies although somebody works on the source: what is written from now on is not in the copy. */
  readonly live: boolean;
  /** Rows of one transaction; what each table's rows bear when absent. */
  readonly batch?: number;
  readonly onStep: (step: CopyStep) => void;
}

export interface CopyReport {
  readonly source: string;
  readonly target: string;
  /** Rows that an interrupted copy had brought already. */
  readonly resumedAt: number;
  /** Of both, which are the same. */
  readonly digest: Digest;
}

/**
 * Copies everything, batch by batch, each with its progress in one transaction of the target: killed at any instant, it
 * goes on where it was when it is called again. Then both are compared row by row; until that is done nobody can
 * open the target. Rejects with `store_in_use`, `store_not_empty`, `copy_unfinished` or `copy_differs`.
 */
export async function copyStore(
  source: Source,
  openTarget: (schema: number) => Promise<Target>,
  options: CopyOptions,
): Promise<CopyReport> {
  const users = await source.users();
  if (users.length > 0 && !options.live) {
    const message = `${source.name} is in use by ${users.join(", ")}; a copy would miss what they write`;
    throw new FailureError(failure("store_in_use", message));
  }
  const target = await openTarget(source.schema);
  try {
    return await copyInto(source, target, options);
  } finally {
    await target.close();
  }
}

async function copyInto(source: Source, target: Target, options: CopyOptions): Promise<CopyReport> {
  const fingerprint = await source.fingerprint();
  const started = await start(source, target, fingerprint);
  const total = await totalOf(source);
  await fill(source, target, { ...options, progress: started, total });
  if (!options.live) {
    // Compared with what the source holds now, not with what was read: whoever wrote meanwhile is found out.
    await source.renew();
    if ((await source.fingerprint()) !== fingerprint) {
      throw new FailureError(failure("copy_differs", `${source.name} was written to while it was copied`));
    }
  }
  let compared = 0;
  const { copy } = await compare(source, target, (table, rows) => {
    compared += rows;
    options.onStep({ phase: "compare", table, rows: compared, total });
  });
  await target.finish();
  return { source: source.name, target: target.name, resumedAt: started.rows, digest: copy };
}

async function totalOf(source: Source): Promise<number> {
  let total = 0;
  for (const table of tablesAt(source.schema)) total += await source.count(table);
  return total;
}

/** Where to go on: at the beginning, or where an interrupted copy of the same source was. */
async function start(source: Source, target: Target, fingerprint: string): Promise<Progress> {
  const known = await target.progress();
  if (known === null) {
    const first = { source: source.name, fingerprint, table: 0, after: null, rows: 0 };
    await target.begin(first);
    return first;
  }
  const { name } = target;
  if (known.source !== source.name) {
    const message = `${name} is a half-done copy of ${known.source}, not of ${source.name}`;
    throw new FailureError(failure("copy_unfinished", message));
  }
  if (known.fingerprint !== fingerprint) {
    const message = `${source.name} was written to since its copy into ${name} began; drop the half-done copy and begin again`;
    throw new FailureError(failure("copy_differs", message));
  }
  return known;
}

async function fill(
  source: Source,
  target: Target,
  of: CopyOptions & { readonly progress: Progress; readonly total: number },
): Promise<void> {
  let from = of.progress;
  const tables = tablesAt(source.schema);
  for (const [at, table] of tables.entries()) {
    if (at < from.table) continue;
    for (;;) {
      const after: Row | null = from.after === null ? null : rowOf(from.after);
      const rows = await source.read(table, after, of.batch ?? table.batch);
      const last = rows.at(-1);
      if (last === undefined) break;
      const to: Progress = { ...from, after: lineOf(keyOf(table, last)), rows: from.rows + rows.length };
      await target.write(table, rows, { from, to });
      from = to;
      of.onStep({ phase: "copy", table: table.name, rows: from.rows, total: of.total });
    }
    const to: Progress = { ...from, table: at + 1, after: null };
    await target.write(table, [], { from, to });
    from = to;
  }
  if (from.table === tables.length) {
    await target.settle(await source.sequences(), { from, to: { ...from, table: from.table + 1 } });
  }
}
