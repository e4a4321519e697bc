import { arch, hostname, platform } from "node:os";
import { providerSettingsFromEnv } from "../adapters/models/settings.ts";
import { programsOnPath } from "../adapters/sandbox/host/surroundings.ts";
import { isLabel } from "../domain/label.ts";
import type { Config } from "./config.ts";

const SYSTEMS: Readonly<Record<string, string | undefined>> = { darwin: "macos", win32: "windows" };

/**
 * What a worker can do, for runs that need it: what was configured, and what is found out: `os=`, `arch=`, `host=`,
 * `provider=` for each that is configured, `tool=` for each known program on the PATH.
 */
export async function labelsOf(config: Config): Promise<readonly string[]> {
  const found = [
    `os=${SYSTEMS[platform()] ?? platform()}`,
    `arch=${arch()}`,
    `host=${hostname()}`,
    ...providerSettingsFromEnv(config.env).configured.map(({ kind }) => `provider=${kind}`),
    ...(await programsOnPath(process.env.PATH ?? "")).map((program) => `tool=${program}`),
  ];
  return [...new Set([...config.labels, ...found.filter(isLabel)])];
}
