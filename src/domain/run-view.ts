import { isJsonObject, type Json } from "../base/json.ts";
import { clip } from "../base/text.ts";
import type { ApprovalRequest, ApprovalStatus } from "./approval.ts";
import type { Artifact } from "./artifact.ts";
import { describeFact } from "./describe-fact.ts";
import type { Fact, FactOf, RunRequest } from "./fact.ts";
import { LIMITS } from "./limits.ts";
import { countUse, type ModelUse, sumUse, type UseSum } from "./model-use.ts";
import type { Wait } from "./outcome.ts";
import { hasStepEnded, type RunStatus, type StepStatus } from "./run.ts";
import { progressOf, type RunProgress } from "./run-progress.ts";
import { type Draft, newStep, parentOf, type StepView } from "./step-view.ts";

export interface ApprovalView extends ApprovalRequest {
  readonly step: string;
  readonly status: ApprovalStatus;
  readonly requestedAt: number;
  readonly answeredAt: number | null;
  readonly answeredBy: string | null;
  readonly comment: string | null;
}

export interface EventLine {
  readonly seq: number;
  readonly at: number;
  readonly kind: string;
  readonly step: string | null;
  readonly text: string;
}

export interface RunView {
  readonly request: RunRequest;
  readonly status: RunStatus;
  readonly paused: boolean;
  readonly cancelRequested: { readonly by: string; readonly reason: string } | null;
  readonly lastSeq: number;
  /** In the workflow's order; instances follow their foreach, `LIMITS.viewInstances` of each at most. */
  readonly steps: readonly StepView[];
  readonly waiting: readonly { readonly step: string; readonly wait: Wait }[];
  readonly approvals: readonly ApprovalView[];
  readonly artifacts: readonly (Artifact & { readonly step: string; readonly savedAt: number })[];
  readonly children: readonly {
    readonly run: string;
    readonly workflow: string;
    readonly step: string;
    readonly status: RunStatus | null;
  }[];
  readonly usage: UseSum & { readonly byModel: readonly ModelUse[] };
  readonly progress: RunProgress;
  /** The latest `LIMITS.viewEvents` that say something to people. */
  readonly lastEvents: readonly EventLine[];
  /** Paths that the run is known to have changed, sorted; `LIMITS.viewFiles` at most. */
  readonly changedFiles: readonly string[];
}

const EVENT_CHARS = 400;

/** What has been folded so far. Opaque: made by `startView`, grown by `growView`, read by `showView`. */
export interface ViewState {
  request: RunRequest | null;
  status: RunStatus;
  paused: boolean;
  cancelRequested: RunView["cancelRequested"];
  queuedAt: number;
  startedAt: number | null;
  endedAt: number | null;
  lastSeq: number;
  readonly steps: Map<string, Draft<StepView>>;
  readonly approvals: Map<string, Draft<ApprovalView>>;
  readonly artifacts: Map<string, RunView["artifacts"][number]>;
  readonly children: Map<string, Draft<RunView["children"][number]>>;
  readonly uses: Map<string, ModelUse>;
  readonly files: Set<string>;
  readonly events: EventLine[];
}

/** `steps` are the ids of the workflow's steps in their order, so that those not yet begun are seen too. */
export function startView(steps: readonly string[]): ViewState {
  return {
    request: null,
    status: "queued",
    paused: false,
    cancelRequested: null,
    queuedAt: 0,
    startedAt: null,
    endedAt: null,
    lastSeq: 0,
    steps: new Map(steps.map((id) => [id, newStep(id)])),
    approvals: new Map(),
    artifacts: new Map(),
    children: new Map(),
    uses: new Map(),
    files: new Set(),
    events: [],
  };
}

