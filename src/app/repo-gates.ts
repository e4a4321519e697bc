import { repositoryGates } from "../adapters/gates/gates.ts";
import type { GateSpec } from "../contracts/gates.ts";
import type { Result } from "../domain/errors.ts";

/** The gates of a repository: from its `.agent-runner/gates.yaml`, else as they were detected. */
export function gatesOf(root: string): Promise<Result<readonly GateSpec[]>> {
  return repositoryGates().specs(root);
}
