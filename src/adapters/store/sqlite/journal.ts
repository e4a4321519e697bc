import type { RunNo } from "../../../contracts/run-store.ts";
import type { Fact, FactKind } from "../../../domain/fact.ts";
import type { Bodies } from "./bodies.ts";
import type { Connection } from "./connection.ts";
import { encode } from "./failures.ts";

export interface Journal {
  append(no: RunNo, token: number, facts: readonly Fact[]): void;
  read(no: RunNo, after: number, limit: number): Fact[];
}

interface Row {
  readonly seq: number;
  readonly at: number;
  readonly kind: FactKind;
  readonly step: string | null;
  readonly attempt: number | null;
  readonly body: string | null;
  readonly blob: Uint8Array | null;
}

/** Readers use the same code on a connection that cannot write. */
export function createJournalReader(connection: Connection, bodies: Bodies): Journal["read"] {
  const select = connection.many<Row>(
    `SELECT seq, at, kind, step, attempt, body, blob FROM journal
     WHERE run_no = ? AND seq > ? ORDER BY seq LIMIT ?`,
  );
  const decode = (row: Row): Fact => {
    const step = row.step === null ? {} : { step: row.step };
    const attempt = row.attempt === null ? {} : { attempt: row.attempt };
    const body = JSON.parse(bodies.load({ text: row.body, blob: row.blob }));
    // What is read here was written below, from a Fact.
    return { kind: row.kind, ...step, ...attempt, ...body, seq: row.seq, at: row.at } as Fact;
  };
  return (no, after, limit) => select(no, after, limit).map(decode);
}

export function createJournal(connection: Connection, bodies: Bodies): Journal {
  const insert = connection.run(
    `INSERT INTO journal (run_no, seq, at, kind, step, attempt, token, body, blob)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  return {
    append(no, token, facts) {
      for (const fact of facts) {
        const { kind, seq, at, step, attempt, ...rest } = fact as Fact & { step?: string; attempt?: number };
        const body = bodies.store(encode(rest));
        insert(no, seq, at, kind, step ?? null, attempt ?? null, token, body.text, body.blob);
      }
    },
    read: createJournalReader(connection, bodies),
  };
}
