import { LIMITS } from "../../domain/limits.ts";
import type { Parts, Probe } from "../parts.ts";

export interface Readiness {
  readonly ready: boolean;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

/** Whether work sent here now would be accepted and done. Never throws; a check that does not answer has failed. */
export async function readiness(
  parts: Pick<Parts, "reader" | "probes" | "clock" | "steering">,
): Promise<Readiness> {
  let workers: number | null = null;
  const store: Probe = {
    name: "store",
    async check() {
      workers = (await parts.reader.counts()).workers;
      return null;
    },
  };
  const [first, ...others] = await Promise.all([store, ...parts.probes].map((probe) => ask(parts, probe)));
  const worker = { name: "worker", ...workerState(workers) };
  const checks = [...drained(parts), ...(first ? [first] : []), worker, ...others];
  return { ready: checks.every((check) => check.ok), checks };
}

/** Only told while it matters. */
function drained({ steering }: Pick<Parts, "steering">): Readiness["checks"] {
  if (!steering?.draining()) return [];
  return [{ name: "drain", ok: false, detail: "this server is draining; it takes nothing new" }];
}

function workerState(workers: number | null): { readonly ok: boolean; readonly detail: string } {
  if (workers === null) return { ok: false, detail: "unknown while the store does not answer" };
  return workers > 0
    ? { ok: true, detail: `${workers} at work` }
    : { ok: false, detail: "no worker has joined; runs are accepted, and wait" };
}

async function ask(parts: Pick<Parts, "clock">, probe: Probe): Promise<Readiness["checks"][number]> {
  const { promise: late, resolve } = Promise.withResolvers<string>();
  const cancel = parts.clock.after(LIMITS.healthCheckMs, () =>
    resolve(`no answer within ${LIMITS.healthCheckMs} ms`),
  );
  const answer = probe
    .check()
    .catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
  const problem = await Promise.race([answer, late]);
  cancel();
  return { name: probe.name, ok: problem === null, detail: problem ?? "ok" };
}
