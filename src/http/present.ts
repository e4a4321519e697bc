import type { LiveEvent } from "../contracts/live.ts";
import type { Approval } from "../domain/approval.ts";
import type { Artifact } from "../domain/artifact.ts";
import type { Failure } from "../domain/errors.ts";
import type { UseSum } from "../domain/model-use.ts";
import type { Wait } from "../domain/outcome.ts";
import type { RunSummary } from "../domain/run.ts";
import type { RunView } from "../domain/run-view.ts";
import type { StepView } from "../domain/step-view.ts";
import type { Glance } from "../operations/admission/glance.ts";
import type { RunDetail as Detail } from "../operations/runs/run-detail.ts";
import type * as api from "./api.ts";
import { moment, momentOrNull } from "./moments.ts";
import { presentRunBudget } from "./present-money.ts";
import { presentSla } from "./present-queue.ts";

/** Domain → wire. The only place that knows both spellings. */

function presentFailure(failure: Failure) {
  const { code, message, retryable, details } = failure;
  return details === undefined ? { code, message, retryable } : { code, message, retryable, details };
}

export function presentListedRun(run: RunSummary, seen: Glance): api.RunListItem {
  return {
    id: run.id,
    workflow: run.workflow,
    workflow_hash: run.workflowHash,
    status: run.status,
    paused: run.paused,
    waiting_for: [...run.waitingFor],
    title: run.title,
    tenant: run.tenant,
    queue: run.queue,
    priority: run.priority,
    parent: run.parent && { run: run.parent.run, step: run.parent.step },
    created_at: moment(run.createdAt),
    started_at: momentOrNull(run.startedAt),
    ended_at: momentOrNull(run.endedAt),
    deadline_at: momentOrNull(run.deadlineAt),
    sla: presentSla(run, seen),
    failure: run.failure && presentFailure(run.failure),
  };
}

export function presentRun(run: RunSummary, seen: Glance): api.Run {
  return { ...presentListedRun(run, seen), output: run.output };
}

export function presentDetail({ run, view, budget }: Detail, seen: Glance): api.RunDetail {
  return {
    ...presentRun(run, seen),
    principal: view.request.principal ?? null,
    inputs: view.request.inputs,
    workflow_version: view.request.workflow.version,
    cancel_requested: view.cancelRequested,
    last_seq: view.lastSeq,
    steps: view.steps.map((step) => presentStep(step, seen.now)),
    waiting: view.waiting.map(({ step, wait }) => presentWait(step, wait)),
    approvals: view.approvals.map((approval) => presentApproval({ ...approval, run: run.id })),
    artifacts: view.artifacts.map(presentArtifact),
    children: view.children.map((child) => ({ ...child })),
    usage: {
      ...presentUse(view.usage),
      by_model: view.usage.byModel.map((use) => ({ model: use.model, stage: use.stage, ...presentUse(use) })),
    },
    budget: presentRunBudget(budget),
    progress: presentProgress(view),
  };
}

function presentProgress(view: RunView): api.RunDetail["progress"] {
  const { phase, elapsedMs, percent, stepsEnded, stepsTotal, etaMs } = view.progress;
  return {
    phase,
    elapsed_ms: elapsedMs,
    percent,
    eta_ms: etaMs,
    steps_ended: stepsEnded,
    steps_total: stepsTotal,
    last_events: view.lastEvents.map((event) => ({ ...event, at: moment(event.at) })),
    changed_files: [...view.changedFiles],
  };
}

function presentStep(step: StepView, now: number): api.Step {
  const elapsed = step.startedAt === null ? null : Math.max(0, (step.endedAt ?? now) - step.startedAt);
  return {
    id: step.id,
    status: step.status,
    attempts: step.attempts,
    started_at: momentOrNull(step.startedAt),
    ended_at: momentOrNull(step.endedAt),
    elapsed_ms: elapsed,
    retry_at: momentOrNull(step.retryAt),
    output: step.output,
    output_chars: step.outputChars,
    failure: step.failure && presentFailure(step.failure),
    reason: step.reason,
    instances: step.instances,
    last_note: step.lastNote && { name: step.lastNote.name, at: moment(step.lastNote.at) },
  };
}

export function presentWait(step: string, wait: Wait): api.RunDetail["waiting"][number] {
  const name =
    wait.on === "signal"
      ? wait.name
      : wait.on === "child"
        ? wait.run
        : wait.on === "approval"
          ? wait.approval
          : "";
  return { step, on: wait.on, name, until: momentOrNull(wait.until) };
}

function presentUse(use: UseSum) {
  const MICROS = 1_000_000;
  return {
    calls: use.calls,
    tokens: {
      input: use.usage.input,
      cache_read: use.usage.cacheRead,
      cache_write: use.usage.cacheWrite,
      output: use.usage.output,
      reasoning: use.usage.reasoning,
    },
    cost_usd: use.costMicros / MICROS,
    unpriced_calls: use.unpricedCalls,
  };
}

export function presentArtifact(
  artifact: Artifact & { readonly step: string; readonly savedAt: number },
): api.Artifact {
  const { id, name, kind, bytes, sha256, step, metadata } = artifact;
  const base = { id, name, kind, media_type: artifact.mediaType, bytes, sha256, step };
  const saved = { ...base, saved_at: moment(artifact.savedAt) };
  return metadata === undefined ? saved : { ...saved, metadata: { ...metadata } };
}

export function presentApproval(approval: Approval): api.Approval {
  return {
    id: approval.id,
    run: approval.run,
    step: approval.step,
    title: approval.title,
    details: approval.details,
    risk: approval.risk,
    status: approval.status,
    expires_at: momentOrNull(approval.expiresAt),
    requested_at: moment(approval.requestedAt),
    answered_at: momentOrNull(approval.answeredAt),
    answered_by: approval.answeredBy,
    comment: approval.comment,
  };
}

export function presentLive(event: LiveEvent): api.LiveEvent {
  return { step: event.step, name: event.name, at: moment(event.at), data: { ...event.data } };
}
