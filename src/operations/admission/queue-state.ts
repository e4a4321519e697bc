import type { QueueLoad, Unserved } from "../../contracts/run-store.ts";
import { estimateWait } from "../../domain/admission.ts";
import { type AdmissionRules, classOf, tenantRules } from "../../domain/admission-rules.ts";
import { ok, type Result } from "../../domain/errors.ts";
import { asResult } from "../as-result.ts";
import type { Parts } from "../parts.ts";
import type { DeskCounts } from "./desk.ts";

/** Tenants shown; the fullest. */
const TENANTS_SHOWN = 100;

export interface QueueState {
  readonly store: QueueLoad;
  readonly maxQueued: number;
  readonly classes: readonly {
    readonly name: string;
    readonly priority: number;
    readonly queued: number;
    /** Of a run of the tenant `default` that came now; `null` when nobody can tell. */
    readonly waitMs: number | null;
  }[];
  readonly tenants: readonly {
    readonly tenant: string;
    readonly queued: number;
    readonly maxQueued: number | null;
    readonly maxRunning: number | null;
    readonly weight: number;
  }[];
  /** Runs that no worker can take, whoever is free. */
  readonly unserved: readonly Unserved[];
  /** What this process turned away since it started. */
  readonly here: DeskCounts;
}

/** How full the queue is, how long it takes, and what was turned away. */
export function queueState(parts: Pick<Parts, "desk" | "reader">): Promise<Result<QueueState>> {
  return asResult(async () => {
    const [{ load, store }, unserved] = await Promise.all([parts.desk.freshLoad(), parts.reader.unserved()]);
    const rules = parts.desk.rules();
    return ok({
      store,
      maxQueued: rules.maxQueued,
      classes: rules.classes.map(({ name, priority }) => ({
        name,
        priority,
        queued: queuedIn(rules, store, name),
        waitMs: estimateWait(rules, load, { tenant: "default", priority }),
      })),
      tenants: tenantsOf(rules, store),
      unserved,
      here: parts.desk.counts(),
    });
  });
}

/** A run with a priority between two classes counts for the class that it is treated as. */
function queuedIn(rules: AdmissionRules, { byClass }: QueueLoad, name: string): number {
  return byClass.reduce((sum, one) => sum + (classOf(rules, one.priority) === name ? one.queued : 0), 0);
}

export function queuedByTenant({ byTenant }: Pick<QueueLoad, "byTenant">): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const { tenant, queued } of byTenant) sums.set(tenant, (sums.get(tenant) ?? 0) + queued);
  return sums;
}

function tenantsOf(rules: AdmissionRules, store: QueueLoad): QueueState["tenants"] {
  return [...queuedByTenant(store)]
    .sort((a, b) => b[1] - a[1])
    .slice(0, TENANTS_SHOWN)
    .map(([tenant, queued]) => {
      const { maxQueued, maxRunning, weight } = tenantRules(rules, tenant);
      return { tenant, queued, maxQueued, maxRunning, weight };
    });
}
