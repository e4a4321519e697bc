import { assert } from "../base/assert.ts";
import type { Json } from "../base/json.ts";
import type { ApprovalAnswer, ApprovalRequest } from "./approval.ts";
import type { Artifact } from "./artifact.ts";
import type { EffectClass, EffectResult } from "./effect.ts";
import type { Failure } from "./errors.ts";
import type { RunRequest } from "./fact.ts";
import type { Wait } from "./outcome.ts";
import type { EndedRunStatus, RunStatus, StepStatus } from "./run.ts";
import type { SlaPart, SlaTimes } from "./sla.ts";

export interface EffectState {
  readonly effect: EffectClass;
  readonly requestHash: string;
  readonly idempotencyKey: string;
  /** `null` while the outcome is not known. */
  readonly result: EffectResult | null;
  /** The approval that asks a person what became of it. */
  readonly askedBy: string | null;
}

/** Why a wait is over, and for a signal, which one. */
export interface Resolution {
  readonly by: "signal" | "timer" | "child" | "approval" | "timeout";
  readonly signal: string | null;
}

/** A foreach under way: what `decide` asks of its instances, kept so that it need not look at each of them. */
export interface ExpandedState {
  readonly items: readonly Json[];
  /** Instances begin in the order of their items: the index of the next one. */
  begun: number;
  /** Those that have begun and not ended. */
  readonly open: Set<StepState>;
  /** The failed instance of the lowest index. */
  failed: { readonly index: number; readonly failure: Failure } | null;
}

/** A step, or one instance of a foreach (`id#index`). */
export interface StepState {
  readonly id: string;
  /** Id of its spec: `id` without the index. */
  readonly spec: string;
  readonly index: number | null;
  status: StepStatus;
  /** The latest attempt, from 1; 0 before the first. */
  attempt: number;
  input: Json;
  output: Json;
  failure: Failure | null;
  /** Of the current attempt; ms since the epoch. */
  startedAt: number | null;
  endedAt: number | null;
  /** When a failed attempt is followed by the next one. */
  retryAt: number | null;
  waits: readonly Wait[];
  /** Waits of the current attempt that are over, by key. */
  resolved: Map<string, Resolution>;
  /** Effects of all attempts, by `effectId`. */
  effects: Map<string, EffectState>;
  /** Of a foreach, once it has begun. */
  expanded: ExpandedState | null;
}

export interface SignalState {
  readonly id: string;
  readonly name: string;
  readonly body: Json;
  readonly from: string;
  /** `step/key` of the wait that it ended. */
  takenBy: string | null;
}

export interface ApprovalState {
  readonly step: string;
  readonly request: ApprovalRequest;
  answer: ApprovalAnswer | "expired" | null;
  by: string;
  comment: string;
}

export interface ChildState {
  readonly run: string;
  readonly step: string;
  readonly key: string;
  ended: { readonly status: EndedRunStatus; readonly output: Json; readonly failure: Failure | null } | null;
}

/** Everything that the facts of a run say, and nothing else. */
export interface RunState {
  readonly request: RunRequest;
  /** ms since the epoch. */
  readonly queuedAt: number;
  startedAt: number | null;
  /** Promises whose breach has been written down. */
  readonly breaches: Set<SlaPart>;
  status: RunStatus;
  paused: boolean;
  cancel: { readonly by: string; readonly reason: string } | null;
  /** In order of their first fact. */
  readonly steps: Map<string, StepState>;
  readonly signals: SignalState[];
  readonly approvals: Map<string, ApprovalState>;
  readonly children: Map<string, ChildState>;
  /** Ids of messages sent to other runs. */
  readonly sent: Set<string>;
  readonly artifacts: Map<string, Artifact>;
  output: Json;
  failure: Failure | null;
  lastSeq: number;
}

/** Of a run that has not ended: what its promises are held against. */
export function timesOf({ request, queuedAt, startedAt }: RunState): SlaTimes {
  const { deadlineAt, sla = null } = request;
  return { createdAt: queuedAt, startedAt, endedAt: null, deadlineAt, sla };
}

/** The state of a step that has begun. */
export function stepIn(state: RunState, id: string): StepState {
  const step = state.steps.get(id);
  assert(step, `step ${id} has not begun`);
  return step;
}

/** Effects are remembered per attempt: a new attempt does its own work. */
export function effectId(attempt: number, key: string): string {
  return `${attempt}/${key}`;
}

export function instanceId(step: string, index: number): string {
  return `${step}#${index}`;
}

/** `build#3` → `build`, 3; `build` → `build`, `null`. */
export function parseStepId(id: string): { readonly spec: string; readonly index: number | null } {
  const at = id.lastIndexOf("#");
  return at < 0 ? { spec: id, index: null } : { spec: id.slice(0, at), index: Number(id.slice(at + 1)) };
}
