import { allowancesFor, tighter } from "../../domain/budget.ts";
import type { RunRequest } from "../../domain/fact.ts";
import { pathOf, payerOf } from "../../domain/payer.ts";
import type { Parts } from "../parts.ts";
import { totalOf } from "./read-spend.ts";

/** What a run and all that it started have spent, and what is left of what they may. Micro-dollars. */
export interface RunBudget {
  /** Its own budget or the one configured for each run, whichever is tighter; `null` when it has none. */
  readonly limitMicros: number | null;
  readonly spentMicros: number;
  readonly estimatedMicros: number;
  readonly heldMicros: number;
  readonly leftMicros: number | null;
  readonly unpricedCalls: number;
}

export async function runBudget(
  { spend }: Pick<Parts, "spend">,
  run: string,
  request: RunRequest,
): Promise<RunBudget> {
  const payer = payerOf(run, request);
  const limitMicros = allowancesFor(spend.settings().budgets, payer, "")
    .filter((one) => one.scope === "run" && one.name === run && one.models === null)
    .reduce<number | null>((limit, { hardMicros }) => tighter(limit, hardMicros), null);
  const { chargedMicros, presumedMicros, estimatedMicros, heldMicros, unpricedCalls } = totalOf(
    await spend.ledger.spent({ path: pathOf(payer) }),
  );
  const spentMicros = chargedMicros + presumedMicros;
  return {
    limitMicros,
    spentMicros,
    estimatedMicros: estimatedMicros + presumedMicros,
    heldMicros,
    leftMicros: limitMicros === null ? null : Math.max(0, limitMicros - spentMicros - heldMicros),
    unpricedCalls,
  };
}
