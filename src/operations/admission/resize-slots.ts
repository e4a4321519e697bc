import type { RunReader, RunStore } from "../../contracts/run-store.ts";
import { type AdmissionRules, tenantRules } from "../../domain/admission-rules.ts";
import { LIMITS } from "../../domain/limits.ts";

const TENANT = "tenant:";
/** Slots looked at and changed in one go. */
const PAGE = 500;

/** The slot that each run of a tenant holds while a worker drives it. */
export function tenantSlotKey(tenant: string): string {
  return `${TENANT}${tenant}`;
}

/**
 * Brings the slots of tenants that have open runs to what the rules say, at once: what waits for one that grew goes on,
 * and what is driven beyond one that shrank ends in its time. A bound that was taken away is the widest there is. How
 * many were changed. Rejects with a `FailureError` when the store fails; to be asked again then.
 */
export async function resizeTenantSlots(
  { store, reader }: { readonly store: Pick<RunStore, "resize">; readonly reader: Pick<RunReader, "slots"> },
  rules: AdmissionRules,
): Promise<number> {
  let changed = 0;
  for (let after: string | null = null; ; ) {
    const page = await reader.slots({ prefix: TENANT, after, limit: PAGE });
    const wanted = page.flatMap(({ key, limit }) => {
      const { maxRunning } = tenantRules(rules, key.slice(TENANT.length));
      const cap = maxRunning ?? LIMITS.slotLimit;
      return cap === limit ? [] : [{ key, limit: cap }];
    });
    if (wanted.length > 0) changed += await store.resize(wanted);
    after = page.at(-1)?.key ?? null;
    // Each page begins after the one before, and only tenants with open runs have a slot.
    if (page.length < PAGE || after === null) return changed;
  }
}
