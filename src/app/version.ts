import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../adapters/definitions/library.ts";

/** Of agent-runner, as its package says. */
export function productVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as {
    version: string;
  };
  return version;
}
