import type { Row, Table } from "./tables.ts";

/** The highest numbers that were given out: what a copy goes on above. */
export interface Sequences {
  /** Fence tokens. */
  readonly fence: number;
  /** Messages, in order of arrival. */
  readonly arrival: number;
  readonly run: number;
  /** Virtual times of the queue. */
  readonly vt: number;
  readonly approval: number;
}

/** What `db status` tells of a database. */
export interface Details {
  /** On disk, with indexes. */
  readonly bytes: number;
  /** Runs of each status that there are any of. */
  readonly runs: Readonly<Record<string, number>>;
  readonly facts: number;
  /** The open run that was admitted first. */
  readonly oldestOpen: { readonly id: string; readonly created_at: number } | null;
}

/** Something that rows can be read from: a database or a dump. */
export interface Source {
  /** For people, and to know the source of a half-done copy again: no password in it. */
  readonly name: string;
  readonly schema: number;
  /** At most `limit` rows in the order of the key, after `after`. */
  read(table: Table, after: Row | null, limit: number): Promise<readonly Row[]>;
  /** Rows of every table and the sequences: another one whenever somebody has written something that stays. */
  fingerprint(): Promise<string>;
  count(table: Table): Promise<number>;
  sequences(): Promise<Sequences>;
  details(): Promise<Details>;
  /** Whoever works on it now, one text each. */
  users(): Promise<readonly string[]>;
  /** What is read from now on is of this moment. */
  renew(): Promise<void>;
  close(): Promise<void>;
}

/** How far a copy has come; kept in the target, in the transaction that brings it further. */
export interface Progress {
  /** What is copied, by its source's name and fingerprint. */
  readonly source: string;
  readonly fingerprint: string;
  /** Index of the table that is being copied; beyond the last: all rows are there, and are compared. */
  readonly table: number;
  /** The last key that is there, as a line. */
  readonly after: string | null;
  /** Rows copied so far. */
  readonly rows: number;
}

/** A database that rows can be copied into. */
export interface Target extends Source {
  /** `null` where no copy is under way. */
  progress(): Promise<Progress | null>;
  /** Notes that a copy begins. */
  begin(first: Progress): Promise<void>;
  /** The rows and the progress, all or nothing; rejects with `conflict` when another copy has moved on from `from`. */
  write(
    table: Table,
    rows: readonly Row[],
    step: { readonly from: Progress; readonly to: Progress },
  ): Promise<void>;
  /** Counts anew, and lets every sequence go on above what was copied. */
  settle(sequences: Sequences, step: { readonly from: Progress; readonly to: Progress }): Promise<void>;
  /** The copy is whole: the note of it goes, and the schema is brought up to date. */
  finish(): Promise<void>;
}
