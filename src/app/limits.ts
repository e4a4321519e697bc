import { readFile, stat } from "node:fs/promises";
import { parseLimits } from "../adapters/limits/limits-file.ts";
import { LIMITS_FILE } from "../adapters/limits/schema.ts";
import { type AdmissionRules, DEFAULT_RULES } from "../domain/admission-rules.ts";
import { fail, ok, type Result } from "../domain/errors.ts";

/** The rules in force, and how they are read again. */
export interface LiveRules {
  current(): AdmissionRules;
  /** Reads a limits file; what it gives puts it in force. What cannot be used changes nothing and is the failure. */
  prepare(path: string | null): Promise<Result<() => void>>;
}

/** Rejects nothing: a file that is missing or wrong is `invalid_config` or `invalid_limits`. `null` means the defaults. */
export async function readLimits(path: string | null): Promise<Result<AdmissionRules>> {
  if (path === null) return ok(DEFAULT_RULES);
  try {
    const { size } = await stat(path);
    if (size > LIMITS_FILE.bytes) {
      return fail("invalid_limits", `${path} has ${size} bytes; at most ${LIMITS_FILE.bytes} are read.`);
    }
    return parseLimits(await readFile(path, "utf8"), path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return fail(
      "invalid_config",
      `AGENT_RUNNER_LIMITS is ${JSON.stringify(path)}, which cannot be read: ${why}`,
      {
        setting: "AGENT_RUNNER_LIMITS",
      },
    );
  }
}

export function liveRules(first: AdmissionRules): LiveRules {
  let rules = first;
  return {
    current: () => rules,
    async prepare(path) {
      const read = await readLimits(path);
      if (!read.ok) return read;
      return ok(() => {
        rules = read.value;
      });
    },
  };
}
