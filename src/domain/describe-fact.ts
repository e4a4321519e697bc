import { formatDuration } from "../base/duration.ts";
import { describeNote } from "./describe-note.ts";
import type { Fact } from "./fact.ts";
import type { Wait } from "./outcome.ts";
import type { SlaPart } from "./sla.ts";

const PLEDGES: Readonly<Record<SlaPart, string>> = {
  start_by: "latest start",
  deadline: "deadline",
  target: "target",
};

/** One line for people; `null` for facts that only the engine reads. */
export function describeFact(fact: Fact): string | null {
  switch (fact.kind) {
    case "run_queued":
      return `queued: ${fact.request.workflow.name}`;
    case "run_started":
      return "started";
    case "run_resumed_by":
      return `taken over by ${fact.worker}`;
    case "run_paused":
      return `paused by ${fact.by}`;
    case "run_unpaused":
      return `resumed by ${fact.by}`;
    case "cancel_requested":
      return `cancel asked by ${fact.by}: ${fact.reason}`;
    case "run_completed":
      return "completed";
    case "run_failed":
      return `failed: ${fact.failure.message}`;
    case "run_canceled":
      return `canceled: ${fact.reason}`;
    case "sla_breached":
      return `missed its ${PLEDGES[fact.what]} by ${formatDuration(fact.byMs)}`;
    case "signal_received":
      return `signal ${fact.name} from ${fact.from}`;
    case "message_sent":
      return `${fact.step} sent ${fact.name} to ${fact.to}`;
    case "approval_requested":
      return `${fact.step} asks: ${fact.approval.title}`;
    case "approval_answered":
      return `${fact.answer} by ${fact.by}`;
    case "approval_expired":
      return `approval ${fact.approval} expired`;
    case "child_started":
      return `${fact.step} started run ${fact.run} of ${fact.workflow}`;
    case "child_ended":
      return `run ${fact.run} ${fact.status}`;
    case "artifact_saved":
      return `${fact.step} saved ${fact.artifact.name}`;
    case "noted":
      return `${fact.step}: ${describeNote(fact.name, fact.data)}`;
    case "retry_budget_exhausted":
      return fact.delayMs === null
        ? `${fact.step} is not tried again: too much fails at the moment`
        : `${fact.step} is tried again ${formatDuration(fact.delayMs)} later: too much fails at the moment`;
    case "effect_intended":
    case "effect_recorded":
      return null;
    default:
      return describeStepFact(fact);
  }
}

function describeStepFact(fact: Extract<Fact, { kind: `step_${string}` | "effect_uncertain" }>): string {
  switch (fact.kind) {
    case "step_started":
      return fact.attempt === 1 ? `${fact.step} started` : `${fact.step} started, attempt ${fact.attempt}`;
    case "step_expanded":
      return `${fact.step} has ${fact.items.length} items`;
    case "step_waiting":
      return `${fact.step} waits for ${fact.waits.map(describeWait).join(" or ")}`;
    case "step_woken":
      return `${fact.step} woken by ${fact.by}`;
    case "step_retrying":
      return `${fact.step} failed and is tried again: ${fact.failure.message}`;
    case "step_succeeded":
      return `${fact.step} succeeded`;
    case "step_failed":
      return `${fact.step} failed: ${fact.failure.message}`;
    case "step_skipped":
      return `${fact.step} skipped: ${fact.reason}`;
    case "step_canceled":
      return `${fact.step} canceled: ${fact.reason}`;
    case "effect_uncertain":
      return `${fact.step}: nobody knows whether ${fact.key} happened; a person is asked`;
  }
}

/** `signal:deploy`, `approval:apr_…`, `run:run_…`, `timer`. */
export function describeWait(wait: Wait): string {
  switch (wait.on) {
    case "signal":
      return `signal:${wait.name}`;
    case "approval":
      return `approval:${wait.approval}`;
    case "child":
      return `run:${wait.run}`;
    case "timer":
      return "timer";
  }
}
