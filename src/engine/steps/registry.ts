import type { Action, Actions } from "../../contracts/action.ts";
import { FailureError, failure } from "../../domain/errors.ts";
import { agentAction } from "./agent.ts";
import { approvalAction } from "./approval.ts";
import { commitAction } from "./commit.ts";
import { failAction } from "./fail.ts";
import { filesAction } from "./files.ts";
import { gatesAction } from "./gates.ts";
import { modelAction } from "./model.ts";
import { noopAction } from "./noop.ts";
import type { StepParts } from "./parts.ts";
import { pushAction } from "./push.ts";
import { reportAction } from "./report.ts";
import { sendAction } from "./send.ts";
import { shellAction } from "./shell.ts";
import { summariseAction } from "./summarise.ts";
import { taskAction } from "./task.ts";
import { waitAction } from "./wait.ts";
import { workflowAction } from "./workflow.ts";
import { workspaceAction } from "./workspace.ts";

/** The built-in actions and those of plugins. A name that is taken is refused, so that no plugin replaces a built-in one unseen. */
export function createActions(parts: StepParts, more: readonly Action[] = []): Actions {
  const builtIn = [
    agentAction(parts),
    approvalAction(),
    commitAction(parts),
    failAction(),
    filesAction(),
    gatesAction(parts),
    modelAction(parts),
    noopAction(),
    pushAction(parts),
    reportAction(parts),
    sendAction(),
    shellAction(parts),
    summariseAction(parts),
    taskAction(parts),
    waitAction(),
    workflowAction(),
    workspaceAction(parts),
  ];
  const byName = new Map<string, Action>();
  for (const action of [...builtIn, ...more]) {
    if (byName.has(action.name)) {
      const text = `there is an action "${action.name}" already: give yours another name`;
      throw new FailureError(failure("conflict", text, { action: action.name }));
    }
    byName.set(action.name, action);
  }
  const list = [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { get: (name) => byName.get(name) ?? null, list: () => list };
}
