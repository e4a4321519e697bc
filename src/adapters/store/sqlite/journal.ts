import type { RunNo } from "../../../contracts/run-store.ts";
import type { Fact } from "../../../domain/fact.ts";
import { type FactRow, factOf, factRow } from "../sql/fact-row.ts";
import type { Bodies } from "./bodies.ts";
import type { Connection } from "./connection.ts";

export interface Journal {
  append(no: RunNo, token: number, facts: readonly Fact[]): void;
  read(no: RunNo, after: number, limit: number): Fact[];
}

interface Row extends FactRow {
  readonly body: string | null;
  readonly blob: Uint8Array | null;
}

/** Readers use the same code on a connection that cannot write. */
export function createJournalReader(connection: Connection, bodies: Bodies): Journal["read"] {
  const select = connection.many<Row>(
    `SELECT seq, at, kind, step, attempt, body, blob FROM journal
     WHERE run_no = ? AND seq > ? ORDER BY seq LIMIT ?`,
  );
  return (no, after, limit) =>
    select(no, after, limit).map((row) => factOf(row, bodies.load({ text: row.body, blob: row.blob })));
}

export function createJournal(connection: Connection, bodies: Bodies): Journal {
  const insert = connection.run(
    `INSERT INTO journal (run_no, seq, at, kind, step, attempt, token, body, blob)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  return {
    append(no, token, facts) {
      for (const fact of facts) {
        const { kind, seq, at, step, attempt, text } = factRow(fact);
        const body = bodies.store(text);
        insert(no, seq, at, kind, step, attempt, token, body.text, body.blob);
      }
    },
    read: createJournalReader(connection, bodies),
  };
}
