import type { Admission, Admitted, Claim } from "../../../contracts/run-store.ts";
import { entryFault, isConnectionLoss } from "./failures.ts";
import { leaseOf, type QuickRow, quickValues, sendQuick } from "./quick.ts";
import type { Reads } from "./reads.ts";
import type { Session } from "./session.ts";
import type { Value } from "./sql.ts";
import type { Standing } from "./standing.ts";

export interface AdmitParts {
  readonly doors: Session;
  readonly reads: Reads;
  readonly standing: Standing;
  readonly shard: number;
  readonly now: number;
  /** The same admission with all that it may touch locked and looked at; tells others what it did. */
  readonly closely: (admission: Admission) => Promise<Admitted>;
}

export interface AdmitAnswer {
  readonly admitted: Admitted;
  /** Where the quick way put it, which nobody has been told yet; `null` when `closely` did the work. */
  readonly place: "ready" | "lease" | null;
}

/** One admission: in one trip where that is possible, and into the hands of a worker of this process that waits. */
export async function admitOne(admission: Admission, parts: AdmitParts): Promise<AdmitAnswer> {
  const taker = parts.standing.take();
  const worker = taker?.worker ?? null;
  let claim: Claim | null = null;
  try {
    const values = quickValues(admission, { shard: parts.shard, now: parts.now, worker });
    const outcome = values === null ? null : await attempt(values, admission, parts);
    if (outcome === null) return { admitted: await parts.closely(admission), place: null };
    if (outcome === "lost") {
      const admitted = await parts.closely(admission);
      if (admitted.kind !== "existing" || admitted.id !== admission.id) return { admitted, place: null };
      // Ours, by the trip whose answer was lost.
      if (worker !== null) claim = await leaseOf(parts.reads, { run: admission.id, worker });
      return { admitted: { kind: "created", id: admission.id }, place: claim === null ? "ready" : "lease" };
    }
    const { no, token } = outcome;
    if (worker !== null && token !== null) claim = { no, run: admission.id, token, worker };
    return { admitted: { kind: "created", id: admission.id }, place: claim === null ? "ready" : "lease" };
  } finally {
    taker?.settle(claim);
  }
}

/** `null`: it has to be looked at closely; `lost`: nobody knows whether it was done. */
async function attempt(
  values: readonly Value[],
  { caps }: Admission,
  { doors }: Pick<AdmitParts, "doors">,
): Promise<QuickRow | null | "lost"> {
  const capped = caps?.queue != null || caps?.tenant != null;
  try {
    const { rows } = await doors.transaction(async (tx) => sendQuick(tx, values, { capped }));
    return (await rows)[0] ?? null;
  } catch (error) {
    if (isConnectionLoss(error)) return "lost";
    // Somebody admitted the same at this moment, or a value cannot be stored: a closer look says which.
    if (entryFault(error) !== null) return null;
    throw error;
  }
}
