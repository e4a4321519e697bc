import type { ArtifactStore } from "../../contracts/artifact-store.ts";
import type { Gates } from "../../contracts/gates.ts";
import type { Mediator } from "../../contracts/mediator.ts";
import type { ModelGateway } from "../../contracts/model-gateway.ts";
import type { Sandbox } from "../../contracts/sandbox.ts";
import type { ToolBox } from "../../contracts/tool.ts";
import type { Workspaces } from "../../contracts/workspace.ts";
import type { AgentSpec } from "../../domain/agent.ts";
import type { Authorize } from "../authorize.ts";

/** How an earlier run failed: shown to the next one, so that it does not make the same mistake. */
export interface PastFailure {
  readonly run: string;
  readonly code: string;
  readonly message: string;
}

/** What the built-in actions are made of; `app` chooses each part. */
export interface StepParts {
  readonly agents: { get(name: string): AgentSpec | null; readonly names: readonly string[] };
  readonly gateway: ModelGateway;
  /** Reads tasks and writes summaries; without one rules do. */
  readonly mediator?: Mediator;
  readonly tools: ToolBox;
  readonly sandbox: Sandbox;
  readonly workspaces: Workspaces;
  readonly gates: Gates;
  readonly artifacts: ArtifactStore;
  readonly authorize: Authorize;
  readonly author: { readonly name: string; readonly email: string };
  /** Absolute; holds one folder a run for steps that have no workspace. */
  readonly scratchRoot: string;
  /** A map of the repository for a task within a budget of tokens; may reject, which is told and not fatal. */
  contextMap?(request: {
    readonly root: string;
    readonly task: string;
    readonly budgetTokens: number;
    readonly signal: AbortSignal;
  }): Promise<string>;
  /** The latest failures that matter for a task, newest first. */
  pastFailures?(request: {
    readonly run: string;
    readonly tenant: string;
    readonly workflow: string;
    readonly repo: string | null;
    readonly task: string;
  }): Promise<readonly PastFailure[]>;
  /** Name, version and architecture of the system that commands run on. */
  readonly os: string;
  /** Names of programs that commands of the agent will find. */
  programs?(): Promise<readonly string[]>;
  /** Takes secrets out of a text before a model or the journal sees it. */
  redact?(text: string): string;
}
