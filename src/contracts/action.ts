import type { Clock } from "../base/clock.ts";
import type { Json, JsonObject } from "../base/json.ts";
import type { ApprovalAnswer, ApprovalRequest } from "../domain/approval.ts";
import type { Artifact } from "../domain/artifact.ts";
import type { Payer } from "../domain/budget.ts";
import type { EffectClass } from "../domain/effect.ts";
import type { Failure, Result } from "../domain/errors.ts";
import type { Fact } from "../domain/fact.ts";
import type { EndedRunStatus } from "../domain/run.ts";

/** Something not deterministic that a step does, described before it is done. */
export interface Effect<T extends Json> {
  readonly effect: EffectClass;
  /** Everything that decides the outcome; hashed and compared on resume. */
  readonly request: Json;
  /** A few words for people. */
  readonly label: string;
  /** Throws a `FailureError` (recorded as the outcome) or anything else (`action_crashed`). */
  perform(call: { readonly idempotencyKey: string; readonly signal: AbortSignal }): Promise<T>;
  /** For `query`: did the intended effect happen? `null` when it did not. */
  query?(call: { readonly idempotencyKey: string; readonly signal: AbortSignal }): Promise<T | null>;
}

/** What an action is given. Everything that waits or touches the world goes through here, so that it is journaled. */
export interface ActionContext {
  readonly run: {
    readonly id: string;
    readonly workflow: string;
    readonly tenant: string;
    readonly title: string;
    readonly inputs: Json;
    /** Whose budgets hold for what it does. */
    readonly payer: Payer;
  };
  readonly step: { readonly id: string; readonly attempt: number };
  /** Aborted on cancel, timeout, lost lease. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /**
   * Performs the effect at most once per key (unique in the attempt): a recorded outcome is the answer.
   * Rejects with the recorded `FailureError` when the outcome was a failure.
   */
  once<T extends Json>(key: string, effect: Effect<T>): Promise<T>;
  /** The run's clock and chance, recorded: the same value on resume and replay. */
  now(key: string): Promise<number>;
  random(key: string): Promise<number>;
  /** Rests until the signal is there. The step is performed again from its top when it wakes. `null` after `timeoutMs`. */
  waitForSignal(
    key: string,
    wait: { readonly name: string; readonly timeoutMs?: number },
  ): Promise<{ readonly body: Json; readonly from: string } | null>;
  sleep(key: string, ms: number): Promise<void>;
  askApproval(
    key: string,
    ask: Omit<ApprovalRequest, "id" | "expiresAt"> & { readonly timeoutMs?: number },
  ): Promise<{ readonly answer: ApprovalAnswer | "expired"; readonly by: string; readonly comment: string }>;
  /** Admits a child run with this step's commit; the same key gives the same child. Returns its id. */
  startChild(
    key: string,
    child: { readonly workflow: string; readonly inputs: Json; readonly title?: string },
  ): Promise<string>;
  waitForChild(
    key: string,
    run: string,
    timeoutMs?: number,
  ): Promise<{
    readonly status: EndedRunStatus;
    readonly output: Json;
    readonly failure: Failure | null;
  } | null>;
  /** A message to another run, in this step's commit. */
  send(
    key: string,
    message: { readonly to: string; readonly name: string; readonly body: Json },
  ): Promise<void>;
  /** A line of the step's story in the journal. */
  note(name: string, data: JsonObject): void;
  /** Seen live, not kept. */
  publish(name: "heartbeat" | "delta" | "output" | "progress", data: JsonObject): void;
  saveArtifact(artifact: {
    readonly name: string;
    readonly kind: string;
    readonly mediaType: string;
    readonly content: string | Uint8Array;
    readonly metadata?: JsonObject;
  }): Promise<Artifact>;
  /** The run's journal so far, for reports. */
  facts(): readonly Fact[];
}

/** What `uses` names. Input and output are JSON Schemas, so that a workflow can be checked before it runs. */
export interface Action {
  readonly name: string;
  readonly description: string;
  readonly input: JsonObject;
  readonly output: JsonObject;
  /** Checks and completes (defaults) the evaluated `with`. */
  parse(input: Json): Result<Json>;
  /** Returns the output, or throws: a `FailureError` fails the step with its value. */
  perform(input: Json, context: ActionContext): Promise<Json>;
}

export interface Actions {
  get(name: string): Action | null;
  list(): readonly Action[];
}
