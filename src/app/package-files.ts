import { join } from "node:path";
import { packageRoot } from "../adapters/definitions/library.ts";

/** Absolute path of a file that ships with agent-runner, e.g. `packageFile("examples", "demo-script.yaml")`. */
export function packageFile(...parts: readonly string[]): string {
  return join(packageRoot(), ...parts);
}
