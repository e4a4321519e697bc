import type { Clock } from "../base/clock.ts";
import type { Actions } from "../contracts/action.ts";
import type { Diagnostic } from "../contracts/definitions.ts";
import type { Role } from "../contracts/fleet.ts";
import type { Log } from "../contracts/log.ts";
import type { ModelGateway } from "../contracts/model-gateway.ts";
import type { RepoContexts } from "../contracts/repo-context.ts";
import type { Workspaces } from "../contracts/workspace.ts";
import type { Result } from "../domain/errors.ts";
import type { Worker } from "../engine/worker.ts";
import type { Reloaded } from "../operations/fleet/steering.ts";
import type { Parts } from "../operations/parts.ts";
import type { Config } from "./config.ts";

/** Everything that was built, for the doors. `operations` is all that most of them need. */
export interface House {
  /** The settings in force. */
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly operations: Parts;
  readonly actions: Actions;
  readonly gateway: ModelGateway;
  readonly contexts: RepoContexts;
  readonly workspaces: Workspaces;
  readonly worker: Worker;
  /** Built-in or project files that could not be used, with the reason; they were left out. */
  readonly problems: readonly Diagnostic[];
  /** Joins the other processes and begins what the roles say; those of the settings when absent. */
  start(roles?: readonly Role[]): Promise<void>;
  /** Takes nothing new; what is under way ends in the time for it, or goes on elsewhere. Reading goes on. */
  drain(): Promise<void>;
  /** Reads the settings again. A wrong one changes nothing. */
  reload(): Promise<Result<Reloaded>>;
  /** Drains, gives everything back and closes the store. May be called twice. */
  close(): Promise<void>;
}
