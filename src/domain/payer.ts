import type { Payer } from "./budget.ts";
import type { RunRequest } from "./fact.ts";

type Paying = Pick<RunRequest, "tenant" | "principal" | "parent" | "budgetMicros" | "lineage">;

/** Who pays for what a run does: it, all that it was started from, its user and its tenant. */
export function payerOf(run: string, request: Paying): Payer {
  const own = { id: run, budgetMicros: request.budgetMicros ?? null };
  const above = lineageOf(request).map(({ run: id, budgetMicros }) => ({ id, budgetMicros }));
  return { tenant: request.tenant, user: request.principal ?? null, runs: [...above, own] };
}

/** The lineage of a run's children. */
export function lineageBelow(run: string, request: Paying): NonNullable<RunRequest["lineage"]> {
  return [...lineageOf(request), { run, budgetMicros: request.budgetMicros ?? null }];
}

/** Runs from before there were budgets know their parent alone. */
function lineageOf({ lineage, parent }: Paying): NonNullable<RunRequest["lineage"]> {
  return lineage ?? (parent === null ? [] : [{ run: parent.run, budgetMicros: null }]);
}

/** The ids of a payer's runs as the ledger keeps them; empty outside of runs. */
export function pathOf({ runs }: Pick<Payer, "runs">): string {
  return runs.map((run) => run.id).join("/");
}
