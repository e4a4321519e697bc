import type { Clock } from "../base/clock.ts";
import type { Actions } from "../contracts/action.ts";
import type { Diagnostic } from "../contracts/definitions.ts";
import type { Log } from "../contracts/log.ts";
import type { ModelGateway } from "../contracts/model-gateway.ts";
import type { RepoContexts } from "../contracts/repo-context.ts";
import type { Service } from "../contracts/service.ts";
import type { Workspaces } from "../contracts/workspace.ts";
import type { Worker } from "../engine/worker.ts";
import type { Parts } from "../operations/parts.ts";
import type { BudgetBook } from "./budgets.ts";
import type { Config } from "./config.ts";

/** Everything that was built, for the doors. `operations` is all that most of them need. */
export interface House {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly operations: Parts;
  readonly actions: Actions;
  readonly gateway: ModelGateway;
  readonly contexts: RepoContexts;
  readonly workspaces: Workspaces;
  readonly worker: Worker;
  readonly services: readonly Service[];
  /** Reads the budgets file again; when it is wrong, what held goes on to hold. */
  readonly applyBudgets: BudgetBook["applyBudgets"];
  /** Built-in or project files that could not be used, with the reason; they were left out. */
  readonly problems: readonly Diagnostic[];
  /** Starts claiming and the background services. */
  start(): Promise<void>;
  /** Drains, gives everything back and closes the store. May be called twice. */
  close(): Promise<void>;
}
