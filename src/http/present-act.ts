import type { RunStatus } from "../domain/run.ts";
import type { Glance } from "../operations/admission/glance.ts";
import type { FoundAct } from "../operations/intake/find-act.ts";
import type * as api from "./api.ts";
import { presentRun } from "./present.ts";

/** What a request is called while its run is queued: it was taken, nothing more. */
export function actState(status: RunStatus): api.Act["state"] {
  return status === "queued" ? "accepted" : status;
}

export function actPath(id: string): string {
  return `/v1/act/${id}`;
}

export function presentAct({ run, intent }: FoundAct, seen: Glance): api.Act {
  const { text, chosen, by, model, threshold, candidates } = intent;
  return {
    id: run.id,
    state: actState(run.status),
    run: presentRun(run, seen),
    intent: {
      text,
      chosen: { ...chosen },
      by,
      model: model ?? null,
      threshold,
      candidates: candidates.map((one) => ({ ...one, reasons: [...one.reasons] })),
    },
    links: {
      self: actPath(run.id),
      run: `/runs/${run.id}`,
      events: `/runs/${run.id}/events`,
      artifacts: `/runs/${run.id}/artifacts`,
      cancel: `/runs/${run.id}/cancel`,
    },
  };
}
