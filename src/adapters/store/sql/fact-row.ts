import type { Fact, FactKind } from "../../../domain/fact.ts";
import { encode } from "./encode.ts";

/** What of a fact has columns of its own; the rest is its body. */
export interface FactRow {
  readonly seq: number;
  readonly at: number;
  readonly kind: FactKind;
  readonly step: string | null;
  readonly attempt: number | null;
}

export function factRow(fact: Fact): FactRow & { readonly text: string } {
  const { kind, seq, at, step, attempt, ...rest } = fact as Fact & { step?: string; attempt?: number };
  return { kind, seq, at, step: step ?? null, attempt: attempt ?? null, text: encode(rest) };
}

export function factOf(row: FactRow, text: string): Fact {
  const step = row.step === null ? {} : { step: row.step };
  const attempt = row.attempt === null ? {} : { attempt: row.attempt };
  // What is read here was written above, from a Fact.
  return { kind: row.kind, ...step, ...attempt, ...JSON.parse(text), seq: row.seq, at: row.at } as Fact;
}
