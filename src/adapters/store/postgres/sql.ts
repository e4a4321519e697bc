import type pg from "pg";

export type Value =
  | string
  | number
  | boolean
  | null
  | Uint8Array
  | readonly (string | number | boolean | null | Uint8Array)[];

export type Rows<Row> = readonly Row[];

/** Prepared once a connection under its name. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

const statements: Statement[] = [];

export function statement(text: string): Statement {
  const made = { name: `s${statements.length + 1}`, text };
  statements.push(made);
  return made;
}

/** Every statement this program has: their plans are looked at by a test. */
export function allStatements(): readonly Statement[] {
  return statements;
}

/**
 * Statements on one connection. They are sent at once, in order, and need not be awaited: `settled` waits for all
 * and rejects with what the first of them failed with.
 */
export class Sql {
  readonly #client: pg.Client;
  readonly #sent: Promise<unknown>[] = [];

  constructor(client: pg.Client) {
    this.#client = client;
  }

  many<Row>({ name, text }: Statement, values: readonly Value[]): Promise<Rows<Row>> {
    return this.#track(
      this.#client.query({ name, text, values: values as unknown[] }).then(({ rows }) => rows as Row[]),
    );
  }

  /** How many rows were changed. */
  run({ name, text }: Statement, values: readonly Value[]): Promise<number> {
    return this.#track(
      this.#client.query({ name, text, values: values as unknown[] }).then(({ rowCount }) => rowCount ?? 0),
    );
  }

  /** A command without parameters; resolves to its tag. */
  exec(text: string): Promise<string> {
    return this.#track(this.#client.query(text).then((result) => result.command));
  }

  async settled(): Promise<void> {
    for (const sent of this.#sent) await sent;
  }

  #track<T>(sent: Promise<T>): Promise<T> {
    // Whoever does not await it is told by `settled`.
    sent.catch(() => undefined);
    this.#sent.push(sent);
    return sent;
  }
}