/** Adds facts to the state, in place. Facts that were seen already are passed over. */
export function growView(state: ViewState, facts: readonly Fact[]): void {
  for (const fact of facts) {
    if (fact.seq <= state.lastSeq) continue;
    state.lastSeq = fact.seq;
    apply(state, fact);
    const story = describeFact(fact);
    if (story === null) continue;
    const { text } = clip(story, EVENT_CHARS);
    const step = "step" in fact ? fact.step : null;
    state.events.push({ seq: fact.seq, at: fact.at, kind: fact.kind, step, text });
    if (state.events.length > LIMITS.viewEvents) state.events.shift();
  }
}

/**
 * `null` before the first fact. `now` is ms since the epoch; `usualMs` is how long such a run takes from its start to
 * its end, `null` when nobody knows.
 */
export function showView(state: ViewState, now: number, usualMs: number | null = null): RunView | null {
  if (state.request === null) return null;
  const byModel = [...state.uses.values()];
  const waiting = [...state.steps.values()].flatMap((step) =>
    step.waits.map((wait) => ({ step: step.id, wait })),
  );
  return {
    request: state.request,
    status: state.status,
    paused: state.paused,
    cancelRequested: state.cancelRequested,
    lastSeq: state.lastSeq,
    steps: shownSteps(state),
    waiting,
    approvals: [...state.approvals.values()].map((approval) => ({ ...approval })),
    artifacts: [...state.artifacts.values()],
    children: [...state.children.values()].map((child) => ({ ...child })),
    usage: { ...sumUse(byModel), byModel },
    progress: progressOf(state, { now, usualMs }),
    lastEvents: [...state.events],
    changedFiles: [...state.files].sort(),
  };
}

function apply(state: ViewState, fact: Fact): void {
  switch (fact.kind) {
    case "run_queued":
      state.request = fact.request;
      state.queuedAt = fact.at;
      return;
    case "run_started":
      state.status = "running";
      state.startedAt = fact.at;
      return;
    case "run_paused":
    case "run_unpaused":
      state.paused = fact.kind === "run_paused";
      return;
    case "cancel_requested":
      state.cancelRequested ??= { by: fact.by, reason: fact.reason };
      return;
    case "run_completed":
    case "run_failed":
    case "run_canceled":
      endRun(state, fact);
      return;
    case "approval_requested":
      state.approvals.set(fact.approval.id, {
        ...fact.approval,
        step: fact.step,
        status: "pending",
        requestedAt: fact.at,
        answeredAt: null,
        answeredBy: null,
        comment: null,
      });
      return;
    case "approval_answered":
    case "approval_expired":
      closeApproval(state, fact);
      return;
    case "child_started":
      state.children.set(fact.run, {
        run: fact.run,
        workflow: fact.workflow,
        step: fact.step,
        status: null,
      });
      return;
    case "child_ended": {
      const child = state.children.get(fact.run);
      if (child) child.status = fact.status;
      return;
    }
    case "artifact_saved":
      state.artifacts.set(fact.artifact.id, { ...fact.artifact, step: fact.step, savedAt: fact.at });
      return;
    case "effect_recorded":
      countUse(state.uses, fact.result);
      // What a tool call says that it changed: seen while the step is still at work.
      if (fact.result.ok && isJsonObject(fact.result.value)) addFiles(state, fact.result.value.changed);
      return;
    case "noted": {
      const step = stepOf(state, fact.step);
      step.lastNote = { name: fact.name, at: fact.at };
      if (fact.name === "turn_started") step.turns += 1;
      return;
    }
    case "run_resumed_by":
    case "sla_breached":
    case "retry_budget_exhausted":
    case "signal_received":
    case "message_sent":
    case "effect_intended":
    case "effect_uncertain":
      return;
    default:
      applyToStep(state, fact);
      return;
  }
}

function endRun(
  state: ViewState,
  fact: { readonly kind: "run_completed" | "run_failed" | "run_canceled"; readonly at: number },
): void {
  state.status =
    fact.kind === "run_completed" ? "completed" : fact.kind === "run_failed" ? "failed" : "canceled";
  state.endedAt = fact.at;
  for (const approval of state.approvals.values()) {
    if (approval.status === "pending") approval.status = "withdrawn";
  }
  for (const step of state.steps.values()) {
    step.waits = [];
    step.retryAt = null;
  }
}

