import type { Clock } from "../base/clock.ts";
import type { Json } from "../base/json.ts";
import type { ArtifactStore } from "../contracts/artifact-store.ts";
import type { Calendar } from "../contracts/calendar.ts";
import type { Definitions } from "../contracts/definitions.ts";
import type { Fleet } from "../contracts/fleet.ts";
import type { Leaders } from "../contracts/leader.ts";
import type { Live } from "../contracts/live.ts";
import type { Mediator } from "../contracts/mediator.ts";
import type { Metrics } from "../contracts/metrics.ts";
import type { ModelGateway } from "../contracts/model-gateway.ts";
import type { RunReader, RunStore } from "../contracts/run-store.ts";
import type { ScheduleStore } from "../contracts/schedule-store.ts";
import type { SpendLedger } from "../contracts/spend-ledger.ts";
import type { WorkflowStore } from "../contracts/workflow-store.ts";
import type { AgentSpec } from "../domain/agent.ts";
import type { BudgetSettings } from "../domain/budget.ts";
import type { Result } from "../domain/errors.ts";
import type { Redactor } from "../domain/redact.ts";
import type { Expressions, Workflow } from "../domain/workflow.ts";
import type { Desk } from "./admission/desk.ts";
import type { Steering } from "./fleet/steering.ts";
import type { IntentJudge } from "./intake/judge.ts";
import type { RunViews } from "./runs/run-views.ts";

/** Something that must be in order before work is sent here. */
export interface Probe {
  readonly name: string;
  /** `null` when all is well, else the reason in a few words. */
  check(): Promise<string | null>;
}

/** All that the operations are built from; each takes the few it needs. Built once, in `app`. */
export interface Parts {
  readonly clock: Clock;
  /** `run` → `run_…`. */
  readonly newId: (prefix: string) => string;
  /** Hex sha-256. */
  readonly hash: (text: string) => string;
  readonly store: Pick<RunStore, "admit" | "post" | "answerApproval" | "watch">;
  readonly reader: RunReader;
  readonly workflows: WorkflowStore;
  readonly schedules: Pick<ScheduleStore, "add" | "byId" | "list" | "change" | "firings" | "events">;
  readonly calendar: Calendar;
  readonly artifacts: Pick<ArtifactStore, "get">;
  readonly definitions: Definitions;
  /** Against the workflow's `inputs` schema; the value has the defaults filled in. */
  readonly checkInputs: (workflow: Workflow, inputs: Json) => Result<Json>;
  /** Fills in what a workflow's `concurrency` mentions. */
  readonly expressions: Expressions;
  readonly agents: () => Promise<readonly AgentSpec[]>;
  readonly gateway: Pick<ModelGateway, "providers" | "models">;
  /** Reads loosely written tasks; without one rules do. */
  readonly mediator?: Mediator;
  readonly live: Pick<Live, "subscribe">;
  readonly spend: {
    readonly ledger: Pick<SpendLedger, "spent" | "accounts" | "accountsFrom" | "now">;
    /** As they hold now. */
    readonly settings: () => BudgetSettings;
  };
  /** What was folded of long journals; without it each look folds all of it. */
  readonly views?: RunViews;
  /** Keeps secrets out of events that are shown; without one they are shown as they are. */
  readonly redactor?: Redactor;
  /** Decides between close candidates of a free request; absent unless a model was configured for that. */
  readonly intentJudge?: IntentJudge;
  /** The processes of this database, and who of them keeps house. */
  readonly fleet: Pick<Fleet, "members" | "wish">;
  readonly leaders: Pick<Leaders, "leading">;
  /** This process; absent where it answers for itself only. */
  readonly steering?: Steering;
  /** Where work is let in or turned away. */
  readonly desk: Desk;
  readonly metrics: Metrics;
  /** Asked by readiness, beside the store and the workers. */
  readonly probes: readonly Probe[];
}
