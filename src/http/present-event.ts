import type { Json } from "../base/json.ts";
import { describeFact } from "../domain/describe-fact.ts";
import type { Fact } from "../domain/fact.ts";
import type * as api from "./api.ts";
import { moment, momentOrNull } from "./moments.ts";
import { presentWait } from "./present.ts";

/**
 * A fact as an event of the API. The house's own fields become snake_case and moments RFC 3339; what steps, people
 * and models wrote (inputs, outputs, bodies, details, notes) is passed on as it is.
 */
export function presentEvent(fact: Fact): api.Event {
  const step = "step" in fact ? fact.step : null;
  return {
    seq: fact.seq,
    at: moment(fact.at),
    kind: fact.kind,
    step,
    text: describeFact(fact),
    data: dataOf(fact),
  };
}

function dataOf(fact: Fact): Record<string, unknown> {
  switch (fact.kind) {
    case "run_queued":
      return presentRequest(fact.request);
    case "step_waiting":
      return { attempt: fact.attempt, waits: fact.waits.map((wait) => presentWait(fact.step, wait)) };
    case "approval_requested": {
      const { expiresAt, ...approval } = fact.approval;
      return { approval: { ...approval, expires_at: momentOrNull(expiresAt) } };
    }
    case "artifact_saved": {
      const { mediaType, ...artifact } = fact.artifact;
      return { artifact: { ...artifact, media_type: mediaType } };
    }
    case "step_retrying":
      return { attempt: fact.attempt, failure: fact.failure, next_at: moment(fact.nextAt) };
    case "noted":
      return { name: fact.name, data: fact.data };
    default:
      return snakeCaseFields(fact);
  }
}

function presentRequest(request: Extract<Fact, { kind: "run_queued" }>["request"]): Record<string, unknown> {
  const { deadlineAt, sla, ...rest } = request;
  const promised = sla && {
    class: sla.class,
    start_by: momentOrNull(sla.startBy),
    target_ms: sla.targetMs,
  };
  const shown = { ...rest, deadline_at: momentOrNull(deadlineAt) };
  return { request: promised === undefined ? shown : { ...shown, sla: promised } };
}

const PLACE = new Set(["seq", "at", "kind", "step"]);

/** The first level only: below it are other people's words. */
function snakeCaseFields(fact: Fact): Record<string, unknown> {
  const data: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fact) as [string, Json][]) {
    if (PLACE.has(key)) continue;
    data[key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] = value;
  }
  return data;
}