function closeApproval(
  state: ViewState,
  fact: (FactOf<"approval_answered"> | FactOf<"approval_expired">) & { readonly at: number },
): void {
  const approval = state.approvals.get(fact.approval);
  if (!approval) return;
  approval.answeredAt = fact.at;
  if (fact.kind === "approval_expired") {
    approval.status = "expired";
    return;
  }
  approval.status = fact.answer;
  approval.answeredBy = fact.by;
  approval.comment = fact.comment;
}

type StepFact = Extract<Fact, { kind: `step_${string}` }>;

function applyToStep(state: ViewState, fact: StepFact): void {
  const step = stepOf(state, fact.step);
  switch (fact.kind) {
    case "step_started":
      step.status = "running";
      step.attempts = fact.attempt;
      step.turns = 0;
      step.startedAt ??= fact.at;
      step.retryAt = null;
      return;
    case "step_expanded":
      step.status = "running";
      step.startedAt ??= fact.at;
      step.instances = { total: fact.items.length, ended: 0 };
      return;
    case "step_waiting":
      step.status = "waiting";
      step.waits = fact.waits;
      return;
    case "step_woken":
      step.status = "running";
      step.waits = [];
      return;
    case "step_retrying":
      step.status = "waiting";
      step.failure = fact.failure;
      step.retryAt = fact.nextAt;
      return;
    case "step_succeeded":
      step.failure = null;
      addFiles(state, filesOf(fact.output));
      showOutput(step, fact.output);
      endStep(state, step, "succeeded", fact.at);
      return;
    case "step_failed":
      step.failure = fact.failure;
      endStep(state, step, "failed", fact.at);
      return;
    case "step_skipped":
      step.reason = fact.reason;
      endStep(state, step, "skipped", fact.at);
      return;
    case "step_canceled":
      step.reason = fact.reason;
      endStep(state, step, "canceled", fact.at);
      return;
  }
}

function endStep(state: ViewState, step: Draft<StepView>, status: StepStatus, at: number): void {
  const first = !hasStepEnded(step.status);
  step.status = status;
  step.endedAt = at;
  step.waits = [];
  step.retryAt = null;
  const parent = state.steps.get(parentOf(step.id) ?? "");
  if (first && parent?.instances) {
    parent.instances = { ...parent.instances, ended: parent.instances.ended + 1 };
  }
}

function showOutput(step: Draft<StepView>, output: Json): void {
  step.outputChars = JSON.stringify(output).length;
  step.output = step.outputChars <= LIMITS.viewOutputChars ? output : null;
}

function stepOf(state: ViewState, id: string): Draft<StepView> {
  const known = state.steps.get(id);
  if (known) return known;
  const step = newStep(id);
  state.steps.set(id, step);
  return step;
}

/** An agent says `files_modified` (from git), a commit its `files`; other lists of files may be of anything. */
function filesOf(output: Json): Json | undefined {
  if (!isJsonObject(output)) return undefined;
  return output.files_modified ?? ("commit" in output ? output.files : undefined);
}

function addFiles(state: ViewState, files: Json | undefined): void {
  if (!Array.isArray(files)) return;
  for (const path of files as readonly Json[]) {
    if (typeof path === "string" && state.files.size < LIMITS.viewFiles) state.files.add(path);
  }
}

function shownSteps(state: ViewState): StepView[] {
  const instances = new Map<string, StepView[]>();
  const tops: StepView[] = [];
  for (const step of state.steps.values()) {
    const parent = parentOf(step.id);
    if (parent === null) {
      tops.push({ ...step });
      continue;
    }
    const siblings = instances.get(parent) ?? [];
    if (siblings.length < LIMITS.viewInstances) siblings.push({ ...step });
    instances.set(parent, siblings);
  }
  return tops.flatMap((step) => [step, ...(instances.get(step.id) ?? [])]);
}
