export {
  type ApprovalQuery,
  openRunner,
  type Runner,
  type RunnerOptions,
  type RunQuery,
  type StartOptions,
} from "./app/runner.ts";
export type { Json } from "./base/json.ts";
export type { Action, ActionContext, Effect } from "./contracts/action.ts";
export type { ModelProvider, ModelReply, ModelRequest, ModelResult } from "./contracts/model-provider.ts";
export type { Approval, ApprovalStatus } from "./domain/approval.ts";
export { type Failure, FailureError } from "./domain/errors.ts";
export type { Fact } from "./domain/fact.ts";
export type { RunStatus, RunSummary } from "./domain/run.ts";
export { defineAction } from "./engine/steps/define-action.ts";
export type { ApprovalPage } from "./operations/approvals/list-approvals.ts";
export type { RunPage } from "./operations/runs/list-runs.ts";
