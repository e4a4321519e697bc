import type { Fact } from "../../domain/fact.ts";
import { LIMITS } from "../../domain/limits.ts";
import type { Parts } from "../parts.ts";

/** All facts of a run after seq `from`, page by page; nothing for an unknown run. Bounded by the journal as it is at the end. */
export async function* readJournal(
  parts: Pick<Parts, "reader">,
  run: string,
  from = 0,
): AsyncGenerator<readonly Fact[]> {
  let after = from;
  for (;;) {
    const facts = await parts.reader.factsOf(run, { after, limit: LIMITS.pageSize });
    const last = facts?.at(-1);
    if (!facts || !last) return;
    yield facts;
    if (facts.length < LIMITS.pageSize) return;
    after = last.seq;
  }
}
