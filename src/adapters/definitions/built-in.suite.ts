import type { Actions } from "../../contracts/action.ts";
import type { StepParts } from "../../engine/steps/parts.ts";
import { createActions } from "../../engine/steps/registry.ts";

/** The product's own actions, for tests that look at their signatures: without parts they cannot be performed. */
export function builtInActions(): Actions {
  return createActions({} as StepParts);
}

/** The names of the product's own tools. */
export const TOOL_NAMES: readonly string[] = [
  ...["apply_patch", "bash", "edit", "finish", "git_diff", "git_log", "git_status"],
  ...["list", "read", "search", "write"],
];
